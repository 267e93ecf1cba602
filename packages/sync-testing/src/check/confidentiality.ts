/**
 * I6. Everything with content that an answer carries is looked up on the server as its reader, at the commit from which
 * it was read: present rows by key, images of later records by trying them on. After an answer was applied the client's
 * database holds no row that its user does not see, none of an audience that he lost, and no image in a journal.
 */
import { type Principal, Protocol, type RecordId } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView, Exchange } from "./Checker.ts"
import {
  readShown,
  readSight,
  rowName,
  rowsIn,
  type SentRow,
  type Shown,
  type Sight,
  sightOf
} from "./sight.ts"
import { answerKey, few, heldSql, imageText, isApplied, quoted, Remembered, whose } from "./views.ts"

export const confidentiality: Checker = {
  invariant: "I6",
  about:
    "No answer carries and no client keeps what row-level security hides from the user. Unknown when no row was hidden from anybody, or nothing was sent.",
  hooks: (world, reporter) => {
    const { app, server } = world
    let hidden = false
    let sent = false
    const observe = () => {
      if (hidden && sent) reporter.observed()
    }
    const total = Effect.map(
      server.read<{ n: number }>(
        `SELECT (${app.tables.map(({ name }) => `(SELECT count(*) FROM ${quoted(name)})`).join(" + ")})::integer AS n`
      ),
      (rows) => rows[0]!.n
    )

    const sightsByAnswer = new Remembered<Sight>()

    const leak = (exchange: Exchange, what: string) =>
      reporter.violated(`The answer to exchange ${exchange.number} of ${whose(exchange.client)} has ${what}`)

    const checkRows = (exchange: Exchange, rows: ReadonlyArray<SentRow>, sight: Sight) => {
      for (const { image, key, table } of rows) {
        if (image === null) continue
        const present = sight.rows.get(rowName(table, key))
        const text = imageText(image)
        if (present === undefined)
          leak(exchange, `the row ${key} of ${table}, which its user does not see: ${few([text])}`)
        else if (imageText(present) !== text)
          leak(
            exchange,
            `the row ${key} of ${table} as ${few([text])}, and its user sees ${few([imageText(present)])}.`
          )
      }
    }

    /** Which images the user may see: present rows that he sees, and those that are tried on, together. */
    const see = (
      principal: Principal,
      { rows, trials }: Sight,
      images: ReadonlyArray<{ readonly table: string; readonly key: string; readonly image: Protocol.Image }>
    ) =>
      Effect.gen(function* () {
        const named = images.map((item) => ({
          item,
          name: `${rowName(item.table, item.key)} ${imageText(item.image)}`
        }))
        const unknown = new Map<string, (typeof images)[number]>()
        for (const { item, name } of named) {
          if (trials.has(name)) continue
          const present = rows.get(rowName(item.table, item.key))
          if (present !== undefined && imageText(present) === imageText(item.image)) trials.set(name, true)
          else unknown.set(name, item)
        }
        const answers = yield* server.visible(principal, [...unknown.values()])
        for (const [i, name] of [...unknown.keys()].entries()) trials.set(name, answers[i]!)
        return named.map(({ name }) => trials.get(name)!)
      })

    const imagesOf = (patches: ReadonlyArray<Protocol.Patch>) =>
      patches.flatMap(({ after, before, key, table }) =>
        [before, after].flatMap((image) => (image === null ? [] : [{ table: table as string, key, image }]))
      )

    const checkLater = (exchange: Exchange, response: Protocol.SyncResponse, sight: Sight) =>
      Effect.gen(function* () {
        if (response.later.length === 0) return
        const { client } = exchange
        const withArgs = response.later.filter((record) => record.args !== undefined)
        const stored =
          withArgs.length === 0
            ? []
            : yield* server.read<{
                id: RecordId
                client_id: string | null
                patches: ReadonlyArray<Protocol.Patch> | null
              }>(
                `SELECT r.id, r.client_id, (SELECT json_agg(json_build_object('table', p.tbl, 'key', p.key, 'before', p.before, 'after', p.after))
                   FROM synchrotron.patches AS p WHERE p.record_id = r.id) AS patches
                 FROM synchrotron.records AS r WHERE r.id = ANY ($1::uuid[])`,
                [withArgs.map(({ id }) => id)]
              )
        const foreign = stored.filter(({ client_id }) => client_id !== client.clientId)
        const inAnswer = response.later.flatMap(({ id, patches }) =>
          imagesOf(patches).map((image) => ({ ...image, id, argsOnly: false }))
        )
        const behindArgs = foreign.flatMap(({ id, patches }) =>
          imagesOf(patches ?? []).map((image) => ({ ...image, id, argsOnly: true }))
        )
        const all = [...inAnswer, ...behindArgs]
        const visible = yield* see(client.principal, sight, all)
        const told = new Set<string>()
        for (const [i, { argsOnly, id, image, key, table }] of all.entries()) {
          if (visible[i]) continue
          if (!argsOnly)
            leak(
              exchange,
              `an image of the row ${key} of ${table} in the later record ${world.label(id)}, which its user may not see: ${few([imageText(image)])}`
            )
          else if (!told.has(id)) {
            told.add(id)
            leak(
              exchange,
              `the args of ${world.label(id)}, which changed the row ${key} of ${table} that its user may not see.`
            )
          }
        }
      })

    const checkOwn = (exchange: Exchange, response: Protocol.SyncResponse) =>
      Effect.gen(function* () {
        const asked = new Set<string>(exchange.request.records.map(({ id }) => id))
        for (const { id } of response.verdicts)
          if (!asked.has(id)) leak(exchange, `a verdict on ${world.label(id)}, which it did not send.`)
        const unexpected = Object.keys(response).filter((key) => !(key in Protocol.SyncResponse.fields))
        if (unexpected.length > 0)
          leak(exchange, `fields that the protocol does not have: ${few(unexpected)}`)
        if (response.notices.length === 0) return
        const owners = yield* server.read<{ id: string; client_id: string | null }>(
          "SELECT id, client_id FROM synchrotron.records WHERE id = ANY ($1::uuid[])",
          [response.notices.map(({ id }) => id)]
        )
        for (const { id } of response.notices)
          if (owners.find((row) => row.id === id)?.client_id !== exchange.client.clientId)
            leak(exchange, `a notice of ${world.label(id)}, which is another client's record.`)
      })

    /** That a row is gone is told to those who may have had it. */
    const checkGone = (exchange: Exchange, response: Protocol.SyncResponse) =>
      Effect.gen(function* () {
        const gone = response.tables.flatMap(({ gone, table }) => gone.map((key) => ({ tbl: table, key })))
        if (gone.length === 0) return
        const { cursors, position } = exchange.request
        const held = Object.entries(cursors).flatMap(([audience, seq]) => (seq > 0 ? [audience] : []))
        if (position !== undefined) held.push(position.audience)
        const strange = yield* server.read<{ tbl: string; key: string }>(
          `SELECT x.tbl, x.key FROM jsonb_to_recordset($1::jsonb) AS x(tbl text, key text)
           WHERE NOT EXISTS (SELECT FROM synchrotron.row_versions AS v WHERE v.tbl = x.tbl AND v.key = x.key AND v.audience = ANY ($2::text[]))`,
          [JSON.stringify(gone), held]
        )
        for (const { key, tbl } of strange)
          leak(exchange, `the key ${key} of ${tbl} as gone, which was in no audience that the client held.`)
      })

    const checkClient = (
      client: ClientView,
      shown: Shown,
      { rows }: Sight,
      audiences: ReadonlyArray<string>,
      when: string
    ) => {
      if (shown.pending > 0) return
      if (shown.journal.length > 0)
        reporter.violated(
          `${when} nothing is pending on ${whose(client)}, and its journals still hold images of ${few(shown.journal)}`
        )
      const held = new Set<string | null>(audiences)
      for (const [table, found] of shown.keys) {
        const unseen = found.filter(([key]) => !rows.has(rowName(table, key)))
        if (unseen.length > 0)
          reporter.violated(
            `${when} ${whose(client)} holds rows of ${table} that its user does not see on the server: ${few(unseen.map(([key]) => key))}`
          )
        const lost = found.filter(([key, audience]) => rows.has(rowName(table, key)) && !held.has(audience))
        if (lost.length > 0)
          reporter.violated(
            `${when} ${whose(client)} holds rows of ${table} in audiences that its user does not hold: ${few(lost.map(([key, audience]) => `${key} of ${audience}`))}`
          )
      }
    }

    return {
      served: (exchange, response) =>
        Effect.gen(function* () {
          const sight = yield* sightOf(world, exchange.client.principal, response)
          checkRows(exchange, yield* rowsIn(world, response), sight)
          yield* checkLater(exchange, response, sight)
          yield* checkOwn(exchange, response)
          yield* checkGone(exchange, response)
          sightsByAnswer.set(answerKey(exchange, response), sight)
          if (!hidden) hidden = sight.rows.size < (yield* total)
          if (response.tables.some(({ count }) => count > 0) || response.later.length > 0) sent = true
          observe()
        }),
      applied: (exchange, response, received) =>
        Effect.gen(function* () {
          const sight = sightsByAnswer.take(answerKey(exchange, response))
          if (sight === undefined || !isApplied(received)) return
          checkClient(
            exchange.client,
            yield* readShown(world, exchange.client),
            sight,
            response.audiences,
            `After applying the answer to exchange ${exchange.number}`
          )
        }),
      finished: Effect.gen(function* () {
        for (const client of world.clients) {
          const held = yield* server.readAs<{ audience: string | null }>(client.principal, heldSql(app))
          checkClient(
            client,
            yield* readShown(world, client),
            yield* readSight(world, client.principal, "the end"),
            held.flatMap(({ audience }) => audience ?? []),
            "At the end"
          )
        }
      })
    }
  }
}
