/**
 * A lock file beside a data directory (`<dir>.lock`), for Node only: PGlite itself lets two instances open one
 * directory, and they diverge. Loaded dynamically, so that browser bundles do not need Node's modules.
 *
 * A lock is stale, and taken over, when its process is gone: on this host by its pid (and, on Linux, the
 * start time of that pid, so that pid 1 of a restarted container is not mistaken for its predecessor); on
 * another host, as with a shared volume, when its heartbeat stopped.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import { PgliteLocked } from "./Errors.ts"

interface Holder {
  readonly pid: number
  readonly host: string
  /** The start of the process in clock ticks since boot, "" where the platform does not tell. */
  readonly started: string
  /** Unique per lock. */
  readonly token: string
}

const heartbeatMs = 5_000
const heartbeatStaleMs = 30_000

/**
 * Locks a data directory, creating it when it is missing.
 *
 * @returns a function that gives the lock back
 * @throws PgliteLocked when another process, or another client of this process, holds it
 */
export const acquireLock = (dataDir: string): (() => void) => {
  fs.mkdirSync(dataDir, { recursive: true })
  const lockFile = `${fs.realpathSync(dataDir)}.lock`
  const holder: Holder = {
    pid: process.pid,
    host: os.hostname(),
    started: startOf(process.pid),
    token: crypto.randomUUID()
  }
  const content = JSON.stringify(holder)
  for (let attempt = 0; ; attempt++) {
    if (tryCreate(lockFile, content)) break
    const found = read(lockFile)
    if (found !== undefined && (attempt > 5 || isHeld(found, lockFile))) {
      throw new PgliteLocked({ dataDir, lockFile, pid: found.pid, host: found.host })
    }
    if (found !== undefined) takeAway(lockFile, found)
  }
  removeEmptyPid(dataDir)
  const timer = setInterval(() => touch(lockFile), heartbeatMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    if (read(lockFile)?.token === holder.token) fs.rmSync(lockFile, { force: true })
  }
}

/** Of a start that was cut short: Postgres does not start with an empty one. */
const removeEmptyPid = (dataDir: string): void => {
  const pidFile = `${dataDir}/postmaster.pid`
  if (fs.statSync(pidFile, { throwIfNoEntry: false })?.size === 0) fs.rmSync(pidFile, { force: true })
}

/** The file appears with its content at once: a reader never sees half of it. */
const tryCreate = (lockFile: string, content: string): boolean => {
  const draft = `${lockFile}.${crypto.randomUUID()}`
  fs.writeFileSync(draft, content)
  try {
    fs.linkSync(draft, lockFile)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    // A file system without hard links.
    return tryCreateExclusive(lockFile, content)
  } finally {
    fs.rmSync(draft, { force: true })
  }
}

const tryCreateExclusive = (lockFile: string, content: string): boolean => {
  try {
    fs.writeFileSync(lockFile, content, { flag: "wx" })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

/** Undefined when there is no lock file. One that cannot be read counts as a lock of nobody. */
const read = (lockFile: string): Holder | undefined => {
  let content: string
  try {
    content = fs.readFileSync(lockFile, "utf8")
  } catch {
    return undefined
  }
  try {
    return JSON.parse(content) as Holder
  } catch {
    return { pid: 0, host: os.hostname(), started: "", token: "" }
  }
}

const isHeld = (holder: Holder, lockFile: string): boolean => {
  if (holder.host !== os.hostname()) {
    const lastBeatMs = fs.statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? 0
    return Date.now() - lastBeatMs < heartbeatStaleMs
  }
  return isAlive(holder.pid) && startOf(holder.pid) === holder.started
}

const isAlive = (pid: number): boolean => {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

const startOf = (pid: number): string => {
  try {
    // The command name, in parentheses, may contain anything; the 20th field behind it is the start time.
    return (
      fs
        .readFileSync(`/proc/${pid}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ")[19] ?? ""
    )
  } catch {
    return ""
  }
}

/** Removes the stale lock, unless another opener was faster and the file is already its own. */
const takeAway = (lockFile: string, stale: Holder): void => {
  const aside = `${lockFile}.${crypto.randomUUID()}`
  try {
    fs.renameSync(lockFile, aside)
  } catch {
    return
  }
  if (read(aside)?.token !== stale.token) {
    try {
      fs.linkSync(aside, lockFile)
    } catch {
      // A third opener holds it now; the second one finds out at its next start.
    }
  }
  fs.rmSync(aside, { force: true })
}

const touch = (lockFile: string): void => {
  try {
    const now = new Date()
    fs.utimesSync(lockFile, now, now)
  } catch {
    // Deleted by hand: nothing to keep alive.
  }
}
