/** What the main thread of a page spent its time on, from the browser's own trace. */
import type { Page } from "playwright-core"

export interface Task {
  /** By the clock; on a busy machine most of it may be waiting for a core. */
  readonly wallMs: number
  /** Of the processor. */
  readonly cpuMs: number
}

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tid: number
  readonly dur?: number
  readonly tdur?: number
}

/** Names the page's thread in the trace. */
const markName = "bench"

/** The tasks of a page's main thread until the returned function is called. */
export const traceTasks = async (page: Page): Promise<() => Promise<ReadonlyArray<Task>>> => {
  const session = await page.context().newCDPSession(page)
  const events: Array<TraceEvent> = []
  session.on("Tracing.dataCollected", ({ value }) => {
    events.push(...(value as unknown as ReadonlyArray<TraceEvent>))
  })
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { recordMode: "recordUntilFull", includedCategories: ["toplevel", "blink.user_timing"] }
  })
  await page.evaluate((name) => void performance.mark(name), markName)
  return async () => {
    const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve))
    await session.send("Tracing.end")
    await complete
    await session.detach()
    const mark = events.find(({ name }) => name === markName)!
    return events
      .filter(({ name, pid, tid }) => name.endsWith("RunTask") && pid === mark.pid && tid === mark.tid)
      .map(({ dur = 0, tdur = 0 }) => ({ wallMs: dur / 1000, cpuMs: tdur / 1000 }))
  }
}
