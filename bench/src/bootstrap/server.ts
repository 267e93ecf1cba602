/** A server of the workload's application as a process of its own: says where it listens, and what memory it took. */
import { HttpServer } from "@effect/platform"
import { SyncServer } from "@synchrotron/sync-server"
import { Context, Effect, Layer } from "effect"
import { app } from "../workload.ts"

const { DATABASE_URL, SECRET } = process.env as Record<string, string>

Effect.gen(function* () {
  const context = yield* Layer.build(
    SyncServer.layer({
      app,
      database: { _tag: "postgres", url: DATABASE_URL! },
      jwtSecret: SECRET!,
      port: 0
    })
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  process.on("message", () => process.send!({ peakKiB: process.resourceUsage().maxRSS }))
  process.send!({ port: address._tag === "TcpAddress" ? address.port : 0 })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
