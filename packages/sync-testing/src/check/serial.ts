/** I2. The server's tables are those of its log: executed alone, record after record, on an empty database. */
import { Effect } from "effect"
import type { Checker } from "./Checker.ts"
import { changes, described, whenReplayed } from "./canonical.ts"
import { difference, tablesOf } from "./views.ts"

export const serial: Checker = {
  invariant: "I2",
  about:
    "At the end the canonical log, executed alone on an empty database in its order, leaves the server's tables, row for row. Unknown when the log has no record of a client.",
  hooks: (world, reporter) => ({
    finished: whenReplayed(world, reporter, (replay) =>
      Effect.gen(function* () {
        for (const record of replay.records) {
          const failure = replay.failures.get(record.id)
          // What row-level security refuses is I7's to say.
          if (failure === undefined || failure.denied) continue
          reporter.violated(
            `${described(world, record)} is canonical, and fails when the log is executed alone: ${failure.message}`
          )
        }
        for (const { id, patches, status } of replay.strays)
          if (status !== "refused")
            reporter.violated(
              `The server keeps ${patches} patches of ${world.label(id)}, which ${status === "voided" ? "was voided and must have no effect" : "is no record of its"}.`
            )
        const { first } = replay
        if (first !== null && !replay.coded.has(first.record.id))
          reporter.violated(
            `${described(world, first.record)} did on the server: ${changes(first.server)}. The same patches, applied where the log has it, did: ${changes(first.alone)}.`
          )
        const different = difference(
          yield* tablesOf(replay.reference.sql, world.app),
          yield* world.server.tables,
          { expected: "after the log, executed alone", actual: "on the server" }
        )
        if (different !== null)
          reporter.violated(
            `The server's tables are not what its ${replay.records.length} canonical records leave on an empty database: ${different}`
          )
        else if (replay.coded.size > 0) reporter.observed()
      })
    )
  })
}
