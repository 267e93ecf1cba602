/**
 * SQL that is generated for one synced table: its capture triggers and the statements of `synchrotron.tables`.
 * `read_sql` gives present rows of $1 (keys) in the audiences $2; the authority runs it as the principal. `rows_sql` gives
 * those that the relation `wanted` names in the audiences $1, as JSON text. `visible_sql` gives the positions of the images $1 (a
 * JSON array) that are in the audiences $2; the authority adds the policies to it. `clashes_sql` gives name and SQLSTATE
 * of a late constraint that a row of $1 (keys) breaks; NULL where there is none. `present_sql` gives key and audience of
 * each row.
 *
 * A client has a table `staged` beside each synced one: the rows of a load with typed columns, and the chunk in which each
 * came. `stage_sql` puts the images $1 (a JSON array) of the chunk $2 there. `gone_sql` removes from the table what the
 * load says is gone, `absent_sql` what it does not name, `drop_sql` what it has otherwise, and `take_sql` adds the last of
 * what it has and the table has not.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import { patchPlaces } from "./engine.ts"
import type { LateConstraint, TableShape } from "./inspect.ts"
import { notPutting, putSql } from "./put.ts"
import { identifier, literal } from "./text.ts"

/** What a write outside of any record means here: refused on a client, an external record on the server. */
export type Side = "client" | "server"

