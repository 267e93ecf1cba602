/**
 * Ends this process with SIGKILL at the statement boundary that `KILL_AT` names: before the `n`th round trip to the
 * database after {@link arm}, or after it when `KILL_WHEN` is `after`.
 */
import { writeSync } from "node:fs"
import { PGlite } from "@electric-sql/pglite"
import pg from "pg"

const at = Number(process.env.KILL_AT ?? 0)
const after = process.env.KILL_WHEN === "after"
let armed = false
let count = 0

const die = () => process.kill(process.pid, "SIGKILL")

/** Counts from here on. */
export const arm = (): void => {
  armed = true
}

/** Round trips since {@link arm}. */
export const statements = (): number => count

/** A line that the parent has even when this process dies at once. */
export const say = (...words: ReadonlyArray<unknown>): void => {
  writeSync(1, `${words.join(" ")}\n`)
}

const step = <R>(run: () => R): R => {
  if (!armed) return run()
  const here = ++count === at
  if (here && !after) die()
  const result = run()
  if (here && after) {
    if (result instanceof Promise) result.finally(die)
    else die()
  }
  return result
}

const raw = PGlite.prototype.execProtocolRawStream
PGlite.prototype.execProtocolRawStream = function (...args) {
  return step(() => raw.apply(this, args))
}

const query = pg.Client.prototype.query as (...args: ReadonlyArray<unknown>) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...args: ReadonlyArray<unknown>) {
  return step(() => query.apply(this, args as never))
} as never
