/**
 * I1. At the end each client's tables equal the server's as its user sees them. Already during the faults: an answer is
 * read in one snapshot, and a client on which nothing is pending after applying it shows that snapshot, so that a
 * divergence is found at the first sync that makes it. Where records are pending, the same holds of the confirmed state
 * from which they are replayed.
 */
import { Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView, Tables } from "./Checker.ts"
import { readConfirmed, readShown, type Sight, sightOf } from "./sight.ts"
import { answerKey, difference, imageText, isApplied, pendingOf, Remembered, whose } from "./views.ts"

export const convergence: Checker = {
  invariant: "I1",
  about:
    "A client shows what its user sees on the server, after each sync and at the end; where records are pending, what it takes for confirmed is that. Unknown when no rows were there to compare.",
  hooks: (world, reporter) => {
    const sightsByAnswer = new Remembered<Sight>()
    const names = { expected: "on the server", actual: "on the client" }

    const compare = (client: ClientView, expected: Tables, actual: Tables, when: string) => {
      const different = difference(expected, actual, names)
      if (different !== null)
        reporter.violated(
          `${when} nothing is pending on ${whose(client)}, and its tables are not what its user sees on the server: ${different}`
        )
      else if (Object.values(expected).some((rows) => rows.length > 0)) reporter.observed()
    }

    const compareConfirmed = (client: ClientView, sight: Sight, when: string) =>
      Effect.map(readConfirmed(world, client), (confirmed) => {
        const expected = [...sight.held].map((name) => `${name} ${imageText(sight.rows.get(name)!)}`)
        const actual = [...confirmed].map(([name, image]) => `${name} ${imageText(image)}`)
        const different = difference({ rows: expected }, { rows: actual }, names)
        if (different !== null)
          reporter.violated(
            `${when} records are pending on ${whose(client)}, and below them is not what its user sees on the server: ${different}`
          )
        else if (expected.length > 0) reporter.observed()
      })

    return {
      served: (exchange, response) =>
        // A full request leaves records behind, so that the client will show more than the snapshot.
        exchange.request.records.length >= Protocol.limits.recordsMax
          ? Effect.void
          : Effect.map(sightOf(world, exchange.client.principal, response), (sight) =>
              sightsByAnswer.set(answerKey(exchange, response), sight)
            ),
      applied: (exchange, response, received) =>
        Effect.gen(function* () {
          const sight = sightsByAnswer.take(answerKey(exchange, response))
          if (sight === undefined || !isApplied(received)) return
          const { pending, tables } = yield* readShown(world, exchange.client)
          const when = `After applying the answer to exchange ${exchange.number} (commit ${response.seq}, path ${received.path})`
          if (pending === 0) compare(exchange.client, sight.view, tables, when)
          else yield* compareConfirmed(exchange.client, sight, when)
        }),
      finished: Effect.gen(function* () {
        for (const client of world.clients) {
          const pending = yield* pendingOf(client, world.app)
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
