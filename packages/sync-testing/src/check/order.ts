/**
 * I3. Looks at each new canonical record once, at the first answer after it was placed, and knows since then where it is:
 *
 *     stamp ──► place = stamp                         as long as the reorder window and the same client's records allow
 *         └───► place = just after what it may not pass
 *
 * What a server has decided shows in its database, also when the answer never left it. Everything is compared again
 * at the end.
 */
import { Hlc } from "@synchrotron/sync-core"
import { Effect } from "effect"
import type { Checker, ClientView } from "./Checker.ts"

/** Virtual time that may pass between a server's look at its clock and its commit: conflicts are tried again. */
const judgingMsMax = 5_000

interface Placed {
  readonly id: string
  readonly hlc: Hlc.Hlc
  /** Null for an external record. */
  readonly node: string | null
  readonly status: "applied" | "changed" | "voided"
  readonly seq: number
}

interface Realm {
  readonly realm: number
  readonly clock_ms: number
  readonly clock_counter: number
  readonly floor_ms: number
  readonly floor_counter: number
}

/** What is known of one client's records. */
interface Line {
  /** In the order of execution, which stamping again keeps. */
  readonly positions: Map<string, number>
  /** Its last record in the canonical order. */
  last: { readonly id: string; readonly hlc: Hlc.Hlc } | null
}

