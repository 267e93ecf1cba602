/** I9. What is sent, repeated, replayed and kept stays within limits, none of which grows with the history. */
import { Limits } from "@synchrotron/sync-client"
import { type Audience, Protocol } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView } from "./Checker.ts"
import { readShown, rowName, rowsIn } from "./sight.ts"
import { few, heldSql, whose } from "./views.ts"

const { argsBytesMax, bodyBytesMax, recordsMax } = Protocol.limits

/** Requests of one client within a second: one for each commit, and what users ask for. */
const requestsPerSecondMax = 1000 / Limits.commitDebounceMs + 50
/** The same without an answer: a wait of `retryMsMin` lies between two, unless somebody asks. */
const failuresPerSecondMax = Math.ceil(1000 / Limits.retryMsMin) + 18

/** The last commit of which the client has all rows of the audience, as it says. */
const fromOf = ({ cursors, position }: Protocol.SyncRequest, audience: Audience): number =>
  position?.audience === audience
    ? position.seq - 1
    : Object.hasOwn(cursors, audience)
      ? Number(cursors[audience])
      : 0

interface Sending {
  /** When the requests of the last second were sent. */
  times: Array<number>
  /** The same since the last answer was applied. */
  unanswered: Array<number>
  executed: number
}

export const bounds: Checker = {
  invariant: "I9",
  about:
    "Requests, retries, answers, replays and what is kept have their limits. Unknown when nothing was sent.",
  hooks: (world, reporter) => {
    const sendings = new Map<string, Sending>()
    const sendingOf = (client: ClientView): Sending => {
      const known = sendings.get(client.name)
      if (known !== undefined) return known
      const sending: Sending = { times: [], unanswered: [], executed: 0 }
      sendings.set(client.name, sending)
      return sending
    }
    const counted = (client: ClientView) =>
      Effect.sync(() => {
        sendingOf(client).executed++
      })

    return {
      executed: counted,
      // One may have been kept of which the process that ended could not tell.
      restarted: counted,
      settledByUser: (client, _, as) => (as === null ? Effect.void : counted(client)),
      sent: ({ client, number, request }, bytes) =>
        Effect.sync(() => {
          const who = `Exchange ${number} of ${whose(client)}`
          if (request.records.length > recordsMax)
            reporter.violated(
              `${who} sends ${request.records.length} records, and at most ${recordsMax} are allowed.`
            )
          if (bytes > bodyBytesMax)
            reporter.violated(`${who} sends ${bytes} bytes, and at most ${bodyBytesMax} are allowed.`)
          for (const { args, id } of request.records) {
            const size = Protocol.jsonBytes(JSON.stringify(args ?? null))
            if (size > argsBytesMax)
              reporter.violated(
                `${who} sends ${world.label(id)} with ${size} bytes of args, and at most ${argsBytesMax} are allowed.`
              )
          }
          const sending = sendingOf(client)
          const now = world.now()
          const recent = (times: ReadonlyArray<number>) => [...times.filter((at) => at > now - 1000), now]
          sending.times = recent(sending.times)
          sending.unanswered = recent(sending.unanswered)
          // Said once for each burst.
          if (sending.times.length === requestsPerSecondMax + 1)
            reporter.violated(
              `${whose(client)} sent more than ${requestsPerSecondMax} requests within a second.`
            )
          if (sending.unanswered.length === failuresPerSecondMax + 1)
            reporter.violated(
              `${whose(client)} tried more than ${failuresPerSecondMax} times within a second without an answer: it must wait ${Limits.retryMsMin} ms after a failure.`
            )
          reporter.observed()
        }),
      served: ({ client, number, request }, response) =>
        Effect.gen(function* () {
          const who = `The answer to exchange ${number} of ${whose(client)}`
          if (response.verdicts.length > request.records.length)
            reporter.violated(
              `${who} has ${response.verdicts.length} verdicts on ${request.records.length} records.`
            )
          const early = response.later.filter(({ hlc }) => request.after === null || hlc <= request.after)
          if (early.length > 0)
            reporter.violated(
              `${who} has later records, and none after ${request.after} were asked for: ${few(early.map(({ id }) => world.label(id)))}`
            )
          if (response.next !== null && response.later.length + response.verdicts.length > 0)
            reporter.violated(`${who} is a chunk, and has more than rows.`)
          const sent = (yield* rowsIn(world, response)).map(({ key, table }) => rowName(table, key))
          if (sent.length !== Protocol.countRows(response.tables))
            reporter.violated(`${who} has ${sent.length} rows, and counts them otherwise.`)
          if (sent.length === 0) return
          if (sent.length > world.settings.chunkRowsMax)
            reporter.violated(
              `${who} has ${sent.length} rows, and at most ${world.settings.chunkRowsMax} are allowed.`
            )
          const once = new Set(sent)
          if (once.size < sent.length)
            reporter.violated(`${who} has ${sent.length} rows, and ${sent.length - once.size} of them twice.`)
          const changed = yield* world.server.read<{ tbl: string; key: string }>(
            `SELECT DISTINCT v.tbl, v.key FROM jsonb_to_recordset($1::jsonb) AS c(audience text, seq bigint)
             JOIN synchrotron.row_versions AS v ON v.audience = c.audience AND v.seq > c.seq`,
            [
              JSON.stringify(
                response.audiences.map((audience) => ({
                  audience,
                  seq: fromOf(request, audience)
                }))
              )
            ]
          )
          const changedKeys = new Set(changed.map(({ key, tbl }) => `${tbl} ${key}`))
          const unchanged = [...once].filter((key) => !changedKeys.has(key))
          if (unchanged.length > 0)
            reporter.violated(
              `${who} has ${once.size} rows, of which ${unchanged.length} have not changed since its cursors: ${few(unchanged)}`
            )
        }),
      applied: ({ client, number }, response, received) =>
        Effect.gen(function* () {
          sendingOf(client).unanswered = []
          if (received.replayed === 0) return
          const { pending } = yield* readShown(world, client)
          if (received.replayed > pending + response.later.length)
            reporter.violated(
              `Applying the answer to exchange ${number}, ${whose(client)} executed ${received.replayed} records again, with ${pending} pending and ${response.later.length} later ones.`
            )
        }),
      // Of what compaction says that it has done.
      serverCommitted: () =>
        Effect.map(
          world.server.read<{ patches: number; records: number }>(
            `SELECT (SELECT count(*)::integer FROM synchrotron.patches AS p JOIN synchrotron.records AS r ON r.id = p.record_id WHERE r.hlc <= c.hlc) AS patches,
               (SELECT count(*)::integer FROM synchrotron.records AS r WHERE r.hlc <= c.hlc AND r.status <> 'voided' AND r.args || r.claims <> '') AS records
             FROM synchrotron.compacted AS c`
          ),
          ([row]) => {
            const { patches, records } = row!
            if (patches + records > 0)
              reporter.violated(
                `The server takes its log for compacted where it keeps ${patches} patches, and args or claims of ${records} records.`
              )
          }
        ),
      finished: Effect.gen(function* () {
        for (const client of world.clients) {
          const tables = yield* client.read<{ staged: string }>("SELECT staged FROM synchrotron.tables")
          const staged = ["synchrotron.load", "synchrotron.staged_gone", ...tables.map((t) => t.staged)]
          const [kept] = yield* client.read<{
            pending: number
            inbox: number
            patches: number
            later: number
            loading: boolean
            cursors: ReadonlyArray<string>
          }>(
            `SELECT (SELECT count(*)::integer FROM synchrotron.records WHERE status = 'pending') AS pending,
               (SELECT count(*)::integer FROM synchrotron.records WHERE status <> 'pending') AS inbox,
               (SELECT count(*)::integer FROM synchrotron.patches) AS patches,
               (SELECT count(*)::integer FROM synchrotron.later_patches) AS later,
               ${staged.map((name) => `EXISTS (SELECT FROM ${name})`).join(" OR ")} AS loading,
               (SELECT coalesce(json_agg(audience), '[]') FROM synchrotron.cursors) AS cursors`
          )
          const { cursors, inbox, later, loading, patches, pending } = kept!
          if (loading) reporter.violated(`At the end ${whose(client)} still keeps rows of a load.`)
          // What is pending may have patches; that it is pending at all is I1's and I4's.
          if (pending === 0 && patches + later > 0)
            reporter.violated(
              `At the end nothing is pending on ${whose(client)}, and it keeps ${patches} patches, and ${later} of later records.`
            )
          const { executed } = sendingOf(client)
          if (inbox > executed)
            reporter.violated(
              `At the end the inbox of ${whose(client)} has ${inbox} records, of ${executed} that were executed there.`
            )
          const held = yield* world.server.readAs<{ audience: string | null }>(
            client.principal,
            heldSql(world.app)
          )
          const audiences = new Set(held.map(({ audience }) => audience))
          const stale = cursors.filter((audience) => !audiences.has(audience))
          if (stale.length > 0)
            reporter.violated(
              `At the end ${whose(client)} keeps cursors of audiences that its user does not hold: ${few(stale)}`
            )
        }
        const [server] = yield* world.server.read<{ undone: number; writes: number }>(
          "SELECT (SELECT count(*)::integer FROM synchrotron.undone) AS undone, (SELECT count(*)::integer FROM synchrotron.external_writes) AS writes"
        )
        if (server!.undone + server!.writes > 0)
          reporter.violated(
            `At the end the server keeps ${server!.undone} undone patches and ${server!.writes} external writes, which belong to no commit.`
          )
      })
    }
  }
}