/** Creates everything of one table. Cheap enough to run at each change of the application. */
export const tableSql = (shape: TableShape, side: Side): string => {
  const table = `${identifier(shape.schema)}.${identifier(shape.name)}`
  const columns = shape.columns.filter((c) => !c.generated)
  const name = literal(shape.fullName)
  const stored = new Set(columns.map((c) => c.name))
  const keyTypes = new Map(shape.columns.map((c) => [c.name, c.type]))
  const image = (row: string) =>
    imageOf(
      columns.map((c) => c.name),
      row
    )
  const key = (row: string) =>
    `jsonb_build_array(${shape.keyColumns.map((c) => `${row}.${identifier(c)}::text`).join(", ")})::text`
  const keyMatches = (row: string) =>
    shape.keyColumns
      .map((c, i) => `${row}.${identifier(c)} = ((x.key::jsonb) ->> ${i})::${keyTypes.get(c)}`)
      .join(" AND ")
  const columnList = columns.map((c) => identifier(c.name)).join(", ")
  const values = columns.map((c) => `(x.image ->> ${literal(c.name)})::${c.type}`).join(", ")
  const typedRow = columns
    .map((c) => `(x.image ->> ${literal(c.name)})::${c.type} AS ${identifier(c.name)}`)
    .join(", ")
  const keyList = shape.keyColumns.map(identifier).join(", ")
  const sameKey = shape.keyColumns.map((c) => `t.${identifier(c)} = s.${identifier(c)}`).join(" AND ")
  const rowOf = (row: string) =>
    `ROW(${columns.map((c) => `${row}.${identifier(c.name)}`).join(", ")})::record`
  const staged = `synchrotron.${identifier(functionName("staged", shape))}`
  const put = `synchrotron.${identifier(functionName("put", shape))}`
  // Images leave generated columns out, and audiences and policies may use them.
  const generated = shape.columns
    .filter((c) => c.generated)
    .map((c) => `, (${c.expression})::${c.type} AS ${identifier(c.name)}`)
  const typedImage = `SELECT typed.*${generated.join("")} FROM (SELECT ${typedRow}) AS typed`
  const firstKey = identifier(shape.keyColumns.find((c) => stored.has(c)) ?? shape.keyColumns[0]!)
  const statements = {
    get_sql: `SELECT ${image("t")} FROM ${table} AS t, (SELECT $1::text AS key) AS x WHERE ${keyMatches("t")}`,
    // The key's columns are taken out first: under row-level security only a comparison that leaks nothing, such as that
    // of two columns, may look rows up in an index before the policies are asked.
    read_sql: `WITH x AS MATERIALIZED (SELECT k.key, ${shape.keyColumns
      .map((c, i) => `((k.key::jsonb) ->> ${i})::${keyTypes.get(c)} AS k${i}`)
      .join(", ")} FROM unnest($1::text[]) AS k(key))
      SELECT x.key, ${image("t")} AS image FROM x JOIN ${table} AS t ON ${shape.keyColumns
        .map((c, i) => `t.${identifier(c)} = x.k${i}`)
        .join(" AND ")}
      WHERE (SELECT ${shape.audience} FROM (SELECT t.*) AS ${identifier(shape.name)}) = ANY ($2::text[])`,
    rows_sql: `SELECT ${name} AS tbl, x.place, row_to_json(image)::text AS image FROM (
        SELECT w.place, ${shape.keyColumns.map((c, i) => `((w.key::jsonb) ->> ${i})::${keyTypes.get(c)} AS k${i}`).join(", ")} FROM wanted AS w OFFSET 0
      ) AS x JOIN ${table} AS t ON ${shape.keyColumns
        .map((c, i) => `t.${identifier(c)} = x.k${i}`)
        .join(" AND ")}, LATERAL (SELECT ${columns
        .map((c) => `t.${identifier(c.name)}::text AS ${identifier(c.name)}`)
        .join(", ")}) AS image
      WHERE (SELECT ${shape.audience} FROM (SELECT t.*) AS ${identifier(shape.name)}) = ANY ($1::text[])`,
    visible_sql: `SELECT x.position::integer AS position FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS x(image, position), LATERAL (${typedImage}) AS ${identifier(shape.name)}
      WHERE (${shape.audience}) = ANY ($2::text[])`,
    present_sql: `SELECT ${key("t")} COLLATE "C" AS key, (SELECT ${shape.audience} FROM (SELECT t.*) AS ${identifier(shape.name)})::text COLLATE "C" AS audience FROM ${table} AS t`,
    all_sql: `SELECT array_agg(${key("t")}), array_agg(${image("t")}) FROM ${table} AS t`,
    purge_sql: `SELECT array_agg(${key("t")}) FROM ${table} AS t WHERE (SELECT ${shape.audience} FROM (SELECT t.*) AS ${identifier(shape.name)}) = ANY ($1::text[]) IS NOT TRUE`,
    audience_sql: `SELECT array_agg((SELECT ${shape.audience} FROM (${typedImage}) AS ${identifier(shape.name)} WHERE x.image IS NOT NULL) ORDER BY x.position)
      FROM unnest($1::jsonb[]) WITH ORDINALITY AS x(image, position)`,
    clashes_sql:
      shape.lateConstraints
        .map((constraint) => clashSql(table, keyMatches("t"), constraint))
        .join(" UNION ALL ") || null,
    stage_sql: `INSERT INTO ${staged} (${columnList}, "!chunk") SELECT ${values}, $2 FROM jsonb_array_elements($1::jsonb) AS x(image)`,
    gone_sql: `DELETE FROM ${table} AS t USING synchrotron.staged_gone AS x WHERE x.tbl = ${name} AND ${keyMatches("t")}`,
    absent_sql: `DELETE FROM ${table} AS t WHERE NOT EXISTS (SELECT FROM ${staged} AS s WHERE ${sameKey})`,
    drop_sql: `DELETE FROM ${table} AS t USING ${staged} AS s WHERE ${sameKey} AND ${rowOf("t")} *<> ${rowOf("s")}`,
    take_sql: `INSERT INTO ${table} (${columnList}) SELECT DISTINCT ON (${keyList}) ${columnList} FROM ${staged} AS s
      WHERE NOT EXISTS (SELECT FROM ${table} AS t WHERE ${sameKey})
        AND NOT EXISTS (SELECT FROM synchrotron.staged_gone AS x WHERE x.tbl = ${name} AND x.chunk > s."!chunk" AND ${keyMatches("s")})
      ORDER BY ${keyList}, "!chunk" DESC`,
    staged,
    put
  }
  const capture = `synchrotron.${identifier(functionName("capture", shape))}`
  const truncate = `synchrotron.${identifier(functionName("truncate", shape))}`
  const record = `coalesce(nullif(current_setting('synchrotron.record', true), '')::uuid, synchrotron.outside_record(${name}))`
  const insert = "INSERT INTO synchrotron.patches (record_id, tbl, key, before, after)"
  const place = shape.interleaves ? inPlace : anyPlace
  return `
INSERT INTO synchrotron.tables (name, key_columns, relations, ${Object.keys(statements).join(", ")})
VALUES (${name}, ARRAY[${shape.keyColumns.map(literal).join(", ")}], ${literal(table)}::regclass::oid || ARRAY(SELECT indexrelid FROM pg_index WHERE indrelid = ${literal(table)}::regclass), ${Object.values(
    statements
  )
    .map((statement) => (statement === null ? "NULL" : literal(statement)))
    .join(", ")});
${
  side === "client"
    ? `CREATE TABLE ${staged} AS SELECT ${columnList}, 0::bigint AS "!chunk" FROM ${table} WITH NO DATA;`
    : ""
}${putSql({
  shape,
  name: put,
  table,
  keyMatches: keyMatches("t"),
  present: `t.${firstKey} IS NOT NULL`,
  image: image("t"),
  columns: columns.map((c) => identifier(c.name)),
  keyColumns: shape.keyColumns.map(identifier),
  values
})}
CREATE FUNCTION ${capture}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER${settings(side)} AS $capture$
${place.declare}BEGIN
  ${place.begin}IF TG_OP = 'INSERT' THEN
    ${place.insert} VALUES (${place.first}${record}, ${name}, ${key("NEW")}, NULL, ${image("NEW")});
  ELSIF TG_OP = 'DELETE' THEN
    ${place.insert} VALUES (${place.first}${record}, ${name}, ${key("OLD")}, ${image("OLD")}, NULL);
  ELSIF ${shape.keyColumns.map((c) => `OLD.${identifier(c)}::text = NEW.${identifier(c)}::text`).join(" AND ")} THEN
    ${place.insert} VALUES (${place.first}${record}, ${name}, ${key("NEW")}, ${image("OLD")}, ${image("NEW")});
  ELSE
    ${place.insert} VALUES (${place.first}${record}, ${name}, ${key("OLD")}, ${image("OLD")}, NULL), (${place.second}${record}, ${name}, ${key("NEW")}, NULL, ${image("NEW")});
  END IF;
  RETURN NULL;
END $capture$;

CREATE FUNCTION ${truncate}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER${settings(side)} AS $capture$
BEGIN
  ${insert} SELECT ${record}, ${name}, ${key("t")}, ${image("t")}, NULL FROM ${table} AS t;
  RETURN NULL;
END $capture$;

-- "!" sorts before letters: patches are taken before any trigger of the application can write again.
CREATE TRIGGER "!synchrotron_before" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
  FOR EACH STATEMENT WHEN (coalesce(current_setting('synchrotron.record', true), '') = '' AND ${notPutting}) EXECUTE FUNCTION synchrotron.outside_record_trigger();
CREATE TRIGGER "!synchrotron_change" AFTER INSERT OR DELETE ON ${table} FOR EACH ROW WHEN (${notPutting}) EXECUTE FUNCTION ${capture}();
CREATE TRIGGER "!synchrotron_update" AFTER UPDATE ON ${table} FOR EACH ROW WHEN (OLD *<> NEW AND ${notPutting}) EXECUTE FUNCTION ${capture}();
CREATE TRIGGER "!synchrotron_truncate" BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION ${truncate}();
${
  shape.interleaves
    ? `CREATE TRIGGER "!synchrotron_end" AFTER INSERT OR UPDATE OR DELETE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION synchrotron.end_statement();`
    : ""
}
`
}

