/** The application's server, as `npm start` runs it. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))
const workspace = fileURLToPath(new URL("../../../..", import.meta.url))

export interface Running {
  readonly url: string
  /** Ends the server as Ctrl-C does, and resolves to its exit code. */
  readonly stop: () => Promise<number | null>
}

export const startServer = (dataDir: string, ...args: ReadonlyArray<string>): Promise<Running> => {
  const tsx = pathToFileURL(join(workspace, "node_modules", "tsx", "dist", "loader.mjs")).href
  const child: ChildProcess = spawn(process.execPath, ["--import", tsx, "server.ts", ...args], {
    cwd: root,
    env: { ...process.env, PORT: "0", SYNCHROTRON_DATA_DIR: dataDir },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve))
  const stop = () => {
    child.kill("SIGTERM")
    return exited
  }
  let output = ""
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text
      const url = /Synchrotron todo app: (\S+)/.exec(output)?.[1]
      if (url !== undefined) resolve({ url, stop })
    })
    child.once("exit", (code) => reject(new Error(`The server ended with code ${code}:\n${output}`)))
  })
}
