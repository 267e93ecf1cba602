/**
 * I7. Every canonical record is executed alone as its principal, under row-level security: what was accepted must be
 * allowed, and what the server has of it must be what is allowed. What forged requests made up must be found nowhere.
 */
import { Effect } from "effect"
import { forgeryOf, isExpected, mark, markedIds } from "../run/forgeries.ts"
import type { Checker } from "./Checker.ts"
import { changes, described, whenReplayed } from "./canonical.ts"
import { patchesSql, recordsSql, removedParams } from "./log.ts"

export const authorization: Checker = {
  invariant: "I7",
  about:
    "No canonical record did what row-level security refuses its principal, refused ones did nothing, and forged requests are refused or without effect. Unknown when nothing was denied and nothing forged.",
  hooks: (world, reporter) => {
    const { read } = world.server

    /** What was made up and is canonical all the same. */
    const checkMarked = (when: string) =>
      Effect.map(
        read<{ id: string; name: string }>(
          "SELECT id, name FROM synchrotron.records WHERE id BETWEEN $1::uuid AND $2::uuid",
          markedIds
        ),
        (rows) => {
          for (const { id, name } of rows)
            reporter.violated(`${when} the forged record ${id} (${name}) is in the canonical order.`)
        }
      )

    const checkPrincipals = Effect.gen(function* () {
      const rows = yield* read<{ client_id: string; user_id: string; claims: string; id: string }>(
        `SELECT client_id, user_id, claims, min(id::text) AS id FROM ${recordsSql("$1")} AS r
         WHERE client_id IS NOT NULL GROUP BY client_id, user_id, claims`,
        [removedParams(world.server)[0]]
      )
      for (const row of rows) {
        const client = world.clients.find(({ clientId }) => clientId === row.client_id)
        if (client === undefined)
          reporter.violated(`${world.label(row.id)} came from the client ${row.client_id}, which nobody has.`)
        else if (row.user_id !== client.principal.userId)
          reporter.violated(
            `${world.label(row.id)} of ${client.name} was executed as user ${row.user_id}; the client is user ${client.principal.userId}'s.`
          )
        else if (row.claims !== JSON.stringify(client.principal.claims))
          reporter.violated(
            `${world.label(row.id)} of ${client.name} was executed with the claims ${row.claims}; its token has ${JSON.stringify(client.principal.claims)}.`
          )
      }
    })

    const checkMade = Effect.gen(function* () {
      const rows = yield* read<{ id: string; what: string }>(
        `SELECT id, user_id || ' ' || claims || ' ' || name || ' ' || args AS what FROM ${recordsSql("$1")} AS r
         WHERE strpos(user_id || ' ' || claims || ' ' || name || ' ' || args, $3) > 0
         UNION ALL SELECT record_id, tbl || ' ' || key || ' ' || coalesce(after::text, '') FROM ${patchesSql("$2")} AS p
         WHERE strpos(tbl || ' ' || key || ' ' || coalesce(after::text, ''), $3) > 0`,
        [...removedParams(world.server), mark]
      )
      for (const { id, what } of rows)
        reporter.violated(`${world.label(id)} has something forged in it: ${what.slice(0, 300)}`)
    })

    return {
      forged: (what, error) =>
        Effect.gen(function* () {
          const forgery = forgeryOf(what)
          if (forgery === undefined) return yield* Effect.dieMessage(`There is no forgery "${what}".`)
          const answer = error ?? "an ordinary answer"
          if (!isExpected(forgery, error))
            reporter.violated(
              `The forged request "${what}" got ${answer}; expected ${forgery.expect === "no effect" ? "an ordinary answer" : forgery.expect.error.join(" or ")}.`
            )
          if (mark in {})
            reporter.violated(`The forged request "${what}" has changed the prototype of every object.`)
          yield* checkMarked(`After the forged request "${what}" got ${answer},`)
          reporter.observed()
        }),
      finished: whenReplayed(world, reporter, (replay) =>
        Effect.gen(function* () {
          for (const record of replay.records) {
            const failure = replay.failures.get(record.id)
            if (failure?.denied)
              reporter.violated(
                `${described(world, record)} was accepted, and is denied to its principal when the log is executed alone: ${failure.message}`
              )
          }
          const { first } = replay
          if (first !== null && replay.coded.has(first.record.id) && !replay.failures.has(first.record.id)) {
            const allowed = new Set(first.alone.map((p) => `${p.tbl} ${p.key}`))
            const more = first.server.filter((p) => !allowed.has(`${p.tbl} ${p.key}`))
            // Other keys instead are no wider rights: what made them was not deterministic.
            if (more.length > 0 && more.length + first.alone.length === first.server.length)
              reporter.violated(
                `${described(world, first.record)} changed rows on the server that it does not reach as its principal: ${changes(more)}. Executed alone it did: ${changes(first.alone)}.`
              )
          }
          for (const { id, patches, status } of replay.strays)
            if (status === "refused")
              reporter.violated(
                `${world.label(id)} was refused, and the server keeps ${patches} patches of it.`
              )
          yield* checkMarked("At the end")
          yield* checkMade
          yield* checkPrincipals
          const [denied] = yield* read<{ count: number }>(
            "SELECT count(*)::integer AS count FROM synchrotron.dead_letters WHERE error::json ->> 'class' = 'denied'"
          )
          if (denied!.count > 0) reporter.observed()
        })
      )
    }
  }
}