/**
 * Finds rows that break a constraint together with another row, each through the constraint's own index. Names of columns
 * in the constraint's expressions are those of the one table in scope.
 */
const clashSql = (table: string, keyMatches: string, constraint: LateConstraint): string => {
  const where = constraint.predicate === null ? "" : ` AND (${constraint.predicate})`
  const values = constraint.parts.map(({ expression }, i) => `${expression} AS v${i}`).join(", ")
  const same = constraint.parts
    .map(({ expression, operator }, i) => {
      const equal = `${expression} ${operator} own.v${i}`
      return constraint.nullsDistinct ? equal : `(${equal} OR ${expression} IS NULL AND own.v${i} IS NULL)`
    })
    .join(" AND ")
  return `(SELECT ${literal(constraint.name)} AS name, ${literal(constraint.sqlState)} AS state
    FROM (SELECT t.ctid AS place, ${values} FROM ${table} AS t
      WHERE EXISTS (SELECT FROM unnest($1::text[]) AS x(key) WHERE ${keyMatches})${where}) AS own
    WHERE EXISTS (SELECT FROM ${table} AS other WHERE other.ctid <> own.place AND ${same}${where}) LIMIT 1)`
}

/** Patches in the order in which the trigger makes them. */
const anyPlace = {
  declare: "",
  begin: "",
  insert: "INSERT INTO synchrotron.patches (record_id, tbl, key, before, after)",
  first: "",
  second: ""
}

