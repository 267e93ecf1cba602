/**
 * What several checkers need of one moment, read once: what a user sees at the commit of an answer, and what a client
 * shows after applying one. Follows from the commit alone as long as the application keeps its contract, that what
 * policies look at is synced.
 */
import type { Principal, Protocol } from "@synchrotron/sync-core"
import { literal } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { ClientView, Tables, World } from "./Checker.ts"
import { clientStateOf, heldSql, pendingOf, type Shape, shapesOf } from "./views.ts"

/** What row-level security shows a user. */
export interface Sight {
  readonly at: string
  /** The rows in the audiences that he holds, as `ServerView.viewOf` in any order. */
  readonly view: Tables
  /** Images of all rows, by {@link rowName}. */
  readonly rows: ReadonlyMap<string, Protocol.Image>
  /** Names of those in the audiences that he holds. */
  readonly held: ReadonlySet<string>
  /** Whether images that are no rows, or not now, may be seen: what was found out so far, by name of row and image. */
  readonly trials: Map<string, boolean>
}

export const rowName = (table: string, key: string): string => `${table} ${key}`

interface Version {
  readonly image: Protocol.Image
  readonly text: string
}

interface Memory {
  shapes: ReadonlyArray<Shape> | null
  readonly sightsByUser: Map<string, Sight>
  readonly versions: Map<string, Version>
  /** Rows by their digests, whoever shows them. */
  readonly rowsByDigests: Map<string, Pick<Shown, "tables" | "keys">>
}

const memories = new WeakMap<World, Memory>()

const memoryOf = (world: World): Memory => {
  const known = memories.get(world)
  if (known !== undefined) return known
  const memory: Memory = {
    shapes: null,
    sightsByUser: new Map(),
    versions: new Map(),
    rowsByDigests: new Map()
  }
  memories.set(world, memory)
  return memory
}

const shapesIn = (world: World): Effect.Effect<ReadonlyArray<Shape>> =>
  Effect.suspend(() => {
    const memory = memoryOf(world)
    return memory.shapes !== null
      ? Effect.succeed(memory.shapes)
      : Effect.tap(shapesOf(world.server.read, world.app), (shapes) =>
          Effect.sync(() => {
            memory.shapes = shapes
          })
        )
  })

/** A row of an answer; `image` is null when it is gone. */
export interface SentRow {
  readonly table: string
  readonly key: string
  readonly image: Protocol.Image | null
}

/** The rows of an answer, which nobody else parses in this process. */
export const rowsIn = (
  world: World,
  { tables }: Pick<Protocol.SyncResponse, "tables">
): Effect.Effect<ReadonlyArray<SentRow>> =>
  Effect.map(shapesIn(world), (shapes) =>
    tables.flatMap(({ gone, rows, table }): ReadonlyArray<SentRow> => {
      const columns = shapes.find(({ name }) => name === table)?.keyColumns ?? []
      return [
        ...(JSON.parse(rows) as ReadonlyArray<Protocol.Image>).map((image) => ({
          table,
          key: `[${columns.map((column) => JSON.stringify(image[column])).join(", ")}]`,
          image
        })),
        ...gone.map((key) => ({ table, key, image: null }))
      ]
    })
  )

/** What the user sees at the commit of this answer; the server must be at it. */
export const sightOf = (
  world: World,
  principal: Principal,
  { audiences, seq }: Pick<Protocol.SyncResponse, "audiences" | "seq">
): Effect.Effect<Sight> =>
  Effect.suspend(() => {
    const { sightsByUser } = memoryOf(world)
    const at = `${seq} ${[...audiences].sort().join(" ")}`
    const known = sightsByUser.get(principal.userId)
    return known?.at === at
      ? Effect.succeed(known)
      : Effect.tap(readSight(world, principal, at), (sight) =>
          Effect.sync(() => sightsByUser.set(principal.userId, sight))
        )
  })

/** The same now, whatever was read before. */
export const readSight = (world: World, principal: Principal, at: string): Effect.Effect<Sight> =>
  Effect.gen(function* () {
    const shapes = yield* shapesIn(world)
    const seen = yield* world.server.readAs<{
      readonly tbl: string
      readonly rows: ReadonlyArray<readonly [string, string, boolean]>
    }>(
      principal,
      `WITH held AS MATERIALIZED (${heldSql(world.app)}) ${shapes
        .map(
          ({ audience, key, name, table }) =>
            `SELECT ${literal(name)} AS tbl, coalesce(json_agg(json_build_array(${key}, t.xmin, ${audience} IN (SELECT audience FROM held))), '[]') AS rows FROM ${table} AS t`
        )
        .join(" UNION ALL ")}`
    )
    yield* learn(world, shapes, seen)
    const { versions } = memoryOf(world)
    const view: Record<string, Array<string>> = {}
    const rows = new Map<string, Protocol.Image>()
    const held = new Set<string>()
    for (const { rows: all, tbl } of seen) {
      view[tbl] = []
      for (const [key, xmin, isHeld] of all) {
        const { image, text } = versions.get(versionName(tbl, key, xmin))!
        rows.set(rowName(tbl, key), image)
        if (!isHeld) continue
        held.add(rowName(tbl, key))
        view[tbl].push(text)
      }
    }
    return { at, view, rows, held, trials: new Map() }
  })

