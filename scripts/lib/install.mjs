/**
 * Brings the workspace's dependencies up to date with the lockfile, with nothing but Node and npm: the pinned
 * pnpm runs through `npm exec`, and nothing is installed globally.
 *
 * This module runs before anything is installed: it imports only Node. It reports on stderr, so that the
 * output of the program that follows stays clean.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The root folder of the workspace. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const stampFile = join(root, "node_modules", ".synchrotron-install")

/**
 * Checks Node and installs what is missing; ends the process with a message when that is not possible.
 */
export function install() {
  requireNode()
  const wanted = fingerprint()
  if (installedFingerprint() === wanted) return
  const started = Date.now()
  const { packageManager } = manifest
  console.error(`Installing dependencies (${packageManager} through npm)...`)
  const pnpm = ["exec", "--yes", `--package=${packageManager}`, "--", "pnpm"]
  const frozen = [
    "install",
    "--frozen-lockfile",
    "--reporter=append-only",
    "--config.confirmModulesPurge=false"
  ]
  const result = npm([...pnpm, ...frozen])
  if (result.status !== 0) {
    const said = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`.trim()
    fail(`${said}\n\nInstalling the dependencies failed: the reason is above.`)
  }
  writeFileSync(stampFile, wanted)
  console.error(`Dependencies installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
}

/** Ends the process with a message on stderr. @returns {never} */
export function fail(/** @type {string} */ message) {
  console.error(message)
  process.exit(1)
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const [, majorMin, minorMin] = /(\d+)\.(\d+)/.exec(manifest.engines.node) ?? []
  if (major > Number(majorMin) || (major === Number(majorMin) && minor >= Number(minorMin))) return
  fail(
    `Synchrotron needs Node ${majorMin}.${minorMin} or later, and this is Node ${process.versions.node}.\n` +
      "Install a current version from https://nodejs.org or with your version manager, and run the command again."
  )
}

/** Changes whenever an install could have something to do. */
function fingerprint() {
  const lockfile = read("pnpm-lock.yaml")
  const hash = createHash("sha256").update(process.platform + process.arch + process.versions.modules)
  hash.update(lockfile).update(read("pnpm-workspace.yaml"))
  for (const folder of importers(lockfile)) hash.update(read(join(folder, "package.json")))
  return hash.digest("hex")
}

function installedFingerprint() {
  const folders = importers(read("pnpm-lock.yaml"))
  if (!folders.every((folder) => existsSync(join(root, folder, "node_modules")))) return undefined
  return existsSync(stampFile) ? readFileSync(stampFile, "utf8") : undefined
}

/** The folders of the workspace's packages, as the lockfile lists them. */
function importers(/** @type {string} */ lockfile) {
  const section = /^importers:\n([\s\S]*?)^\S/m.exec(lockfile.replaceAll("\r\n", "\n"))?.[1] ?? ""
  return [...section.matchAll(/^ {2}(\S+):/gm)].map((match) => match[1] ?? ".")
}

function read(/** @type {string} */ path) {
  const file = join(root, path)
  return existsSync(file) ? readFileSync(file, "utf8") : ""
}

/** Runs npm without a shell where its script is found, which spares Windows the quoting of `npm.cmd`. */
function npm(/** @type {string[]} */ args) {
  const node = dirname(process.execPath)
  const script = [
    process.env.npm_execpath ?? "",
    join(node, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js"),
    join(node, "node_modules", "npm", "bin", "npm-cli.js")
  ].find((path) => path.endsWith("npm-cli.js") && existsSync(path))
  /** @type {import("node:child_process").SpawnSyncOptionsWithStringEncoding} */
  const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 }
  return script === undefined
    ? spawnSync("npm", args, { ...options, shell: process.platform === "win32" })
    : spawnSync(process.execPath, [script, ...args], options)
}