export const order: Checker = {
  invariant: "I3",
  about:
    "A canonical record is at its stamp, unless the reorder window or an earlier record of its client is in the way, and stays where it is; no client's records overtake each other; commits are numbered without gaps. Unknown until records of two clients are canonical.",
  hooks: (world, reporter) => {
    const { compaction, driftMsMax, reorderWindowMs, reorderWindowRecords, serverSkewMsMax } = world.settings
    const places = new Map<string, Hlc.Hlc>()
    const idsByPlace = new Map<Hlc.Hlc, string>()
    /** All stamps that a record ever had: a request with the old ones may still arrive. */
    const stamps = new Map<string, Set<Hlc.Hlc>>()
    const lines = new Map<string, Line>()
    const nodes = new Set<string>()
    const appliedSeqs = new Map<string, number>()
    let top: Hlc.Hlc | null = null
    let seq = 0
    let committedSeq: number | null = null
    let lookedMs = Number.NEGATIVE_INFINITY
    let floor: Hlc.ClockState | null = null

    const lineOf = (node: string): Line => {
      const line = lines.get(node) ?? { positions: new Map(), last: null }
      lines.set(node, line)
      return line
    }
    const note = (node: string, records: ReadonlyArray<{ readonly id: string; readonly hlc: Hlc.Hlc }>) => {
      const { positions } = lineOf(node)
      for (const { hlc, id } of records) {
        if (!positions.has(id)) positions.set(id, positions.size)
        const known = stamps.get(id)
        if (known === undefined) stamps.set(id, new Set([hlc]))
        else known.add(hlc)
      }
    }
    const notePending = (client: ClientView) =>
      Effect.map(
        client.read<{ id: string; hlc: Hlc.Hlc }>(
          "SELECT id, hlc FROM synchrotron.records WHERE status = 'pending' ORDER BY hlc"
        ),
        (rows) => note(client.clientId, rows)
      )

    const named = (id: string) => `${world.label(id)}${places.has(id) ? ` at ${places.get(id)}` : ""}`

    /** Whether the record is where it was; true for a new one. */
    const kept = (id: string, hlc: Hlc.Hlc, where: string): boolean => {
      const place = places.get(id)
      if (place === undefined || place === hlc) return true
      reporter.violated(
        `${world.label(id)} was placed at ${place} in the canonical order, and ${where} it is at ${hlc}. A place is for ever.`
      )
      return false
    }

    /** New records since the last look, in the order of their commits. */
    const look = Effect.gen(function* () {
      const rows = yield* world.server.read<Realm & { [Key in keyof Placed]: Placed[Key] | null }>(
        `SELECT realm.seq AS realm, realm.clock_ms, realm.clock_counter, realm.floor_ms, realm.floor_counter,
           r.id, r.hlc, r.client_id AS node, r.status, r.seq
         FROM synchrotron.realm LEFT JOIN synchrotron.records AS r ON r.seq > $1 ORDER BY r.seq, r.hlc`,
        [seq]
      )
      const realm: Realm = rows[0]!
      const placed = rows.filter((row): row is typeof row & Placed => row.id !== null)
      const fresh = placed.filter((row) => kept(row.id, row.hlc, "in the database") && !places.has(row.id))
      const late: Array<Placed> = []
      let before = top
      for (const row of fresh) {
        const other = idsByPlace.get(row.hlc)
        if (other !== undefined)
          reporter.violated(
            `${world.label(row.id)} was placed at ${row.hlc}, where ${world.label(other)} is.`
          )
        if (row.seq > realm.realm)
          reporter.violated(
            `${world.label(row.id)} is of commit ${row.seq}, and the last one is ${realm.realm}.`
          )
        // Since it was voided by a later commit, what came before it at first is unknown.
        if (before !== null && row.hlc < before && row.status !== "voided") {
          late.push(row)
          if (row.node === null)
            reporter.violated(
              `${world.label(row.id)}, a write from outside of the engine, was placed at ${row.hlc}, before ${named(idsByPlace.get(before)!)}: it has happened after everything else.`
            )
        }
        places.set(row.id, row.hlc)
        idsByPlace.set(row.hlc, row.id)
        if (before === null || row.hlc > before) before = row.hlc
        if (row.node !== null) nodes.add(row.node)
      }
      const clock: Hlc.ClockState = { ms: realm.clock_ms, counter: realm.clock_counter }
      if (before !== null && compareStates(Hlc.parts(before), clock) > 0)
        reporter.violated(
          `${named(idsByPlace.get(before)!)} is in the canonical order, and the realm's clock is behind it at ${clock.ms}:${clock.counter}.`
        )
      // A client's records in the order of their places, for the commits of voided ones are those that voided them.
      for (const row of [...fresh].sort((a, b) => Hlc.compare(a.hlc, b.hlc)))
        if (row.node !== null) yield* checkPlace(row, row.node, realm)
      if (late.length > 0 && places.size > reorderWindowRecords) yield* checkCrossing(late)
      if (nodes.size > 1 && fresh.length > 0) reporter.observed()
      top = before
      seq = Math.max(seq, realm.realm)
      lookedMs = world.now()
    })

    const checkPlace = (row: Placed, node: string, realm: Realm) =>
      Effect.gen(function* () {
        const line = lineOf(node)
        const place = Hlc.parts(row.hlc)
        const closed: Hlc.ClockState = { ms: realm.floor_ms, counter: realm.floor_counter }
        const { last } = line
        if (place.node !== node)
          reporter.violated(
            `${world.label(row.id)} was placed at ${row.hlc}, which names another client than its own, ${node}.`
          )
        if (last !== null && row.hlc < last.hlc)
          reporter.violated(
            `${world.label(row.id)} was placed at ${row.hlc}, before ${world.label(last.id)} of the same client at ${last.hlc}, which was there first.`
          )
        const position = line.positions.get(row.id)
        const lastPosition = last === null ? undefined : line.positions.get(last.id)
        if (position !== undefined && lastPosition !== undefined && position < lastPosition)
          reporter.violated(
            `${world.label(row.id)} at ${row.hlc} was overtaken by ${world.label(last!.id)} at ${last!.hlc}, which the same client executed later.`
          )
        if (last === null || row.hlc > last.hlc) line.last = { id: row.id, hlc: row.hlc }
        const behindMs = lookedMs - judgingMsMax - serverSkewMsMax - reorderWindowMs
        if (place.ms < behindMs || (realm.floor_ms > 0 && compareStates(place, closed) <= 0))
          reporter.violated(
            `${world.label(row.id)} was placed at ${row.hlc}, behind ${place.ms < behindMs ? `the reorder window of ${reorderWindowMs} ms` : "what a migration or a compaction has closed"}.`
          )
        const mine = stamps.get(row.id)
        // Of a process that ended before it told; the end of the run asks again.
        if (mine === undefined) return
        const stamp = [...mine].sort()[0]!
        if (row.hlc < stamp)
          reporter.violated(
            `${world.label(row.id)} was stamped ${stamp}, and placed before that at ${row.hlc}.`
          )
        const nowMs = world.now() + serverSkewMsMax
        if (mine.has(row.hlc)) {
          if (place.ms > nowMs + driftMsMax)
            reporter.violated(
              `${world.label(row.id)} was accepted at its stamp ${row.hlc}, ${place.ms - world.now()} ms in the future; ${driftMsMax} ms are allowed.`
            )
          return
        }
        const at = Hlc.parts(stamp)
        const windowMs = nowMs - reorderWindowMs
        const crossed = places.size > reorderWindowRecords ? yield* lastInWindow : null
        const bounds = [
          last === null ? null : Hlc.parts(last.hlc),
          { ms: windowMs, counter: 0 },
          closed,
          crossed,
          yield* refusedBefore(row, node)
        ]
        const inTheWay = bounds.filter((bound) => bound !== null && compareStates(at, bound) <= 0)
        if (inTheWay.length === 0)
          reporter.violated(
            `${world.label(row.id)} was stamped ${stamp}, and placed at ${row.hlc}, although its stamp is in the reorder window (${reorderWindowMs} ms, ${reorderWindowRecords} records) and after all earlier records of its client${last === null ? "" : `, the last canonical one of which is at ${last.hlc}`}.`
          )
        else if (place.ms > Math.max(...inTheWay.map((bound) => bound!.ms)) + 1)
          reporter.violated(
            `${world.label(row.id)} was stamped ${stamp}, and placed at ${row.hlc}, further than just after what it may not pass.`
          )
      })

    /**
     * Where the last record of this client before this one was refused. Nobody knows at placing time what will be refused,
     * so records of one request keep out of each other's way.
     */
    const refusedBefore = ({ hlc }: Placed, node: string) =>
      Effect.map(
        world.server.read<{ hlc: Hlc.Hlc | null }>(
          "SELECT max(hlc) AS hlc FROM synchrotron.dead_letters WHERE client_id = $1::uuid AND hlc < $2",
          [node, hlc]
        ),
        ([refused]) => (refused!.hlc === null ? null : Hlc.parts(refused!.hlc))
      )

    /** The oldest record that the window's count lets others pass, as of now: at least as late as when it was asked. */
    const lastInWindow = Effect.suspend(() =>
      Effect.map(
        world.server.read<{ hlc: Hlc.Hlc }>(
          `SELECT hlc FROM synchrotron.records ORDER BY hlc DESC OFFSET ${reorderWindowRecords} LIMIT 1`
        ),
        ([row]) => (row === undefined ? null : Hlc.parts(row.hlc))
      )
    )

    /** How many records each late arrival went before; those that were voided since are not counted. */
    const checkCrossing = (late: ReadonlyArray<Placed>) =>
      Effect.map(
        world.server.read<{ id: string; crossed: number }>(
          `SELECT x.id, (SELECT count(*)::integer FROM synchrotron.records AS r WHERE r.hlc > x.hlc COLLATE "C" AND r.seq < x.seq) AS crossed
           FROM jsonb_to_recordset($1::jsonb) AS x(id uuid, hlc text, seq bigint)`,
          [JSON.stringify(late.map(({ hlc, id, seq }) => ({ id, hlc, seq })))]
        ),
        (rows) => {
          for (const { crossed, id } of rows)
            if (crossed > reorderWindowRecords)
              reporter.violated(
                `${named(id)} was placed before ${crossed} records that were canonical already; ${reorderWindowRecords} are allowed.`
              )
        }
      )

    /** Only compaction moves the floor here: forward, and no further than its window and the last record. */
    const checkFloor = (realm: Realm) =>
      Effect.gen(function* () {
        const now: Hlc.ClockState = { ms: realm.floor_ms, counter: realm.floor_counter }
        const before = floor ?? now
        floor = now
        const moved = compareStates(now, before)
        if (moved === 0) return
        const where = `The floor of the realm went from ${before.ms}:${before.counter} to ${now.ms}:${now.counter}`
        if (moved < 0 || compaction === undefined)
          return reporter.violated(
            `${where}, ${moved < 0 ? "and what is closed is closed for good" : "and nobody has compacted"}.`
          )
        const [beyond] = yield* world.server.read<{ hlc: Hlc.Hlc }>(
          `SELECT hlc FROM synchrotron.records ORDER BY hlc DESC OFFSET ${compaction.reorderWindowRecords} LIMIT 1`
        )
        const windowMs = world.now() + serverSkewMsMax - compaction.reorderWindowMs
        const allowed = beyond === undefined || Hlc.parts(beyond.hlc).ms < windowMs ? windowMs : null
        if (allowed === null ? compareStates(now, Hlc.parts(beyond!.hlc)) > 0 : now.ms > allowed)
          reporter.violated(
            `${where}, which closes what is in the window of ${compaction.reorderWindowMs} ms and ${compaction.reorderWindowRecords} records.`
          )
        if (compareStates(now, { ms: realm.clock_ms, counter: realm.clock_counter }) > 0)
          reporter.violated(`${where}, after the last record at ${realm.clock_ms}:${realm.clock_counter}.`)
      })

    const checkSeq = (now: number) => {
      if (now < seq)
        reporter.violated(`The realm's commits were numbered up to ${seq}, and now up to ${now}.`)
    }

    return {
      executed: (client, record) => Effect.sync(() => note(client.clientId, [record])),
      settledByUser: (client, _, as) =>
        Effect.sync(() => {
          if (as !== null) note(client.clientId, [as])
        }),
      restamped: notePending,
      restarted: notePending,
      sent: ({ client, request }) => Effect.sync(() => note(client.clientId, request.records)),
      serverCommitted: () =>
        Effect.gen(function* () {
          const [realm] = yield* world.server.read<Realm>(
            "SELECT seq AS realm, clock_ms, clock_counter, floor_ms, floor_counter FROM synchrotron.realm"
          )
          const now = realm!.realm
          checkSeq(now)
          if (committedSeq !== null && now > committedSeq + 1)
            reporter.violated(`Commit ${committedSeq} of the realm was followed by commit ${now}.`)
          committedSeq = now
          yield* checkFloor(realm!)
        }),
      // What was placed before the floor moves is judged by where it was.
      compacting: () => look,
      served: (exchange, response) =>
        Effect.gen(function* () {
          if (response.seq > seq) yield* look
          else lookedMs = world.now()
          const where = `in the answer to exchange ${exchange.number}`
          for (const verdict of response.verdicts) if ("hlc" in verdict) kept(verdict.id, verdict.hlc, where)
          let before: Hlc.Hlc | null = exchange.request.after
          for (const { hlc, id } of response.later) {
            if (!places.has(id)) reporter.violated(`${world.label(id)} is ${where}, and not canonical.`)
            kept(id, hlc, where)
            if (before !== null && hlc <= before)
              reporter.violated(`${world.label(id)} at ${hlc} comes after ${before} ${where}.`)
            before = hlc
          }
        }),
      applied: ({ client, number }, response, received) =>
        Effect.sync(() => {
          if (received.path === "stale") return
          const before = appliedSeqs.get(client.name) ?? 0
          if (response.seq < before)
            reporter.violated(
              `${client.name} had applied commit ${before}, and then applied the answer to exchange ${number} as of commit ${response.seq}.`
            )
          appliedSeqs.set(client.name, response.seq)
        }),
      finished: Effect.gen(function* () {
        yield* look
        const rows = yield* world.server.read<Placed & { realm: number }>(
          "SELECT r.id, r.hlc, r.client_id AS node, r.status, r.seq, (SELECT seq FROM synchrotron.realm) AS realm FROM synchrotron.records AS r ORDER BY r.hlc"
        )
        checkSeq(rows[0]?.realm ?? seq)
        const present = new Set<string>()
        let before: Placed | null = null
        for (const row of rows) {
          present.add(row.id)
          kept(row.id, row.hlc, "at the end")
          if (!places.has(row.id))
            reporter.violated(
              `${world.label(row.id)} at ${row.hlc} has come into the canonical order without a commit: it is of commit ${row.seq}, which was over before.`
            )
          if (row.node !== null && !stamps.has(row.id))
            reporter.violated(`${named(row.id)} is canonical, and no client has executed it.`)
          if (before?.hlc === row.hlc)
            reporter.violated(
              `${world.label(row.id)} and ${world.label(before.id)} share the place ${row.hlc}.`
            )
          before = row
        }
        for (const id of places.keys())
          if (!present.has(id)) reporter.violated(`${named(id)} has left the canonical order.`)
      })
    }
  }
}

const compareStates = (a: Hlc.ClockState, b: Hlc.ClockState): number => a.ms - b.ms || a.counter - b.counter
