/** Finding a port. */
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

const triesMax = 20

/** Listens on `port`, or on the next free one after it; 0 takes any. Resolves to the port in use. */
export const listen = async (server: Server, host: string, port: number): Promise<number> => {
  for (let offset = 0; ; offset++) {
    try {
      return await listenOn(server, host, port + offset)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || offset === triesMax) throw error
    }
  }
}

const listenOn = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