/** A row between two commits: what the transaction `xmin` has left of it. */
const versionName = (table: string, key: string, xmin: string): string => `${xmin} ${table} ${key}`

/** Reads the versions of rows that nobody has read before, for most rows are the same at many commits. */
const learn = (
  world: World,
  shapes: ReadonlyArray<Shape>,
  seen: ReadonlyArray<{
    readonly tbl: string
    readonly rows: ReadonlyArray<readonly [string, string, boolean]>
  }>
) =>
  Effect.gen(function* () {
    const { versions } = memoryOf(world)
    const selects = seen.flatMap(({ rows, tbl }) => {
      const keys = rows.flatMap(([key, xmin]) => (versions.has(versionName(tbl, key, xmin)) ? [] : [key]))
      const shape = shapes.find(({ name }) => name === tbl)!
      return keys.length === 0
        ? []
        : [
            `SELECT ${literal(tbl)} AS tbl, ${shape.key} AS key, t.xmin::text AS xmin, ${shape.image} AS image, t::text AS text FROM ${shape.table} AS t WHERE ${shape.key} IN (${keys.map(literal).join(", ")})`
          ]
    })
    if (selects.length === 0) return
    for (const { image, key, tbl, text, xmin } of yield* world.server.read<
      Version & { readonly tbl: string; readonly key: string; readonly xmin: string }
    >(selects.join(" UNION ALL ")))
      versions.set(versionName(tbl, key, xmin), { image, text })
  })

/** What a client's database holds. */
export interface Shown {
  readonly pending: number
  /** Rows in text form, as `World.tablesOf`. */
  readonly tables: Tables
  /** Key and audience of each row, by table. */
  readonly keys: ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, string | null]>]>
  /** Rows of which an image is in a journal. */
  readonly journal: ReadonlyArray<string>
}

export const readShown = (world: World, client: ClientView): Effect.Effect<Shown> =>
  Effect.gen(function* () {
    const { rowsByDigests } = memoryOf(world)
    const { tables } = yield* clientStateOf(client, world.app)
    const rows = rowsByDigests.get(tables) ?? (yield* readRows(world, client))
    rowsByDigests.set(tables, rows)
    const journal = yield* client.read<{ name: string }>(
      "SELECT tbl || ' ' || key AS name FROM synchrotron.patches UNION ALL SELECT tbl || ' ' || key FROM synchrotron.later_patches"
    )
    return { ...rows, pending: yield* pendingOf(client, world.app), journal: journal.map(({ name }) => name) }
  })

const readRows = (world: World, client: ClientView) =>
  Effect.gen(function* () {
    const shapes = yield* shapesIn(world)
    const found = yield* client.read<{
      readonly tbl: string
      readonly rows: ReadonlyArray<readonly [string, string | null, string]>
    }>(
      shapes
        .map(
          ({ audience, key, name, table }) =>
            `SELECT ${literal(name)} AS tbl, coalesce(json_agg(json_build_array(${key}, ${audience}, t::text) ORDER BY t::text COLLATE "C"), '[]') AS rows FROM ${table} AS t`
        )
        .join(" UNION ALL ")
    )
    return {
      tables: Object.fromEntries(found.map(({ rows, tbl }) => [tbl, rows.map(([, , text]) => text)])),
      keys: found.map(
        ({ rows, tbl }) => [tbl, rows.map(([key, audience]) => [key, audience] as const)] as const
      )
    }
  })

/**
 * The confirmed state below what a client shows, computed from its journals: what its records did is taken back, and
 * what the later records did on the server is done. Images by {@link rowName}.
 */
export const readConfirmed = (
  world: World,
  client: ClientView
): Effect.Effect<ReadonlyMap<string, Protocol.Image>> =>
  Effect.gen(function* () {
    const shapes = yield* shapesIn(world)
    const found = yield* client.read<{
      readonly tbl: string
      readonly key: string
      readonly image: Protocol.Image | null
    }>(
      `WITH layers AS (
         ${shapes.map(({ image, key, name, table }) => `SELECT 0 AS layer, 0::bigint AS n, ${literal(name)} AS tbl, ${key} AS key, ${image} AS image FROM ${table} AS t`).join(" UNION ALL ")}
         UNION ALL SELECT 1, -p.n, p.tbl, p.key, p.before FROM synchrotron.patches AS p
         UNION ALL SELECT 2, l.n, l.tbl, l.key, l.after FROM synchrotron.later_patches AS l
       )
       SELECT DISTINCT ON (tbl, key) tbl, key, image FROM layers ORDER BY tbl, key, layer DESC, n DESC`
    )
    return new Map(
      found.flatMap(({ image, key, tbl }) => (image === null ? [] : [[rowName(tbl, key), image] as const]))
    )
  })
