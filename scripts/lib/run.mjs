/** Runs the workspace's programs as children of a script: same terminal, signals passed on, honest exit codes. */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { fail, root } from "./install.mjs"

/**
 * Runs a TypeScript program of this workspace and ends this process with its exit code.
 *
 * @param {string} entry path below the root, for example `bench/main.ts`
 * @param {{ cwd?: string, args: ReadonlyArray<string> }} options `cwd` is below the root
 */
export async function runTypeScript(entry, { cwd = ".", args }) {
  const file = join(root, entry)
  if (!existsSync(file)) fail(`${entry} is missing from this checkout.`)
  const tsx = pathToFileURL(join(root, "node_modules", "tsx", "dist", "loader.mjs")).href
  process.exitCode = await runNode(["--import", tsx, file, ...args], { cwd: join(root, cwd) })
}

/**
 * Runs Node on this terminal and resolves to the exit code.
 *
 * @param {ReadonlyArray<string>} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined> }} [options]
 * @returns {Promise<number>}
 */
export function runNode(args, options = {}) {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: "inherit"
  })
  // A terminal sends Ctrl-C to the child as well; a second SIGINT would cut its clean shutdown short.
  const interactive = process.stdin.isTTY || process.stdout.isTTY
  let signalled = false
  const pass = (/** @type {NodeJS.Signals} */ signal) => {
    signalled = true
    if (signal !== "SIGINT" || !interactive) child.kill(signal)
  }
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])
  for (const signal of signals) process.on(signal, pass)
  // npm sends SIGTERM to the shell between it and this script, and the shell dies without passing it on.
  const parent = process.ppid
  const orphaned = () => process.ppid !== parent && pass("SIGTERM")
  const watch = process.env.npm_lifecycle_event === undefined ? undefined : setInterval(orphaned, 300)
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("exit", (exitCode, signal) => {
      const code = exitCode ?? 128 + (signal ? constants.signals[signal] : 0)
      for (const name of signals) process.off(name, pass)
      clearInterval(watch)
      // Whoever stops the child stops the script that runs it, too.
      if (signalled) process.exit(code)
      resolve(code)
    })
  })
}
