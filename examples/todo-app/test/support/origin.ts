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
  private server: Server | undefined
  private port = 0

  get url(): string {
    return `http://localhost:${this.port}`
  }

  /** Passes requests on to `url`, at the same address as before. */
  async listen(url: string): Promise<void> {
    await this.close()
    const { port } = new URL(url)
    const server = createServer((message, out) => this.pass(Number(port), message, out))
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
