/** `synchrotron-server` as a real process, which the test that started it ends. */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll } from "vitest"

const bin = fileURLToPath(new URL("../packages/sync-server/src/bin.ts", import.meta.url))
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

export interface ServerProcess {
  readonly child: ChildProcess
  readonly output: () => { readonly stdout: string; readonly stderr: string }
  /** The first match of the pattern in stdout. */
  readonly until: (pattern: RegExp) => Promise<RegExpMatchArray>
  readonly exit: Promise<number | null>
}

/** What the command prints when it listens: the port, and where the data is. */
export const ready = /^synchrotron-server listening on http:\/\/127\.0\.0\.1:(\d+) \((.+)\)$/m

const running = new Set<ServerProcess>()
afterAll(() => killAll())

/** Ends the processes of this file that are left. */
export const killAll = async (): Promise<void> => {
  for (const { child } of running) child.kill("SIGKILL")
  await Promise.all([...running].map(({ exit }) => exit))
}

export const launch = (
  args: ReadonlyArray<string>,
  { cwd, env }: { readonly cwd?: string; readonly env: Record<string, string> }
): ServerProcess => {
  const child = spawn(process.execPath, ["--import", tsx, bin, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env }
  })
  let stdout = ""
  let stderr = ""
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    stdout += chunk
    wake()
  })
  child.stderr.setEncoding("utf8").on("data", (chunk) => {
    stderr += chunk
  })
  const exit = new Promise<number | null>((resolve) => {
    child.on("close", (code) => {
      running.delete(launched)
      resolve(code)
      wake()
    })
  })
  const until = (pattern: RegExp) =>
    new Promise<RegExpMatchArray>((resolve, reject) => {
      const check = () => {
        const match = stdout.match(pattern)
        if (match) resolve(match)
        else if (child.exitCode !== null) reject(new Error(`exit ${child.exitCode}: ${stdout}${stderr}`))
        else return
        waiting.delete(check)
      }
      waiting.add(check)
      check()
    })
  const launched: ServerProcess = { child, output: () => ({ stdout, stderr }), until, exit }
  running.add(launched)
  return launched
}
