/** One sync of a replica over HTTP. */
import { Protocol, type Replica } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"

const encode = Schema.encode(Schema.parseJson(Protocol.SyncRequest))
const decode = Schema.decode(Schema.parseJson(Protocol.SyncResponse))

/** Fails when the server does not answer, or dies while it does. */
export const syncOver = (replica: Replica.Replica, url: string, token: string) =>
  Effect.gen(function* () {
    const request = yield* replica.request
    const body = yield* encode(request)
    const text = yield* Effect.tryPromise(async () => {
      const response = await fetch(`${url}/v1/sync`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          connection: "close"
        },
        body
      })
      const text = await response.text()
      if (response.status !== 200) throw new Error(text)
      return text
    })
    return yield* replica.receive(request, yield* decode(text))
  })
