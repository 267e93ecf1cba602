/**
 * I4. Follows each record from the moment at which `execute` resolved:
 *
 *     pending ──► canonical: applied | changed ──► voided
 *        └──────► refused
 *
 * It is in one of these states always. Its client holds it while it is pending, and in the inbox when it was refused or
 * voided, with all that an application needs to tell its user, until the user dismisses or retries it.
 */
import type { Protocol, RecordId } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView, Executed } from "./Checker.ts"
import { recordsSql, removedParams } from "./log.ts"
import { isApplied, whose } from "./views.ts"

type Outcome = "applied" | "changed" | "rejected" | "voided"

/** Where a client may have a record. */
type Place = "pending" | "rejected" | "voided" | "absent"

interface Fate {
  readonly client: ClientView
  readonly record: Executed
  readonly args: string | null
  /** The last verdict that its client has applied. */
  known: Outcome | null
  /** The user dismissed or retried it, or is about to. */
  settled: "no" | "settling" | "yes"
}

interface ClientRow {
  readonly id: string
  readonly status: "pending" | "rejected" | "voided"
  readonly args: string
  readonly error: string | null
  readonly patches: string | null
}

interface ServerRow {
  readonly id: string
  readonly status: Outcome
  readonly error: string | null
  readonly args: string
}

const placeOf = (outcome: Outcome | null): Place =>
  outcome === null ? "pending" : outcome === "applied" || outcome === "changed" ? "absent" : outcome

