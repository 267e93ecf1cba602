/** A page's end of the worker that only has PGlite. One question at a time. */
import type { FromBare, ToBare } from "./bareWorker.ts"

export const openBare = () => {
  const worker = new Worker(new URL("./bareWorker.ts", import.meta.url), { type: "module" })
  let answered: (rows: ReadonlyArray<unknown>) => void = () => {}
  const bare = {
    /** Milliseconds until the answer is here, and the rows that it has. */
    ask: (question: ToBare) =>
      new Promise<{ readonly ms: number; readonly rows: ReadonlyArray<unknown> }>((resolve) => {
        const asked = performance.now()
        answered = (rows) => resolve({ ms: performance.now() - asked, rows })
        worker.postMessage(question)
      }),
    onTold: (_id: string): void => {}
  }
  worker.onmessage = ({ data }: MessageEvent<FromBare>) =>
    data._tag === "Answer" ? answered(data.rows) : bare.onTold(data.id)
  return bare
}
