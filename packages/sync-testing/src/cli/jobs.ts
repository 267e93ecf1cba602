/** A batch on several cores: child processes, each with databases of its own. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Batch, Watch } from "./batch.ts"
import type { FromWorker, ToWorker } from "./worker.ts"

const worker = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)
)

/** Rejects with what the first of them said that could not go on; the others are ended then. */
export const runJobs = async (
  batch: Batch,
  jobs: number,
  { signal, onOutcome }: Pick<Watch, "signal" | "onOutcome">
): Promise<void> => {
  const children = Array.from({ length: jobs }, () =>
    // Nothing of theirs may get between the lines of this process.
    fork(worker, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  )
  const tell = (child: ChildProcess, message: ToWorker) => child.connected && child.send(message)
  const stop = () => {
    for (const child of children) tell(child, "stop")
  }
  signal.addEventListener("abort", stop)
  try {
    await Promise.all(
      children.map(
        (child, job) =>
          new Promise<void>((resolve, reject) => {
            child.on("message", (message: FromWorker) => {
              if (message._tag === "outcome") onOutcome(message.outcome)
              else if (message._tag === "failed") reject(new Error(message.message))
              else resolve()
            })
            child.on("error", reject)
            child.on("exit", (code, ended) =>
              reject(new Error(`Job ${job} of ${jobs} ended by ${ended ?? `itself with code ${code}`}.`))
            )
            tell(child, { batch, share: { job, jobs } })
            if (signal.aborted) tell(child, "stop")
          })
      )
    )
  } finally {
    signal.removeEventListener("abort", stop)
    for (const child of children) child.kill("SIGKILL")
  }
}
