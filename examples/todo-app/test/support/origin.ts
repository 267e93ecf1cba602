/** One address for a server that comes and goes, and what was asked of it. */
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse
} from "node:http"
import type { AddressInfo } from "node:net"

export class Origin {
  /** Paths with their queries, oldest first; clear it as you like. */
  readonly asked: Array<string> = []
  /** At a request for this, everything breaks off. */
  diesAt: ((path: string) => boolean) | undefined
  private held: ((path: string) => Promise<void> | undefined) | undefined
  private server: Server | undefined
  private port = 0

  get url(): string {
    return `http://localhost:${this.port}`
  }

  /** The next request for this waits until `end` is called; `begun` resolves when there is one. */
  hold(matches: (path: string) => boolean): { readonly begun: Promise<void>; readonly end: () => void } {
    let end = () => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const begun = new Promise<void>((resolve) => {
      this.held = (path) => {
        if (!matches(path)) return undefined
        this.held = undefined
        resolve()
        return ended
      }
    })
    return { begun, end }
  }

  /** Passes requests on to `url`, at the same address as before. */
  async listen(url: string): Promise<void> {
    await this.close()
    const { port } = new URL(url)
    const server = createServer(async (message, out) => {
      await this.held?.(message.url ?? "/")
      this.pass(Number(port), message, out)
    })
    this.server = server
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(this.port, "127.0.0.1", resolve)
    })
    this.port = (server.address() as AddressInfo).port
  }

  /** Nobody answers any more, and connections that are open break. */
  close(): Promise<void> {
    const { server } = this
    this.server = undefined
    return new Promise((resolve) => {
      if (server === undefined) return resolve()
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  get isOpen(): boolean {
    return this.server !== undefined
  }

  private pass(port: number, message: IncomingMessage, out: ServerResponse): void {
    const path = message.url ?? "/"
    if (this.diesAt?.(path)) {
      this.diesAt = undefined
      void this.close()
      return
    }
    this.asked.push(path)
    const passed = forward(
      { port, host: "127.0.0.1", path, method: message.method, headers: message.headers },
      (answer) => {
        out.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(out)
        answer.once("error", () => out.destroy())
      }
    )
    passed.once("error", () => out.destroy())
    out.once("close", () => passed.destroy())
    message.pipe(passed)
  }
}
