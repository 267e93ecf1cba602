/** A server of the kitchen's application on a free port, over a store in a directory or over Postgres. */
import { HttpServer } from "@effect/platform"
import { SyncServer } from "@synchrotron/sync-server"
import { Context, Effect, Layer } from "effect"
import { kitchenApp } from "../kitchen.ts"
import { arm, say } from "./kill.ts"

const { DIR, DATABASE_URL, SECRET } = process.env

Effect.gen(function* () {
  const context = yield* Layer.build(
    SyncServer.layer({
      app: kitchenApp,
      database:
        DATABASE_URL === undefined
          ? { _tag: "embedded", dataDir: DIR! }
          : { _tag: "postgres", url: DATABASE_URL },
      jwtSecret: SECRET!,
      port: 0
    })
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  arm()
  say("listening", address._tag === "TcpAddress" ? address.port : 0)
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
