/**
 * The browsers of the end-to-end tests: those that are installed, or Debian's packages when this process may
 * install them. Nothing is downloaded from anywhere else.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

/**
 * @typedef {object} Browser
 * @property {string} name
 * @property {string} variable environment variable that names another one
 * @property {string} debian package
 * @property {Record<string, string>} howToInstall by platform
 * @property {ReadonlyArray<string>} linux names of the program
 * @property {ReadonlyArray<string>} linuxFolders
 * @property {ReadonlyArray<[app: string, program: string]>} darwin
 * @property {ReadonlyArray<ReadonlyArray<string>>} win32 paths below the folders of programs
 */

/** Any of Chromium, Chrome and Edge. @type {Browser} */
export const chromium = {
  name: "Chromium",
  variable: "CHROMIUM_PATH",
  debian: "chromium",
  howToInstall: {
    linux: "Debian/Ubuntu: sudo apt-get install chromium; Fedora: sudo dnf install chromium",
    darwin: "brew install --cask chromium, or install Google Chrome",
    win32: "install Google Chrome or Microsoft Edge"
  },
  linux: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"],
  linuxFolders: ["/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"],
  darwin: [
    ["Chromium", "Chromium"],
    ["Google Chrome", "Google Chrome"],
    ["Microsoft Edge", "Microsoft Edge"]
  ],
  win32: [
    ["Chromium", "Application", "chrome.exe"],
    ["Google", "Chrome", "Application", "chrome.exe"],
    ["Microsoft", "Edge", "Application", "msedge.exe"]
  ]
}

/** @type {Browser} */
export const firefox = {
  name: "Firefox",
  variable: "FIREFOX_PATH",
  debian: "firefox-esr",
  howToInstall: {
    linux: "Debian: sudo apt-get install firefox-esr; Fedora: sudo dnf install firefox",
    darwin: "brew install --cask firefox",
    win32: "install Firefox"
  },
  linux: ["firefox-esr", "firefox"],
  linuxFolders: ["/usr/bin", "/usr/local/bin", "/opt/firefox"],
  darwin: [["Firefox", "firefox"]],
  win32: [["Mozilla Firefox", "firefox.exe"]]
}

/**
 * Flags for a headless Chromium in tests: no sandbox (the tests may run as root), and no traffic of its own.
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
 * The path of an installed browser.
 *
 * @param {Browser} browser
 * @returns {string | undefined}
 * @throws {Error} when its variable is set and nothing is there
 */
export function findBrowser(browser) {
  const chosen = process.env[browser.variable]
  if (chosen) {
    if (existsSync(chosen)) return chosen
    throw new Error(`${browser.variable} is ${chosen}, and there is no such file.`)
  }
  return wellKnownPaths(browser).find((path) => existsSync(path))
}

/**
 * The path of a browser, which is installed first where that is possible: on Debian and its relatives, as
 * root or with a sudo that asks no password.
 *
 * @param {Browser} browser
 * @returns {string}
 * @throws {Error} with the command to run by hand
 */
export function ensureBrowser(browser) {
  const found = findBrowser(browser)
  if (found !== undefined) return found
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"]
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get") || !allowed(asRoot)) {
    throw new Error(howToInstall(browser))
  }
  console.error(`Installing ${browser.name} for the browser tests (apt-get install ${browser.debian})...`)
  const apt = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
  const failures = [
    [...apt, "update"],
    [...apt, "install", "-y", "--no-install-recommends", browser.debian]
  ].flatMap((command) => {
    const [program = "", ...rest] = command
    const result = spawnSync(program, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
    return result.status === 0 ? [] : [`${command.join(" ")}\n${result.stdout ?? ""}${result.stderr ?? ""}`]
  })
  // `update` may fail for one unrelated source and the install still work: only the result counts.
  const installed = findBrowser(browser)
  if (installed !== undefined) return installed
  throw new Error([howToInstall(browser), ...failures].join("\n\n"))
}

function allowed(/** @type {string[]} */ [program, ...rest]) {
  return program === undefined || spawnSync(program, [...rest, "true"], { stdio: "ignore" }).status === 0
}

function howToInstall(/** @type {Browser} */ { howToInstall, name, variable }) {
  const command = howToInstall[process.platform] ?? `Install ${name}`
  return `The browser tests need ${name}. ${command}; or set ${variable} to a browser.`
}

function wellKnownPaths(/** @type {Browser} */ { darwin, linux, linuxFolders, win32 }) {
  if (process.platform === "darwin") {
    const homes = ["", process.env.HOME ?? ""]
    return darwin.flatMap(([app, program]) =>
      homes.map((home) => `${home}/Applications/${app}.app/Contents/MacOS/${program}`)
    )
  }
  if (process.platform === "win32") {
    const roots = [process.env.ProgramFiles, process.env["ProgramFiles(x86)"], process.env.LOCALAPPDATA]
    return win32.flatMap((parts) => roots.flatMap((root) => (root ? [join(root, ...parts)] : [])))
  }
  return linux.flatMap((name) => linuxFolders.map((folder) => join(folder, name)))
}
