/** A server in a process of its own, over HTTP and a Postgres: `DATABASE_URL` says which. Tells its port and its memory. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { HttpServer } from "@effect/platform"
import { SyncServer } from "@synchrotron/sync-server"
import { Context, Effect, Layer, Scope } from "effect"
import { app } from "../workload.ts"
import { jwtSecret } from "./secret.ts"

/** Bytes in use after everything was let go that can be. */
const memory = async (): Promise<number> => {
  for (let i = 0; i < 4; i++) {
    global.gc!()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { arrayBuffers, external, heapUsed } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

/** The floor: every request is an event stream, and all get what the parent says. */
const serveBare = () =>
  new Promise<number>((resolve) => {
    const responses = new Set<import("node:http").ServerResponse>()
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(": hello\n\n")
      responses.add(response)
      response.on("close", () => responses.delete(response))
    })
    process.on("message", (message: { readonly write?: string }) => {
      if (message.write !== undefined) for (const response of responses) response.write(message.write)
    })
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })

const serveSync = async (url: string) => {
  const context = await Effect.runPromise(
    Scope.extend(
      Layer.build(SyncServer.layer({ app, database: { _tag: "postgres", url }, jwtSecret, port: 0 })),
      Effect.runSync(Scope.make())
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  return address._tag === "TcpAddress" ? address.port : 0
}

process.on("message", (message: { readonly memory?: true }) => {
  if (message.memory) void memory().then((bytes) => process.send!({ bytes }))
})
process.on("disconnect", () => process.exit(0))
const url = process.env.DATABASE_URL
process.send!({ port: await (url === undefined ? serveBare() : serveSync(url)) })