export const durability: Checker = {
  invariant: "I4",
  about:
    "Every record whose execution resolved is pending, canonical or refused, in one place only, and no verdict is taken back. Unknown when nothing was executed.",
  hooks: (world, reporter) => {
    const fates = new Map<string, Fate>()
    /** All verdicts that the server gave, by record, whether or not they arrived. */
    const served = new Map<string, Array<Outcome>>()
    /** Patches of pending records when they were sent, with the number of replays of their client until then. */
    const journals = new Map<number, { readonly replays: number; readonly patches: Map<string, string> }>()
    const replays = new Map<string, number>()
    const replayed = (client: ClientView) => replays.set(client.name, (replays.get(client.name) ?? 0) + 1)

    const note = (client: ClientView, record: Executed) =>
      Effect.gen(function* () {
        if (fates.has(record.id)) return
        const [row] = yield* client.read<{ status: string; hlc: string; name: string; args: string }>(
          "SELECT status, hlc, name, args FROM synchrotron.records WHERE id = $1::uuid",
          [record.id]
        )
        fates.set(record.id, { client, record, args: row?.args ?? null, known: null, settled: "no" })
        if (row === undefined && !served.has(record.id))
          reporter.violated(
            `${world.label(record.id)} (${record.name}) was executed on ${whose(client)}, and its database has no such record.`
          )
        else if (row !== undefined && row.name !== record.name)
          reporter.violated(
            `${world.label(record.id)} was executed on ${whose(client)} as ${record.name}, and its database has it as ${row.name}.`
          )
      })

    /** The verdicts that may follow one another. */
    const give = (id: string, outcome: Outcome) => {
      const before = served.get(id) ?? []
      const last = before.at(-1)
      if (last === outcome) return
      if (last !== undefined && !(outcome === "voided" && last !== "rejected"))
        reporter.violated(
          `The server's verdict on ${world.label(id)} was ${last}, and is now ${outcome}. Only a confirmed record may become voided.`
        )
      served.set(id, [...before, outcome])
    }

    /** After a crash the client may have applied answers of which nobody heard. */
    const checkClient = (client: ClientView, when: string, crashed: boolean) =>
      Effect.gen(function* () {
        const mine = [...fates.values()].filter((fate) => fate.client.name === client.name)
        if (mine.length === 0) return
        const rows = yield* client.read<ClientRow>(
          "SELECT id, status, args, error, patches FROM synchrotron.records"
        )
        const rowsById = new Map(rows.map((row) => [row.id, row]))
        for (const fate of mine) {
          const { id, name } = fate.record
          const row = rowsById.get(id)
          const place: Place = row?.status ?? "absent"
          const label = `${world.label(id)} (${name})`
          if (fate.settled === "settling") {
            if (crashed) fate.settled = row === undefined ? "yes" : "no"
            continue
          }
          if (fate.settled === "yes") {
            if (row !== undefined)
              reporter.violated(
                `${when} ${whose(client)} has ${label} again as ${place}, although the user dismissed or retried it.`
              )
            continue
          }
          const unheard = crashed
            ? (served.get(id) ?? []).find((outcome) => placeOf(outcome) === place)
            : undefined
          if (placeOf(fate.known) !== place) {
            if (unheard === undefined) {
              reporter.violated(
                `${when} ${label} should be ${placeOf(fate.known)} on ${whose(client)}, ${
                  fate.known === null ? "which has applied no verdict on it" : `where it was ${fate.known}`
                }, and is ${place}.`
              )
              continue
            }
            fate.known = unheard
          }
          if (place === "rejected" || place === "voided") checkKept(fate, row!, when)
        }
      })

    /** What the inbox must keep of a refused record. */
    const checkKept = ({ args, client, record }: Fate, row: ClientRow, when: string) => {
      const label = `${world.label(record.id)} (${record.name})`
      const error = errorOf(row.error)
      if (error === null)
        reporter.violated(`${when} ${label} is ${row.status} on ${whose(client)} without a reason.`)
      if (args !== null && row.args !== args)
        reporter.violated(
          `${when} ${label} is ${row.status} on ${whose(client)} with the args ${row.args}, and was executed with ${args}.`
        )
    }

    const checkServer = (when: string) =>
      Effect.gen(function* () {
        const rows = yield* world.server.read<ServerRow>(
          `SELECT id, status, error, args FROM ${recordsSql("$1")} AS r
           UNION ALL SELECT id, 'rejected', error, args FROM synchrotron.dead_letters`,
          [removedParams(world.server)[0]]
        )
        const rowsById = new Map<string, ServerRow>()
        for (const row of rows) {
          if (rowsById.has(row.id))
            reporter.violated(
              `${when} the server has ${world.label(row.id)} twice: as ${rowsById.get(row.id)!.status} and as ${row.status}.`
            )
          rowsById.set(row.id, row)
        }
        for (const [id, outcomes] of served) {
          const status = rowsById.get(id)?.status
          const last = outcomes.at(-1)!
          if (status !== last && !(status === "voided" && last !== "rejected"))
            reporter.violated(
              `${when} ${world.label(id)} is ${status ?? "unknown"} on the server, which had answered ${last}.`
            )
        }
        return rowsById
      })

    return {
      executed: note,
      sent: (exchange) =>
        Effect.gen(function* () {
          if (exchange.request.records.length === 0) return
          const rows = yield* exchange.client.read<{ record_id: string; patches: unknown }>(
            `SELECT record_id, json_agg(json_build_object('table', tbl, 'key', key, 'before', before, 'after', after) ORDER BY n) AS patches
             FROM synchrotron.patches GROUP BY record_id`
          )
          journals.set(exchange.number, {
            replays: replays.get(exchange.client.name) ?? 0,
            patches: new Map(rows.map((row) => [row.record_id, JSON.stringify(row.patches)]))
          })
          if (journals.size > 64) journals.delete(journals.keys().next().value!)
        }),
      served: (_, response) =>
        Effect.sync(() => {
          for (const verdict of response.verdicts) {
            // Says that another record has the id, and nothing about that one.
            if ("error" in verdict && verdict.error.class === "reused_id") continue
            give(verdict.id, verdict.outcome)
          }
          for (const notice of response.notices) give(notice.id, "voided")
        }),
      applied: (exchange, response, received) =>
        Effect.gen(function* () {
          if (!isApplied(received)) return
          const { client } = exchange
          const refused: Array<Fate> = []
          for (const verdict of response.verdicts) {
            const fate = fates.get(verdict.id)
            if (fate === undefined || fate.known !== null) continue
            fate.known = verdict.outcome
            if ("error" in verdict) refused.push(fate)
          }
          for (const { id } of response.notices) {
            const fate = fates.get(id)
            if (fate !== undefined) fate.known = "voided"
          }
          const when = `After applying the answer to exchange ${exchange.number}`
          yield* checkClient(client, when, false)
          const journal = journals.get(exchange.number)
          journals.delete(exchange.number)
          if (refused.length > 0 && journal?.replays === (replays.get(client.name) ?? 0))
            yield* checkPatches(client, refused, journal.patches, when)
          replayed(client)
        }),
      restamped: (client) => Effect.sync(() => replayed(client)),
      restarted: (client) =>
        Effect.gen(function* () {
          replayed(client)
          yield* checkClient(client, "After its restart", true)
          yield* checkServer(`When ${client.name} restarted`)
          if (fates.size > 0) reporter.observed()
        }),
      settling: (_, id) =>
        Effect.sync(() => {
          const fate = fates.get(id)
          if (fate !== undefined) fate.settled = "settling"
        }),
      settledByUser: (client, id, as) =>
        Effect.gen(function* () {
          const fate = fates.get(id)
          if (fate !== undefined) fate.settled = "yes"
          if (as !== null) yield* note(client, as)
        }),
      finished: Effect.gen(function* () {
        for (const client of world.clients) yield* checkClient(client, "At the end", false)
        const rowsById = yield* checkServer("At the end")
        const inboxes = new Map<string, ClientRow>()
        for (const client of world.clients) {
          const rows = yield* client.read<ClientRow>(
            "SELECT id, status, args, error, patches FROM synchrotron.records"
          )
          for (const row of rows) inboxes.set(row.id, row)
        }
        for (const fate of fates.values()) {
          const { id, name } = fate.record
          const label = `${world.label(id)} (${name}) of ${whose(fate.client)}`
          const here = inboxes.get(id)
          const there = rowsById.get(id)
          const stolen = errorOf(here?.error ?? null)?.class === "reused_id"
          if (here?.status === "pending") reporter.violated(`At the end ${label} is still pending.`)
          else if (there === undefined) {
            if (!stolen)
              reporter.violated(
                `At the end ${label} is lost: the server has neither confirmed nor refused it, and it is not pending.`
              )
          } else if (fate.settled !== "no" || stolen) {
            if (placeOf(there.status) === "absent" && !stolen)
              reporter.violated(
                `At the end ${label} is ${there.status} on the server, and its user could dismiss or retry it as refused.`
              )
          } else if (placeOf(there.status) !== (here?.status ?? "absent"))
            reporter.violated(
              `At the end ${label} is ${there.status} on the server, and ${here?.status ?? "absent"} in its client's inbox.`
            )
          else if (here !== undefined && !sameJson(here.error, there.error))
            reporter.violated(
              `At the end ${label} was refused with ${there.error}, and its client shows ${here.error}.`
            )
          else if (fate.args !== null && !sameJson(fate.args, there.args))
            reporter.violated(
              `At the end the server has ${label} with the args ${there.args}, and it was executed with ${fate.args}.`
            )
        }
        if (fates.size > 0) reporter.observed()
      })
    }

    function checkPatches(
      client: ClientView,
      refused: ReadonlyArray<Fate>,
      journal: ReadonlyMap<string, string>,
      when: string
    ) {
      return Effect.map(
        client.read<{ id: RecordId; patches: string | null }>(
          "SELECT id, patches FROM synchrotron.records WHERE status <> 'pending'"
        ),
        (rows) => {
          const kept = new Map<string, string | null>(rows.map((row) => [row.id, row.patches]))
          for (const { record } of refused) {
            const patches = kept.get(record.id)
            const expected = journal.get(record.id) ?? "[]"
            if (patches !== undefined && !sameJson(patches, expected))
              reporter.violated(
                `${when} the inbox of ${whose(client)} keeps other patches of ${world.label(record.id)} (${record.name}) than were undone: ${patches} for ${expected}.`
              )
          }
        }
      )
    }
  }
}

const errorOf = (text: string | null): Protocol.Rejection | null => {
  const error = text === null ? null : (JSON.parse(text) as Partial<Protocol.Rejection> | null)
  return typeof error?.class === "string" && typeof error.message === "string"
    ? (error as Protocol.Rejection)
    : null
}

/** Whether two JSON texts say the same, whatever the order of keys. */
const sameJson = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && canonical(JSON.parse(a)) === canonical(JSON.parse(b)))

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1)))
      : inner
  )
