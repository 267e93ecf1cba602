/**
 * I5. Looks at every commit. On a client each of the engine's operations is one commit, so what changed in a commit says
 * which operation it was, and half an operation is no operation:
 *
 * | operation | records                                              | rows       |
 * |-----------|------------------------------------------------------|------------|
 * | execute   | one is added as pending                              | may change |
 * | retry     | the same, and one leaves the inbox                   | may change |
 * | dismiss   | one leaves the inbox                                 | do not     |
 * | apply     | pending ones are judged, or cursors move             | may change |
 * | restamp   | all pending ones get other stamps                    | may change |
 * | forget    | cursors go                                           | do not     |
 */
import { Effect } from "effect"
import type { Checker, ClientView } from "./Checker.ts"
import { type ClientState, clientStateOf, difference, digestsOf, digestsOfRows, few, whose } from "./views.ts"

interface Watched {
  last: ClientState | null
  /** Digests of the tables after the last commits. */
  readonly recent: Array<string>
  /** Commits since the last answer was applied that applied one. */
  applies: number
  /** Canonical records that this client was told of, and may replay. */
  readonly canonical: Set<string>
}

/** So many commits may come between what a reader saw and the moment at which it says so. */
const recentMax = 4

export const atomicity: Checker = {
  invariant: "I5",
  about:
    "Each operation of the engine is one commit, readers see commits only, and a crash leaves one. Unknown when no commit changed rows.",
  hooks: (world, reporter) => {
    const serverSql = `SELECT seq,
      (SELECT coalesce(md5(string_agg(r.id || r.status || r.hlc, ' ' ORDER BY r.id)), '') FROM synchrotron.records AS r) AS records,
      (SELECT count(*)::integer FROM synchrotron.undone) AS undone,
      (SELECT count(*)::integer FROM synchrotron.external_writes) AS writes
      FROM synchrotron.realm`

    const watchedByClient = new Map<string, Watched>()
    const watchedOf = (client: ClientView): Watched => {
      const known = watchedByClient.get(client.name)
      if (known !== undefined) return known
      const watched: Watched = { last: null, recent: [], applies: 0, canonical: new Set() }
      watchedByClient.set(client.name, watched)
      return watched
    }
    const stateOf = (client: ClientView) => clientStateOf(client, world.app)

    const keep = (watched: Watched, state: ClientState) => {
      watched.last = state
      if (watched.recent.at(-1) === state.tables) return
      watched.recent.push(state.tables)
      if (watched.recent.length > recentMax) watched.recent.shift()
    }

    const checkInside = (client: ClientView, state: ClientState, { canonical }: Watched) => {
      const pending = state.records.some(([, status]) => status === "pending")
      if (!pending && state.journal + state.later > 0)
        reporter.violated(
          `Nothing is pending on ${whose(client)}, and its journal still has ${state.journal} patches, and ${state.later} of later records.`
        )
      else {
        const strays = state.strays.filter((id) => !canonical.has(id))
        if (strays.length > 0)
          reporter.violated(
            `The journal of ${whose(client)} has patches of records that are neither pending there nor canonical: ${few(strays.map(world.label))}`
          )
      }
    }

    const checkStep = (client: ClientView, watched: Watched, before: ClientState, after: ClientState) => {
      const was = new Map(before.records.map(([id, status, hlc]) => [id, { status, hlc }]))
      const is = new Map(after.records.map(([id, status, hlc]) => [id, { status, hlc }]))
      const pendingBefore = before.records.filter(([, status]) => status === "pending")
      const added = after.records.filter(([id, status]) => status === "pending" && !was.has(id))
      const judged = pendingBefore.filter(([id]) => is.get(id)?.status !== "pending")
      const noticed = after.records.filter(([id, status]) => status !== "pending" && !was.has(id))
      const staying = pendingBefore.filter(([id]) => is.get(id)?.status === "pending")
      const restamped = staying.filter(([id, , hlc]) => is.get(id)!.hlc !== hlc)
      const first = restamped.map(([, , hlc]) => hlc).sort()[0]
      // The first ones may get the stamps that they had, as the clock goes back to what the authority has named.
      const skipped = staying.filter(
        ([id, , hlc]) => first !== undefined && hlc > first && is.get(id)!.hlc === hlc
      )
      const rows = before.tables !== after.tables
      const applied = judged.length > 0 || noticed.length > 0 || before.position !== after.position
      if (rows && !applied && added.length === 0 && restamped.length === 0)
        reporter.violated(
          `A commit on ${whose(client)} changed rows, and neither a record nor a cursor: it is a part of an operation only.`
        )
      if (added.length > 1)
        reporter.violated(
          `A commit on ${whose(client)} added ${added.length} records at once: ${few(added.map(([id]) => world.label(id)))}`
        )
      if (skipped.length > 0)
        reporter.violated(
          `A commit on ${whose(client)} stamped pending records again, and left out ${few(skipped.map(([id]) => world.label(id)))}: it must do so with all or none.`
        )
      if (applied && ++watched.applies > 1)
        reporter.violated(
          `${whose(client)} applied one answer in ${watched.applies} commits: this one judged ${
            judged.length === 0 ? "no record" : few(judged.map(([id]) => world.label(id)))
          } and moved ${before.position} to ${after.position}.`
        )
      if (rows) reporter.observed()
    }

    let server: {
      readonly seq: number
      readonly tables: string
      readonly records: string
      readonly undone: number
      readonly writes: number
    } | null = null

    return {
      served: (exchange, response) =>
        Effect.sync(() => {
          const { canonical } = watchedOf(exchange.client)
          for (const { id } of response.later) canonical.add(id)
        }),
      clientCommitted: (client) =>
        Effect.map(stateOf(client), (state) => {
          const watched = watchedOf(client)
          if (watched.last !== null) checkStep(client, watched, watched.last, state)
          checkInside(client, state, watched)
          keep(watched, state)
        }),
      applied: (exchange) =>
        Effect.sync(() => {
          watchedOf(exchange.client).applies = 0
        }),
      forgotCursors: (client) =>
        Effect.sync(() => {
          watchedOf(client).applies = 0
        }),
      observed: (client, tables) =>
        Effect.gen(function* () {
          const { recent } = watchedOf(client)
          if (recent.length === 0 || recent.includes(yield* digestsOfRows(client.read, world.app, tables)))
            return
          const different = difference(yield* world.tablesOf(client), tables, {
            expected: "after the last commit",
            actual: "for the reader"
          })
          reporter.violated(
            `A reader on ${whose(client)} saw rows that no commit has left: ${different ?? "they are those of now, which nobody has committed"}`
          )
        }),
      restarted: (client) =>
        Effect.gen(function* () {
          const watched = watchedOf(client)
          const state = yield* stateOf(client)
          watched.applies = 0
          if (watched.last !== null) {
            const { last } = watched
            const parts = [
              last.tables === state.tables ? [] : ["rows"],
              JSON.stringify(last.records) === JSON.stringify(state.records) ? [] : ["records"],
              last.position === state.position ? [] : ["cursors"]
            ].flat()
            if (parts.length > 0)
              reporter.violated(
                `After its restart ${whose(client)} has other ${parts.join(" and ")} than its last commit left.`
              )
          }
          checkInside(client, state, watched)
          keep(watched, state)
        }),
      serverCommitted: () =>
        Effect.zipWith(
          world.server.read<Omit<NonNullable<typeof server>, "tables">>(serverSql),
          digestsOf(world.server.read, world.app),
          ([row], tables) => {
            const state = { ...row!, seq: Number(row!.seq), tables }
            if (state.undone > 0)
              reporter.violated(
                `Commit ${state.seq} of the server left ${state.undone} patches in synchrotron.undone.`
              )
            if (state.writes > 0)
              reporter.violated(
                `Commit ${state.seq} of the server left ${state.writes} rows in synchrotron.external_writes.`
              )
            if (server !== null) {
              const changed = [
                server.tables === state.tables ? [] : ["rows"],
                server.records === state.records ? [] : ["records"]
              ].flat()
              const steps = state.seq - server.seq
              if (steps < 0 || steps > 1 || (changed.length > 0 && steps !== 1))
                reporter.violated(
                  `A commit on the server changed ${changed.join(" and ") || "nothing"} and went from commit ${server.seq} to ${state.seq}: each change of the canonical state has a number of its own.`
                )
              if (changed.length > 0) reporter.observed()
            }
            server = state
          }
        )
    }
  }
}
