/**
 * Owns one temporary Postgres for the process that started this one.
 *
 *   stdin   the leash: when it closes, the server stops, its folder is removed and this process ends
 *   stdout  one line, the connection string, once the server accepts connections
 *   stderr  the server's log, until it is ready
 *
 * Argument: JSON `{ bin, durable }`.
 */
import { spawn, spawnSync } from "node:child_process"
import { chownSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

/** @type {{ bin: string, durable: boolean }} */
const settings = JSON.parse(process.argv[2] ?? "{}")
const windows = process.platform === "win32"
const exe = windows ? ".exe" : ""
const stopMs = 10_000

const folder = mkdtempSync(join(tmpdir(), "synchrotron-pg-"))
const data = join(folder, "data")
/** @type {import("node:child_process").ChildProcess | undefined} */
let server
let stopping = false

process.stdin.resume().on("end", stop).on("error", stop)
process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", stop)

try {
  const owner = unprivilegedOwner()
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  const as = { cwd: folder, windowsHide: true, ...owner, env: serverEnvironment() }
  const bin = readableBin(as)
  initialise(bin, as)
  const port = await start(bin, as)
  process.stdout.write(`postgres://postgres@127.0.0.1:${port}/postgres\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
  stop()
}

/**
 * Postgres refuses to run as root: root lends the server another account that exists on every Unix.
 *
 * @returns {{ uid: number, gid: number } | undefined}
 */
function unprivilegedOwner() {
  if (windows || process.getuid?.() !== 0) return undefined
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n")
  for (const name of ["postgres", "nobody"]) {
    const fields = accounts.find((line) => line.startsWith(`${name}:`))?.split(":")
    const uid = Number(fields?.[2])
    if (uid > 0) return { uid, gid: Number(fields?.[3]) }
  }
  throw new Error("Postgres does not run as root, and there is no account postgres or nobody to run it as.")
}

/** The PG* variables of the caller are about another server. */
function serverEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("PG") && !name.startsWith("LC_")
  )
  return { ...Object.fromEntries(kept), HOME: folder }
}

/**
 * The other account may not be able to read binaries below a private home: then it gets a copy.
 *
 * @param {import("node:child_process").SpawnSyncOptions} as
 */
function readableBin(as) {
  const version = (/** @type {string} */ bin) =>
    spawnSync(join(bin, `postgres${exe}`), ["--version"], as).status
  if (version(settings.bin) === 0) return settings.bin
  const copy = join(folder, "native")
  cpSync(dirname(settings.bin), copy, { recursive: true, dereference: true })
  return join(copy, "bin")
}

/**
 * Collation C gives PGlite and Postgres the same order everywhere; ctype needs UTF-8 for lower() and upper(),
 * under the first name that this system knows.
 *
 * @param {string} bin
 * @param {import("node:child_process").SpawnSyncOptions} as
 */
function initialise(bin, as) {
  let output = ""
  for (const ctype of ["C.UTF-8", "C.utf8", "en_US.UTF-8", "C"]) {
    rmSync(data, { recursive: true, force: true })
    const result = spawnSync(
      join(bin, `initdb${exe}`),
      ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", `--lc-ctype=${ctype}`, "-N"],
      { ...as, encoding: "utf8" }
    )
    if (result.status === 0) return
    output = `initdb: ${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`
  }
  throw new Error(output)
}

/**
 * Starts the server and resolves to its port. Between finding a free port and binding it another process
 * may take it, so a failed start is tried again on another.
 *
 * @param {string} bin
 * @param {import("node:child_process").SpawnOptions} as
 */
async function start(bin, as) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      await (windows ? startWithPgCtl(bin, as, port) : startDirectly(bin, as, port))
      return port
    } catch (error) {
      if (attempt === 3 || stopping) throw error
    }
  }
}

/** @returns {Promise<void>} */
function startDirectly(
  /** @type {string} */ bin,
  /** @type {import("node:child_process").SpawnOptions} */ as,
  /** @type {number} */ port
) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, "postgres"), ["-D", data, ...serverArguments(port)], {
      ...as,
      stdio: ["ignore", "ignore", "pipe"]
    })
    server = child
    let log = ""
    child.stderr?.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      log = (log + chunk).slice(-8000)
      if (log.includes("ready to accept connections")) resolve()
    })
    child.once("error", reject)
    child.once("exit", () => {
      server = undefined
      reject(new Error(log))
      if (process.exitCode === undefined && !stopping) process.exitCode = 1
    })
  })
}

/**
 * On Windows only pg_ctl starts a server from an administrator's account: it drops the rights first.
 *
 * @returns {Promise<void>}
 */
async function startWithPgCtl(
  /** @type {string} */ bin,
  /** @type {import("node:child_process").SpawnOptions} */ as,
  /** @type {number} */ port
) {
  const log = join(folder, "log")
  const options = serverArguments(port).join(" ")
  const result = spawnSync(join(bin, "pg_ctl.exe"), ["start", "-w", "-D", data, "-l", log, "-o", options], {
    ...as,
    stdio: "ignore"
  })
  if (result.status !== 0) throw new Error(readFileSync(log, "utf8"))
}

function serverArguments(/** @type {number} */ port) {
  const values = {
    listen_addresses: "127.0.0.1",
    port,
    ...(windows ? {} : { unix_socket_directories: "" }),
    max_connections: 200,
    jit: "off",
    timezone: "UTC",
    // "log" ranks above "error": the ready message stays, the errors that tests provoke do not.
    log_min_messages: "log",
    ...(settings.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" })
  }
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`])
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}

/** Stops the server at once (its data is thrown away, so nothing is worth a checkpoint) and cleans up. */
function stop() {
  if (stopping) return
  stopping = true
  const finish = () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    process.exit()
  }
  if (windows) {
    spawnSync(join(settings.bin, "pg_ctl.exe"), ["stop", "-m", "immediate", "-D", data], { stdio: "ignore" })
    finish()
  } else if (server === undefined) {
    finish()
  } else {
    server.once("exit", finish)
    server.kill("SIGQUIT")
    setTimeout(() => server?.kill("SIGKILL"), stopMs).unref()
  }
}
