/**
 * The browser of the end-to-end tests: one that is installed, or Debian's package when this process may
 * install it. Nothing is downloaded from anywhere else.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

/**
 * Flags for a headless test browser: no sandbox (the tests may run as root), and no traffic of its own.
 * Use a new `--user-data-dir` for each browser.
 */
export const chromiumArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/**
 * The path of an installed Chromium, Chrome or Edge.
 *
 * @returns {string | undefined}
 * @throws {Error} when `CHROMIUM_PATH` is set and nothing is there
 */
export function findChromium() {
  const chosen = process.env.CHROMIUM_PATH
  if (chosen) {
    if (existsSync(chosen)) return chosen
    throw new Error(`CHROMIUM_PATH is ${chosen}, and there is no such file.`)
  }
  return wellKnownPaths().find((path) => existsSync(path))
}

/**
 * The path of a browser, which is installed first where that is possible: on Debian and its relatives, as
 * root or with a sudo that asks no password.
 *
 * @returns {string}
 * @throws {Error} with the command to run by hand
 */
export function ensureChromium() {
  const found = findChromium()
  if (found !== undefined) return found
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"]
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get") || !allowed(asRoot)) {
    throw new Error(howToInstall())
  }
  console.error("Installing Chromium for the browser tests (apt-get install chromium)...")
  const apt = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
  const failures = [
    [...apt, "update"],
    [...apt, "install", "-y", "--no-install-recommends", "chromium"]
  ].flatMap((command) => {
    const [program = "", ...rest] = command
    const result = spawnSync(program, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
    return result.status === 0 ? [] : [`${command.join(" ")}\n${result.stdout ?? ""}${result.stderr ?? ""}`]
  })
  // `update` may fail for one unrelated source and the install still work: only the result counts.
  const installed = findChromium()
  if (installed !== undefined) return installed
  throw new Error([howToInstall(), ...failures].join("\n\n"))
}

function allowed(/** @type {string[]} */ [program, ...rest]) {
  return program === undefined || spawnSync(program, [...rest, "true"], { stdio: "ignore" }).status === 0
}

function howToInstall() {
  const command = {
    linux: "Debian/Ubuntu: sudo apt-get install chromium; Fedora: sudo dnf install chromium",
    darwin: "brew install --cask chromium, or install Google Chrome",
    win32: "install Google Chrome or Microsoft Edge"
  }[/** @type {string} */ (process.platform)]
  return `The browser tests need Chromium. ${command ?? "Install Chromium"}; or set CHROMIUM_PATH to a browser.`
}

function wellKnownPaths() {
  if (process.platform === "darwin") {
    const homes = ["", process.env.HOME ?? ""]
    const names = ["Chromium", "Google Chrome", "Microsoft Edge"]
    return names.flatMap((name) =>
      homes.map((home) => `${home}/Applications/${name}.app/Contents/MacOS/${name}`)
    )
  }
  if (process.platform === "win32") {
    const roots = [process.env.ProgramFiles, process.env["ProgramFiles(x86)"], process.env.LOCALAPPDATA]
    const programs = [
      ["Chromium", "Application", "chrome.exe"],
      ["Google", "Chrome", "Application", "chrome.exe"],
      ["Microsoft", "Edge", "Application", "msedge.exe"]
    ]
    return programs.flatMap((parts) => roots.flatMap((root) => (root ? [join(root, ...parts)] : [])))
  }
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"]
  const folders = ["/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"]
  return names.flatMap((name) => folders.map((folder) => join(folder, name)))
}
