/**
 * Drives an installed Firefox over WebDriver BiDi (https://w3c.github.io/webdriver-bidi), which it speaks by itself. Playwright
 * asks for more than the ESR knows, and Puppeteer for a later Node.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import WebSocket from "ws"
import type { Driver, Tab } from "./support.ts"

/**
 * Starts it, headless and with an empty profile.
 *
 * @param path `inject("firefoxPath")`
 */
export const launchFirefox = async (path: string): Promise<Driver<Tab>> => {
  if (path === "") {
    throw new Error("No Firefox was found: `npm test` installs one on Debian, FIREFOX_PATH names another.")
  }
  const profile = await mkdtemp(join(tmpdir(), "synchrotron-firefox-"))
  const child = spawn(path, ["--headless", "--profile", profile, "--remote-debugging-port", "0"], {
    // Firefox refuses a home that is another user's, and keeps nothing in this one.
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" },
    stdio: ["ignore", "ignore", "pipe"]
  })
  const ended = once(child, "exit")
  const kill = () => child.kill("SIGKILL")
  process.once("exit", kill)
  const session = await Session.connect(await addressOf(child))
  return {
    profile: async () => {
      const { userContext } = await session.send<{ userContext: string }>("browser.createUserContext")
      return {
        open: (url) => openTab(session, userContext, url),
        close: () => session.send("browser.removeUserContext", { userContext })
      }
    },
    close: async () => {
      await session.send("browser.close").catch(() => {})
      await ended
      process.off("exit", kill)
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}

const openTab = async (session: Session, userContext: string, url: string): Promise<Tab> => {
  const { context } = await session.send<{ context: string }>("browsingContext.create", {
    type: "tab",
    userContext
  })
  await session.send("browsingContext.navigate", { context, url, wait: "complete" })
  return {
    evaluate: async (run) => {
      // As JSON, for BiDi has a form of its own for values.
      const expression = `(async () => JSON.stringify(await ${typeof run === "string" ? run : `(${run})()`}))()`
      const answer = await session.send<Evaluated>("script.evaluate", {
        expression,
        target: { context },
        awaitPromise: true
      })
      if (answer.type === "exception") throw new Error(answer.exceptionDetails.text)
      return answer.result.value === undefined ? undefined : JSON.parse(answer.result.value)
    },
    reload: () => session.send("browsingContext.reload", { context, wait: "complete" }),
    close: () => session.send("browsingContext.close", { context })
  }
}

type Evaluated =
  | { readonly type: "success"; readonly result: { readonly value?: string } }
  | { readonly type: "exception"; readonly exceptionDetails: { readonly text: string } }

/** The WebSocket's address, which Firefox says once it listens. */
const addressOf = async (child: ChildProcess): Promise<string> => {
  const said: Array<string> = []
  for await (const line of createInterface({ input: child.stderr! })) {
    const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? []
    if (address === undefined) {
      said.push(line)
      continue
    }
    child.stderr!.resume()
    return address
  }
  throw new Error(`Firefox did not start: ${said.join("\n")}`)
}

/** Commands and their answers. */
class Session {
  private readonly socket: WebSocket
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private sent = 0

  static async connect(address: string): Promise<Session> {
    const socket = new WebSocket(`${address}/session`)
    const session = new Session(socket)
    await once(socket, "open")
    await session.send("session.new", { capabilities: {} })
    await session.send("session.subscribe", { events: ["log.entryAdded"] })
    return session
  }

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on("message", (data) => {
      const message = JSON.parse(String(data)) as Answer | LogEntry
      if (message.type !== "event") this.waiting.get(message.id)?.(message)
      else if (message.params.level === "error") console.error(message.params.text)
    })
    socket.on("close", () => {
      for (const answer of this.waiting.values()) answer(gone)
    })
  }

  async send<Result>(method: string, params: Record<string, unknown> = {}): Promise<Result> {
    const id = ++this.sent
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve)
      this.socket.send(JSON.stringify({ id, method, params }), (error) => error && resolve(gone))
    })
    this.waiting.delete(id)
    if (answer.type === "error") throw new Error(`${method}: ${answer.error} ${answer.message}`)
    return answer.result as Result
  }
}

type Answer =
  | { readonly type: "success"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: string; readonly message: string }

const gone: Answer = { type: "error", id: 0, error: "Firefox is gone", message: "" }

interface LogEntry {
  readonly type: "event"
  readonly params: { readonly level: string; readonly text: string }
}
