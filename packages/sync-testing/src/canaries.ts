import type { Live, Seq } from "@synchrotron/sync-core"

/**
 * Bugs that are planted on purpose, to prove that the simulator would find them. The engine has no switch for any of
 * them: its statements are rewritten on their way to the database, and its messages on their way to clients.
 */
export interface Canary {
  readonly name: string
  /** What is wrong. */
  readonly about: string
  /** Where it shows; `bank` unless given. */
  readonly scenario?: "bookings"
  /** It is found within this many seeds from seed 1 on, with the default numbers and all faults. */
  readonly seedsMax: number
  /** Rewrites the statements of clients, and of servers. */
  readonly client?: (sql: string) => string
  readonly server?: (sql: string) => string
  /** Changes what a client hears of commits. */
  readonly feed?: (message: Live.Message) => Live.Message
}

const replacing = (from: string | RegExp, to: string) => (sql: string) => sql.replace(from, to)

export const canaries: ReadonlyArray<Canary> = [
  {
    name: "skip-undo",
    about: "A client does not take back what its pending records did before it replays them.",
    seedsMax: 5,
    client: replacing(
      "FROM synchrotron.patches AS p\n  ) AS s",
      "FROM synchrotron.patches AS p WHERE false\n  ) AS s"
    )
  },
  {
    name: "wrong-fast-path",
    about:
      "A client puts rows without replaying its pending records, although they wrote to the same tables.",
    seedsMax: 5,
    client: replacing(
      "SELECT written, used FROM synchrotron.keep_record(",
      "SELECT ARRAY[]::text[] AS written, ARRAY[]::text[] AS used FROM synchrotron.keep_record("
    )
  },
  {
    name: "server-skips-undo",
    about: "The authority does not take back the records that a late arrival goes before.",
    seedsMax: 10,
    server: replacing("ORDER BY tbl, key, n) AS net", "ORDER BY tbl, key, n) AS net WHERE false")
  },
  {
    name: "wrong-tie-break",
    about: "A late arrival is executed in the order of arrival: what was canonical before it is not found.",
    seedsMax: 10,
    server: replacing(
      "WHERE hlc > $1 AND status <> 'voided' ORDER BY hlc",
      "WHERE hlc > $1 AND status = 'none' ORDER BY hlc"
    )
  },
  {
    name: "cursor-too-far",
    about: "An answer's cursor is one commit ahead of its rows.",
    seedsMax: 5,
    server: replacing("SELECT seq, clock_ms AS ms", "SELECT seq + 1 AS seq, clock_ms AS ms")
  },
  {
    name: "dropped-verdict",
    about: "A client forgets refused records instead of keeping them.",
    seedsMax: 10,
    client: replacing(
      /^\nUPDATE synchrotron\.records AS r SET status = x\.status[\s\S]*$/,
      "DELETE FROM synchrotron.records AS r USING jsonb_to_recordset($1::jsonb) AS x(id uuid) WHERE r.id = x.id"
    )
  },
  {
    name: "replay-as-owner",
    about: "Records are executed as the database's owner, past row-level security.",
    seedsMax: 10,
    // On Postgres in one text with what else leads into the record. Rows are read as the principal all the same.
    server: replacing(
      /(^|;)SET LOCAL ROLE (?!NONE)[^\s;]+(?=$|;SELECT set_config\('synchrotron\.record')/,
      "$1SET LOCAL ROLE NONE"
    )
  },
  {
    name: "duplicate-ingest",
    about: "A record that arrives again is executed again.",
    seedsMax: 10,
    server: (sql) =>
      sql
        .replace(
          /SELECT id FROM synchrotron\.records WHERE id IN \(.*$/s,
          "SELECT id FROM synchrotron.records WHERE false"
        )
        .replace(/LEFT JOIN synchrotron\.digests\([\s\S]*$/, (tail) => `${tail} ON CONFLICT (id) DO NOTHING`)
  },
  {
    name: "forgotten-tombstones",
    about: "A client that was away for too long is not told that tombstones are missing.",
    scenario: "bookings",
    seedsMax: 10,
    server: replacing("floor_counter, tombstone_seq FROM", "floor_counter, 0 AS tombstone_seq FROM")
  },
  {
    name: "compacts-too-much",
    about: "Compaction removes what may still be taken back.",
    scenario: "bookings",
    seedsMax: 10,
    server: replacing("AND r.hlc <= $1 ORDER BY r.hlc LIMIT", "AND $1 <> '' ORDER BY r.hlc LIMIT")
  },
  {
    name: "follows-over-a-gap",
    about: "A client applies what it hears of a commit, although it has not heard of the one before.",
    seedsMax: 10,
    feed: (message) => ({ ...message, from: 0 as Seq })
  },
  {
    name: "leak",
    about: "The authority shows everybody what crossing records wrote, hidden rows too.",
    scenario: "bookings",
    seedsMax: 20,
    server: replacing(
      /^SELECT x\.position::integer AS position FROM [\s\S]*$/,
      "SELECT x.position::integer AS position FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS x(image, position) WHERE $2::text[] IS NOT NULL"
    )
  }
]
