/**
 * I6. Everything with content that an answer carries is looked up on the server as its reader, at the commit from which
 * it was read: present rows by key, images of later records by trying them on. After an answer was applied the client's
 * database holds no row that its user does not see, none of an audience that he lost, and no image in a journal.
 */
import { type Principal, Protocol, type RecordId } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView, Exchange } from "./Checker.ts"
import {
  answerKey,
  few,
  heldSql,
  imageText,
  pendingOf,
  quoted,
  Remembered,
  type Shape,
  shapesOf,
  whose
} from "./views.ts"

/** Keys of rows, each as `table key`. */
type Keys = ReadonlySet<string>

interface Sight {
  readonly at: string
  /** Images that the user may see, as `table image`. */
  readonly images: Map<string, boolean>
  keys: Keys | null
}

interface KeyRow {
  readonly tbl: string
  readonly keys: ReadonlyArray<string>
}

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
    let shapes: ReadonlyArray<Shape> | null = null
    const shapesOnce = Effect.suspend(() =>
      shapes !== null
        ? Effect.succeed(shapes)
        : Effect.tap(shapesOf(server.read, app), (found) =>
            Effect.sync(() => {
              shapes = found
            })
          )
    )
    const keysSql = (known: ReadonlyArray<Shape>) =>
      known
        .map(
          ({ key, name, table }) =>
            `SELECT '${name.replaceAll("'", "''")}' AS tbl, coalesce(json_agg(${key}), '[]') AS keys FROM ${table} AS t`
        )
        .join(" UNION ALL ")
    const toKeys = (rows: ReadonlyArray<KeyRow>): Keys =>
      new Set(rows.flatMap(({ keys, tbl }) => keys.map((key) => `${tbl} ${key}`)))
    const total = Effect.map(
      server.read<{ n: number }>(
        `SELECT (${app.tables.map(({ name }) => `(SELECT count(*) FROM ${quoted(name)})`).join(" + ")})::integer AS n`
      ),
      (rows) => rows[0]!.n
    )

    // What a user sees follows from the commit, and is asked once.
    const sightsByUser = new Map<string, Sight>()
    const sightOf = ({ userId }: Principal, { audiences, seq }: Protocol.SyncResponse): Sight => {
      const at = `${seq} ${[...audiences].sort().join(" ")}`
      const known = sightsByUser.get(userId)
      if (known?.at === at) return known
      const sight: Sight = { at, images: new Map(), keys: null }
      sightsByUser.set(userId, sight)
      return sight
    }

    const visibleByAnswer = new Remembered<Keys>()

    const leak = (exchange: Exchange, what: string) =>
      reporter.violated(`The answer to exchange ${exchange.number} of ${whose(exchange.client)} has ${what}`)

    /** Present rows, and what the user sees in all. */
    const checkRows = (exchange: Exchange, response: Protocol.SyncResponse, sight: Sight) =>
      Effect.gen(function* () {
        const known = yield* shapesOnce
        const wanted = response.tables.flatMap(({ rows, table }) => {
          const unseen = rows.flatMap(([key, image]) =>
            image === null || sight.images.get(`${table} ${imageText(image)}`) === true
              ? []
              : [{ key: key as string, image }]
          )
          const shape = known.find(({ name }) => name === table)
          if (shape === undefined) {
            leak(exchange, `rows of ${table}, which is not synced.`)
            return []
          }
          return unseen.length === 0 ? [] : [{ shape, unseen }]
        })
        if (wanted.length === 0 && sight.keys !== null) return
        const results = yield* server.readAs(exchange.client.principal, [
          ...(sight.keys === null ? [{ sql: keysSql(known) }] : []),
          ...wanted.map(({ shape, unseen }) => ({
            sql: `SELECT ${shape.key} AS key, ${shape.image} AS image FROM ${shape.table} AS t WHERE ${shape.key} = ANY ($1::text[])`,
            params: [unseen.map(({ key }) => key)]
          }))
        ])
        if (sight.keys === null) sight.keys = toKeys(results[0] as ReadonlyArray<KeyRow>)
        const lookups = results.slice(results.length - wanted.length)
        for (const [i, { shape, unseen }] of wanted.entries()) {
          const present = new Map(
            (lookups[i] as ReadonlyArray<{ key: string; image: Protocol.Image }>).map((row) => [
              row.key,
              imageText(row.image)
            ])
          )
          for (const { image, key } of unseen) {
            const text = imageText(image)
            if (present.get(key) === text) sight.images.set(`${shape.name} ${text}`, true)
            else
              leak(
                exchange,
                present.has(key)
                  ? `the row ${key} of ${shape.name} as ${few([text])}, and its user sees ${few([present.get(key)!])}.`
                  : `the row ${key} of ${shape.name}, which its user does not see: ${few([text])}`
              )
          }
        }
      })

    /** Which images the user may see, asked together. */
    const see = (
      principal: Principal,
      sight: Sight,
      images: ReadonlyArray<{ readonly table: string; readonly key: string; readonly image: Protocol.Image }>
    ) =>
      Effect.gen(function* () {
        const unknown = new Map<string, (typeof images)[number]>()
        for (const image of images) {
          const name = `${image.table} ${imageText(image.image)}`
          if (!sight.images.has(name)) unknown.set(name, image)
        }
        const answers = yield* server.visible(principal, [...unknown.values()])
        for (const [i, name] of [...unknown.keys()].entries()) sight.images.set(name, answers[i]!)
        return images.map((image) => sight.images.get(`${image.table} ${imageText(image.image)}`)!)
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
        const gone = response.tables.flatMap(({ rows, table }) =>
          rows.flatMap(([key, image]) => (image === null ? [{ tbl: table, key }] : []))
        )
        if (gone.length === 0) return
        const held = Object.entries(exchange.request.cursors).flatMap(([audience, seq]) =>
          seq > 0 ? [audience] : []
        )
        const strange = yield* server.read<{ tbl: string; key: string }>(
          `SELECT x.tbl, x.key FROM jsonb_to_recordset($1::jsonb) AS x(tbl text, key text)
           WHERE NOT EXISTS (SELECT FROM synchrotron.row_versions AS v WHERE v.tbl = x.tbl AND v.key = x.key AND v.audience = ANY ($2::text[]))`,
          [JSON.stringify(gone), held]
        )
        for (const { key, tbl } of strange)
          leak(exchange, `the key ${key} of ${tbl} as gone, which was in no audience that the client held.`)
      })

    const checkClient = (client: ClientView, visible: Keys, audiences: ReadonlyArray<string>, when: string) =>
      Effect.gen(function* () {
        if ((yield* pendingOf(client)) > 0) return
        const known = yield* shapesOnce
        const rows = yield* client.read<{
          tbl: string
          rows: ReadonlyArray<readonly [string, string | null]>
        }>(
          [
            ...known.map(
              ({ audience, key, name, table }) =>
                `SELECT '${name.replaceAll("'", "''")}' AS tbl, coalesce(json_agg(json_build_array(${key}, ${audience})), '[]') AS rows FROM ${table} AS t`
            ),
            `SELECT '', coalesce(json_agg(json_build_array(j.tbl || ' ' || j.key, NULL)), '[]')
             FROM (SELECT tbl, key FROM synchrotron.patches UNION ALL SELECT tbl, key FROM synchrotron.later_patches) AS j`
          ].join(" UNION ALL ")
        )
        const held = new Set(audiences)
        for (const { rows: found, tbl } of rows) {
          if (tbl === "") {
            if (found.length > 0)
              reporter.violated(
                `${when} nothing is pending on ${whose(client)}, and its journals still hold images of ${few(found.map(([row]) => row))}`
              )
            continue
          }
          const unseen = found.filter(([key]) => !visible.has(`${tbl} ${key}`)).map(([key]) => key)
          if (unseen.length > 0)
            reporter.violated(
              `${when} ${whose(client)} holds rows of ${tbl} that its user does not see on the server: ${few(unseen)}`
            )
          const lost = found
            .filter(
              ([key, audience]) => visible.has(`${tbl} ${key}`) && (audience === null || !held.has(audience))
            )
            .map(([key, audience]) => `${key} of ${audience}`)
          if (lost.length > 0)
            reporter.violated(
              `${when} ${whose(client)} holds rows of ${tbl} in audiences that its user does not hold: ${few(lost)}`
            )
        }
      })

    return {
      served: (exchange, response) =>
        Effect.gen(function* () {
          const sight = sightOf(exchange.client.principal, response)
          yield* checkRows(exchange, response, sight)
          yield* checkLater(exchange, response, sight)
          yield* checkOwn(exchange, response)
          yield* checkGone(exchange, response)
          visibleByAnswer.set(answerKey(exchange, response), sight.keys!)
          if (!hidden) hidden = sight.keys!.size < (yield* total)
          if (response.tables.some(({ rows }) => rows.length > 0) || response.later.length > 0) sent = true
          observe()
        }),
      applied: (exchange, response, received) => {
        const visible = visibleByAnswer.take(answerKey(exchange, response))
        return visible === undefined || received.path === "stale"
          ? Effect.void
          : checkClient(
              exchange.client,
              visible,
              response.audiences,
              `After applying the answer to exchange ${exchange.number}`
            )
      },
      finished: Effect.gen(function* () {
        const known = yield* shapesOnce
        for (const client of world.clients) {
          const [keys, audiences] = yield* server.readAs(client.principal, [
            { sql: keysSql(known) },
            { sql: heldSql(app) }
          ])
          yield* checkClient(
            client,
            toKeys(keys as ReadonlyArray<KeyRow>),
            (audiences as ReadonlyArray<{ audience: string | null }>).flatMap(
              ({ audience }) => audience ?? []
            ),
            "At the end"
          )
        }
      })
    }
  }
}
