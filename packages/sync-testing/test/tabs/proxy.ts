/** What stands between tabs and the sync server: it can be down, and keep answers back. */
import { createServer, request } from "node:http"
import type { AddressInfo } from "node:net"

export interface Proxy {
  readonly url: string
  /** Ends every connection and takes none. */
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
  /** Keeps back the answers to what is sent from now on; resolves when the server has given one. */
  readonly hold: () => Promise<void>
  readonly release: () => void
  /** As it was at the beginning, whatever came of it. */
  readonly restart: () => Promise<void>
  readonly close: () => Promise<void>
}

/** @param target address of the server */
export const startProxy = async (target: string): Promise<Proxy> => {
  let hold:
    | { readonly released: Promise<void>; readonly release: () => void; readonly note: () => void }
    | undefined
  const server = createServer((asked, answer) => {
    const { headers, method, url } = asked
    const held = method === "POST" ? hold : undefined
    const onward = request(`${target}${url}`, { headers, method: method! }, async (given) => {
      held?.note()
      await held?.released
      answer.writeHead(given.statusCode!, given.headers)
      given.pipe(answer)
    })
    onward.on("error", () => answer.destroy())
    answer.on("close", () => onward.destroy())
    asked.pipe(onward)
  })
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()))
  await listen(0)
  const { port } = server.address() as AddressInfo
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const release = () => {
    hold?.release()
    hold = undefined
  }
  return {
    url: `http://127.0.0.1:${port}`,
    stop,
    start: () => listen(port),
    hold: () =>
      new Promise((note) => {
        let release = () => {}
        const released = new Promise<void>((resolve) => {
          release = resolve
        })
        hold = { released, release, note }
      }),
    release,
    restart: async () => {
      release()
      await stop()
      await listen(port)
    },
    close: async () => {
      release()
      await stop()
    }
  }
}
