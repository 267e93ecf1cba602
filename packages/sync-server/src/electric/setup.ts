/**
 * What an Electric needs of the database: the feed, published, and a role that may read it and nothing else. With
 * `ELECTRIC_MANUAL_TABLE_PUBLISHING=true` Electric needs no rights beyond those.
 */
import type { SqlClient } from "@effect/sql"
import { identifier } from "@synchrotron/sync-core"
import { Effect } from "effect"
import { realmLock } from "../authority/schema.ts"
import { AuthoritySetupError } from "../authority/setup.ts"
import { feedTable } from "./request.ts"

/** As whom Electric connects, if the database has this role. */
export const electricRole = "synchrotron_electric"
/** The one that Electric reads unless it is given another stream id. */
const publication = "electric_publication_default"

export const setupElectric = (sql: SqlClient.SqlClient) =>
  Effect.gen(function* () {
    if ("pglite" in sql)
      return yield* new AuthoritySetupError({
        message:
          "Electric reads a Postgres, and the embedded store is none that it could connect to. Set DATABASE_URL, or leave out ELECTRIC_URL: the server serves the live feed by itself."
      })
    yield* sql.withTransaction(sql.unsafe(setupSql))
    const [wal] = yield* sql.unsafe<{ wal_level: string }>("SHOW wal_level")
    if (wal!.wal_level !== "logical")
      yield* Effect.logWarning(
        `Electric needs logical replication, and wal_level of this Postgres is ${wal!.wal_level}. As a superuser run: ALTER SYSTEM SET wal_level = logical; and restart it`
      )
  })

const setupSql = `
SELECT pg_advisory_xact_lock(${realmLock});
UPDATE synchrotron.realm SET keeps_feed = true WHERE NOT keeps_feed;
ALTER TABLE ${feedTable} REPLICA IDENTITY FULL;
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = '${publication}') THEN
    CREATE PUBLICATION ${publication} FOR TABLE ${feedTable};
  ELSIF NOT EXISTS (SELECT FROM pg_publication_tables WHERE pubname = '${publication}' AND schemaname || '.' || tablename = '${feedTable}') THEN
    ALTER PUBLICATION ${publication} ADD TABLE ${feedTable};
  END IF;
  IF to_regrole('${electricRole}') IS NOT NULL THEN
    GRANT USAGE ON SCHEMA synchrotron TO ${identifier(electricRole)};
    GRANT SELECT ON ${feedTable} TO ${identifier(electricRole)};
    DROP POLICY IF EXISTS electric ON ${feedTable};
    CREATE POLICY electric ON ${feedTable} FOR SELECT TO ${identifier(electricRole)} USING (true);
  END IF;
END $$`
