/**
 * I8. Two executions of one record on one state are compared twice: the server's last one with that of the log executed
 * alone (another engine's, when the server is a Postgres), and the client's own with the server's, by digest.
 */
import { Effect } from "effect"
import type { Checker } from "./Checker.ts"
import { changes, described, whenReplayed } from "./canonical.ts"
import { closedSql } from "./log.ts"

export const determinism: Checker = {
  invariant: "I8",
  about:
    "Each canonical record leaves the same net patches when the log is executed alone, and a record called applied leaves the client's own. Unknown when no record of a client changed a row.",
  hooks: (world, reporter) => {
    /** All digests that a client ever sent with a record: a request may be sent again after a replay. */
    const digestsById = new Map<string, Set<string | null>>()
    const note = (records: ReadonlyArray<{ readonly id: string; readonly digest: string | null }>) => {
      for (const { digest, id } of records) {
        const known = digestsById.get(id)
        if (known === undefined) digestsById.set(id, new Set([digest]))
        else known.add(digest)
      }
    }

    return {
      sent: ({ request }) => Effect.sync(() => note(request.records)),
      served: ({ request }, response) =>
        Effect.gen(function* () {
          note(request.records)
          const outcomes = new Map(
            response.verdicts.map((verdict) => [verdict.id as string, verdict.outcome])
          )
          const judged = request.records.filter(({ id }) =>
            ["applied", "changed"].includes(outcomes.get(id) ?? "")
          )
          if (judged.length === 0) return
          // What was judged by the last commit is as it was judged; later commits may have revised the others, and of
          // what is closed by now the patches may be gone.
          const rows = yield* world.server.read<{ id: string; digest: string | null }>(
            `WITH fresh AS (
               SELECT r.id FROM synchrotron.records AS r, synchrotron.realm
               WHERE r.id = ANY ($1::uuid[]) AND r.seq = realm.seq AND NOT (${closedSql})
             )
             SELECT f.id, d.digest FROM fresh AS f
             LEFT JOIN synchrotron.digests((SELECT array_agg(id) FROM fresh)) AS d ON d.record_id = f.id`,
            [judged.map((record) => record.id)]
          )
          for (const { digest, id } of rows) {
            const sent = digestsById.get(id)!
            const outcome = outcomes.get(id)!
            if (outcome === "applied" && !sent.has(digest))
              reporter.violated(
                `The server calls ${world.label(id)} applied as on its client, and the digest of its patches is ${digest ?? "that of no patches"}, where the client sent ${[...sent].join(" or ")}.`
              )
            else if (outcome === "changed" && sent.size === 1 && sent.has(digest))
              reporter.violated(
                `The server calls ${world.label(id)} changed, and its patches have the digest that the client sent: ${digest ?? "that of no patches"}.`
              )
            else if (outcome === "applied" && digest !== null) reporter.observed()
          }
        }),
      finished: whenReplayed(world, reporter, (replay) =>
        Effect.sync(() => {
          const { coded, failures, first } = replay
          // An external record that differs began on another state: that is I2's to say, as is a record that fails.
          if (first !== null && coded.has(first.record.id) && !failures.has(first.record.id))
            reporter.violated(
              `${described(world, first.record)} did on the server: ${changes(first.server)}. Executed alone after the same records it did: ${changes(first.alone)}. ${
                sameBefore(first.server, first.alone)
                  ? "It found the same rows"
                  : "It found other rows, so records before it were not executed in this order"
              }; ${first.count - 1} records after it differ too.`
            )
          else if (
            first === null &&
            replay.records.some((record) => coded.has(record.id) && record.net !== null)
          )
            reporter.observed()
        })
      )
    }
  }
}

type Before = ReadonlyArray<{ readonly tbl: string; readonly key: string; readonly before: string | null }>

/** Whether the rows that both wrote were the same before. */
const sameBefore = (a: Before, b: Before): boolean => {
  const images = new Map(a.map((p) => [`${p.tbl} ${p.key}`, p.before]))
  return b.every((p) => (images.get(`${p.tbl} ${p.key}`) ?? p.before) === p.before)
}
