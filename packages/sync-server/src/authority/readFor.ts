/** The function that reads rows of many users in one statement, each as that user. */
import { identifier, literal, type SyncApp } from "@synchrotron/sync-core"
import { audiencesSql } from "./principal.ts"
import type { TableStatements } from "./setup.ts"

/**
 * `synchrotron.read_for(NULL, NULL, users, claims, visits)`, which becomes the role of principals itself; the last three are
 * as long as each other. A visit is `{held: [audience], tables: {name: [key]}}`. Gives for each visit, by its place in the
 * array, a row without a table whose `image` is a JSON array of the user's audiences now, each once, and then key and image of
 * those of the rows that are there for the user. Leaves the settings of the last user in the transaction.
 *
 * One statement for each user would cost more than what it does. Plans are kept, and do not follow the size of a table,
 * which may grow from nothing, so they go by indexes.
 */
export const readForSql = (
  app: SyncApp.SyncApp,
  tables: ReadonlyArray<TableStatements>,
  role: string
): string => {
  // The first two parameters are what `readSql` calls $1 and $2.
  const body = `
#variable_conflict use_column
DECLARE
  visited record;
  wanted record;
BEGIN
  FOR visited IN SELECT (v.n - 1)::integer AS place, v.visit, $3[v.n] AS user_id, $4[v.n] AS claims FROM jsonb_array_elements($5) WITH ORDINALITY AS v(visit, n) LOOP
    PERFORM set_config('synchrotron.user_id', visited.user_id, true), set_config('request.jwt.claims', visited.claims, true);
    RETURN QUERY SELECT visited.place, NULL::text, NULL::text, coalesce(json_agg(DISTINCT a.audience::text COLLATE "C") FILTER (WHERE a.audience IS NOT NULL), '[]')::text
      FROM (${audiencesSql(app)}
      ) AS a(audience);
    held := ARRAY(SELECT jsonb_array_elements_text(visited.visit -> 'held'));
    FOR wanted IN SELECT t.key AS name, t.value AS keys FROM jsonb_each(visited.visit -> 'tables') AS t LOOP
      keys := ARRAY(SELECT jsonb_array_elements_text(wanted.keys));
${tables
  .map(
    ({ name, readSql }) =>
      `      IF wanted.name = ${literal(name)} THEN RETURN QUERY SELECT visited.place, wanted.name, r.key, r.image::text FROM (${readSql}) AS r; CONTINUE; END IF;`
  )
  .join("\n")}
      RAISE EXCEPTION 'synchrotron: % is not a synced table', wanted.name USING ERRCODE = '42P01';
    END LOOP;
  END LOOP;
END`
  // Replacing it would be checked as the role of principals, which may not execute it.
  return `
DROP FUNCTION IF EXISTS synchrotron.read_for;
CREATE FUNCTION synchrotron.read_for(keys text[], held text[], users text[], claims text[], visits jsonb)
RETURNS TABLE (place integer, tbl text, key text, image text) LANGUAGE plpgsql
SET role = ${identifier(role)} SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS ${literal(body)};`
}