/**
 * Rows of a statement are captured one by one, and between two of them a trigger of the application may write to the
 * same table. So a statement takes a range of places when its first row is captured, and its other rows follow in
 * it, before all that was written since. Keys that it removes come before keys that it adds, since they may be the
 * same.
 */
const inPlace = {
  declare: `DECLARE
  slot text := 'synchrotron.place_' || pg_trigger_depth();
  place bigint := nullif(current_setting(slot, true), '')::bigint + 1;
`,
  begin: `IF place IS NULL OR place % ${patchPlaces / 2} = 0 THEN place := nextval('synchrotron.patches_n_seq'); END IF;
  PERFORM set_config(slot, place::text, true);
  `,
  insert: "INSERT INTO synchrotron.patches (n, record_id, tbl, key, before, after) OVERRIDING SYSTEM VALUE",
  first: "place, ",
  second: `place + ${patchPlaces / 2}, `
}

// Postgres cuts names at 63 bytes, and two tables must not share a function.
const functionName = (what: string, shape: TableShape): string => {
  const name = utf8ToBytes(`${what} ${shape.fullName}`)
  return name.length <= 63 ? `${what} ${shape.fullName}` : `${what} ${bytesToHex(sha256(name)).slice(0, 32)}`
}

/** What text forms depend on: settings of a client's one session, and of each of the engine's transactions elsewhere. */
export const sessionSettings = {
  timezone: "UTC",
  datestyle: "ISO, MDY",
  intervalstyle: "postgres",
  extra_float_digits: "1",
  lc_monetary: "C",
  bytea_output: "hex"
} as const

/** The same as a clause of CREATE FUNCTION, for the server, where any session may fire a trigger. */
export const sessionSettingsSql = Object.entries(sessionSettings)
  .map(([name, value]) => ` SET ${name} = ${literal(value)}`)
  .join("")

// On the server the functions run as their owner, so nobody's search_path may choose what they call.
const settings = (side: Side): string =>
  side === "client" ? "" : `${sessionSettingsSql} SET search_path = pg_catalog, pg_temp`

// A function takes at most 100 arguments, so wide rows are joined from several objects.
const imageOf = (columns: ReadonlyArray<string>, row: string): string => {
  const objects: Array<string> = []
  for (let i = 0; i < columns.length; i += 40) {
    const pairs = columns.slice(i, i + 40).map((c) => `${literal(c)}, ${row}.${identifier(c)}::text`)
    objects.push(`jsonb_build_object(${pairs.join(", ")})`)
  }
  return objects.join(" || ")
}
