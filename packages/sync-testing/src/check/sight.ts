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
  /** The rows in the audiences that he holds, as `ServerView.viewOf`. */
  readonly view: Tables
  /** Images of all rows, by {@link rowName}. */
  readonly rows: ReadonlyMap<string, Protocol.Image>
  /** Names of those in the audiences that he holds. */
  readonly held: ReadonlySet<string>
  /** Whether images that are no rows, or not now, may be seen: what was found out so far, by name of row and image. */
  readonly trials: Map<string, boolean>
}

export const rowName = (table: string, key: string): string => `${table} ${key}`

interface Memory {
  shapes: ReadonlyArray<Shape> | null
  readonly sightsByUser: Map<string, Sight>
  /** Rows by their digests, whoever shows them. */
  readonly rowsByDigests: Map<string, Pick<Shown, "tables" | "keys">>
}

const memories = new WeakMap<World, Memory>()

const memoryOf = (world: World): Memory => {
  const known = memories.get(world)
  if (known !== undefined) return known
  const memory: Memory = { shapes: null, sightsByUser: new Map(), rowsByDigests: new Map() }
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
    const selects = shapes.map(
      ({ audience, image, key, name, table }) =>
        `SELECT ${literal(name)} AS tbl, coalesce(json_agg(json_build_array(${key}, ${image}, CASE WHEN ${audience} IN (SELECT audience FROM held) THEN t::text END) ORDER BY t::text COLLATE "C"), '[]') AS rows FROM ${table} AS t`
    )
    const found = yield* world.server.readAs<{
      readonly tbl: string
      readonly rows: ReadonlyArray<readonly [string, Protocol.Image, string | null]>
    }>(principal, `WITH held AS MATERIALIZED (${heldSql(world.app)}) ${selects.join(" UNION ALL ")}`)
    const view: Record<string, ReadonlyArray<string>> = {}
    const rows = new Map<string, Protocol.Image>()
    const held = new Set<string>()
    for (const { rows: all, tbl } of found) {
      view[tbl] = all.flatMap(([, , text]) => text ?? [])
      for (const [key, image, text] of all) {
        rows.set(rowName(tbl, key), image)
        if (text !== null) held.add(rowName(tbl, key))
      }
    }
    return { at, view, rows, held, trials: new Map() }
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
