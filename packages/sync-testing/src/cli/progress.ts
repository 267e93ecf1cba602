/** One line on a terminal that says how far a batch is. */
import * as Duration from "../timeline/Duration.ts"
import { perSecond, type Totals } from "./totals.ts"

export interface Progress {
  readonly batch: (totals: Totals) => void
  /** Something else than seeds: the steps of the run, the tries of shrinking. */
  readonly note: (text: string) => void
  /** Leaves the line empty, before something else is written. */
  readonly clear: () => void
}

const rewriteMs = 200
const logMs = 60_000

/**
 * Rewrites one line of stderr when that is a terminal. Where it is not, nothing is written, but a line a minute of a batch
 * that has no end.
 *
 * @param seeds how many are to be run, or null for no end
 */
export const make = (
  seeds: number | null,
  stream: {
    readonly isTTY?: boolean
    readonly columns?: number
    write(text: string): unknown
  } = process.stderr
): Progress => {
  const beganMs = performance.now()
  const everyMs = stream.isTTY ? rewriteMs : logMs
  let writtenMs = stream.isTTY ? Number.NEGATIVE_INFINITY : beganMs
  let line = ""
  const write = (text: () => string) => {
    const nowMs = performance.now()
    if (nowMs - writtenMs < everyMs || (!stream.isTTY && seeds !== null)) return
    writtenMs = nowMs
    if (stream.isTTY) {
      line = text().slice(0, (stream.columns ?? 80) - 1)
      stream.write(`\r\x1b[2K${line}`)
    } else stream.write(`${text()}\n`)
  }
  return {
    batch: (totals) =>
      write(() => {
        const ms = performance.now() - beganMs
        const unknown = Object.values(totals.checks).reduce((sum, check) => sum + check.unknown, 0)
        return [
          `${totals.seeds}${seeds === null ? "" : `/${seeds}`} seeds`,
          `${perSecond(totals.seeds, ms)} seeds/s`,
          `${perSecond(totals.actions, ms)} actions/s`,
          `${totals.byVerdict.fail} failed`,
          `${unknown} checks unknown`,
          Duration.short(ms)
        ].join(", ")
      }),
    note: (text) => {
      if (stream.isTTY) write(() => text)
    },
    clear: () => {
      if (line !== "") stream.write("\r\x1b[2K")
      line = ""
      if (stream.isTTY) writtenMs = Number.NEGATIVE_INFINITY
    }
  }
}
