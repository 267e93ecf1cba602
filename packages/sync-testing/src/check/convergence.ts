/**
 * I1. At the end each client's tables equal the server's as its user sees them. Already during the faults: an answer is
 * read in one snapshot, and a client on which nothing is pending after applying it shows that snapshot, so that a
 * divergence is found at the first sync that makes it.
 */
import { Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView, Tables } from "./Checker.ts"
import { readShown, sightOf } from "./sight.ts"
import { answerKey, difference, pendingOf, Remembered, whose } from "./views.ts"

export const convergence: Checker = {
  invariant: "I1",
  about:
    "A client on which nothing is pending shows what its user sees on the server, after each sync and at the end. Unknown when no rows were there to compare.",
  hooks: (world, reporter) => {
    const viewsByAnswer = new Remembered<Tables>()

    const compare = (client: ClientView, expected: Tables, actual: Tables, when: string) => {
      const different = difference(expected, actual, { expected: "on the server", actual: "on the client" })
      if (different !== null)
        reporter.violated(
          `${when} nothing is pending on ${whose(client)}, and its tables are not what its user sees on the server: ${different}`
        )
      else if (Object.values(expected).some((rows) => rows.length > 0)) reporter.observed()
    }

    return {
      served: (exchange, response) =>
        // A full request leaves records behind, so that the client will show more than the snapshot.
        exchange.request.records.length >= Protocol.limits.recordsMax
          ? Effect.void
          : Effect.map(sightOf(world, exchange.client.principal, response), ({ view }) =>
              viewsByAnswer.set(answerKey(exchange, response), view)
            ),
      applied: (exchange, response, received) =>
        Effect.gen(function* () {
          const view = viewsByAnswer.take(answerKey(exchange, response))
          if (view === undefined || received.path === "stale") return
          const { pending, tables } = yield* readShown(world, exchange.client)
          if (pending > 0) return
          compare(
            exchange.client,
            view,
            tables,
            `After applying the answer to exchange ${exchange.number} (commit ${response.seq}, path ${received.path})`
          )
        }),
      finished: Effect.gen(function* () {
        for (const client of world.clients) {
          const pending = yield* pendingOf(client)
          if (pending > 0)
            reporter.violated(
              `At the end ${pending} records are still pending on ${whose(client)}, although it could sync.`
            )
          else
            compare(
              client,
              yield* world.server.viewOf(client.principal),
              yield* world.tablesOf(client),
              "At the end"
            )
        }
      })
    }
  }
}
