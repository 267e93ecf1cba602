/** Reads the synced tables from the catalog and says what keeps one from being synced. */
import type { SqlClient, SqlError } from "@effect/sql"
import { Effect } from "effect"
import { TablesUnsupported } from "../Errors.ts"
import type { SyncTable } from "../SyncTable.ts"
import { shadowed } from "./determinism.ts"

export interface Column {
  readonly name: string
  /** With its modifiers, such as `numeric(10,2)`. */
  readonly type: string
  readonly generated: boolean
  readonly default: string | null
  /** How a generated column is computed from the others. */
  readonly expression: string | null
  readonly identity: boolean
}

export interface TableShape {
  readonly schema: string
  readonly name: string
  /** Schema-qualified and unquoted, as in the vocabulary. */
  readonly fullName: string
  readonly columns: ReadonlyArray<Column>
  /** In key order. */
  readonly keyColumns: ReadonlyArray<string>
  readonly audience: string
  /**
   * Whether patches of one statement can come between those of another: a trigger of the application runs after
   * each row, or a key's uniqueness is checked late, so that keys can be handed on from row to row.
   */
  readonly interleaves: boolean
  /** Whether ON CONFLICT finds rows by the key: its uniqueness is checked at once, and it has no periods. */
  readonly upserts: boolean
  readonly lateConstraints: ReadonlyArray<LateConstraint>
}

/**
 * A DEFERRABLE constraint that two rows break together: UNIQUE, EXCLUDE or WITHOUT OVERLAPS. Triggers check it, which
 * do not fire for rows that the engine puts. A key without periods is not among them: rows are put by key.
 */
export interface LateConstraint {
  readonly name: string
  /** What its index holds, and the operator that says that two rows have the same of it. */
  readonly parts: ReadonlyArray<{ readonly expression: string; readonly operator: string }>
  readonly nullsDistinct: boolean
  /** Condition on the rows that it is about. */
  readonly predicate: string | null
  /** What Postgres says when it is broken. */
  readonly sqlState: string
}

interface CatalogRow {
  readonly full_name: string
  readonly kind: string | null
  readonly columns: ReadonlyArray<Column> | null
  readonly key_columns: ReadonlyArray<string> | null
  readonly interleaves: boolean
  readonly upserts: boolean
  readonly late_constraints: ReadonlyArray<LateConstraint>
}

type Problem = (typeof TablesUnsupported.Type)["problems"][number]

/** One round trip for all tables. Run it under the engine's search path, so that defaults print as they bind. */
export const inspect = (
  sql: SqlClient.SqlClient,
  tables: ReadonlyArray<SyncTable>
): Effect.Effect<ReadonlyArray<TableShape>, TablesUnsupported | SqlError.SqlError> =>
  Effect.gen(function* () {
    const rows = yield* sql.unsafe<CatalogRow>(catalogSql, [JSON.stringify(tables.map((t) => t.name))])
    const shapes: Array<TableShape> = []
    const problems: Array<Problem> = []
    for (const [i, row] of rows.entries()) {
      problems.push(...problemsOf(row))
      const [schema, name] = split(row.full_name)
      shapes.push({
        schema,
        name,
        fullName: row.full_name,
        columns: row.columns ?? [],
        keyColumns: row.key_columns ?? [],
        audience: tables[i]!.audience,
        interleaves: row.interleaves,
        upserts: row.upserts,
        lateConstraints: row.late_constraints
      })
    }
    if (problems.length > 0) return yield* new TablesUnsupported({ problems })
    return shapes
  })

const split = (fullName: string): [string, string] => {
  const dot = fullName.indexOf(".")
  return [fullName.slice(0, dot), fullName.slice(dot + 1)]
}

const catalogSql = `
SELECT wanted.full_name, c.relkind::text AS kind,
  (SELECT json_agg(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '',
      'identity', a.attidentity <> '', 'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'expression', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END
    ) ORDER BY a.attnum)
   FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT json_agg(a.attname ORDER BY k.position)
   FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
   WHERE i.indrelid = c.oid AND i.indisprimary) AS key_columns,
  EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgname NOT LIKE '!synchrotron%'
    AND g.tgtype & 1 = 1 AND g.tgtype & 66 = 0)
    OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p' AND k.condeferrable) AS interleaves,
  EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p' AND NOT k.condeferrable AND k.conexclop IS NULL) AS upserts,
  (SELECT coalesce(json_agg(json_build_object(
      'name', k.conname, 'nullsDistinct', NOT i.indnullsnotdistinct, 'predicate', pg_get_expr(i.indpred, i.indrelid),
      'sqlState', CASE WHEN k.conexclop IS NULL THEN '23505' ELSE '23P01' END,
      'parts', (
        SELECT json_agg(json_build_object(
          'expression', pg_get_indexdef(i.indexrelid, n, false)
            || coalesce((SELECT format(' COLLATE %I.%I', s.nspname, l.collname) FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace WHERE l.oid = i.indcollation[n - 1]), ''),
          'operator', (SELECT format('OPERATOR(%I.%s)', s.nspname, o.oprname) FROM pg_operator o JOIN pg_namespace s ON s.oid = o.oprnamespace WHERE o.oid = coalesce(
            k.conexclop[n],
            -- Equality, the third strategy of a B-tree.
            (SELECT m.amopopr FROM pg_opclass f JOIN pg_amop m ON m.amopfamily = f.opcfamily AND m.amoplefttype = f.opcintype AND m.amoprighttype = f.opcintype
             WHERE f.oid = i.indclass[n - 1] AND m.amopstrategy = 3)))
        ) ORDER BY n) FROM generate_series(1, i.indnkeyatts::integer) AS n)
    ) ORDER BY k.conname), '[]')
   FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid
   WHERE k.conrelid = c.oid AND k.condeferrable AND (k.contype = 'u' OR k.conexclop IS NOT NULL)) AS late_constraints
FROM json_array_elements_text($1::json) WITH ORDINALITY AS wanted(full_name, position)
LEFT JOIN pg_namespace ns ON ns.nspname = split_part(wanted.full_name, '.', 1)
LEFT JOIN pg_class c ON c.relnamespace = ns.oid AND c.relname = substr(wanted.full_name, strpos(wanted.full_name, '.') + 1)
ORDER BY wanted.position`

const keywordDefault = /\b(CURRENT_(TIMESTAMP|DATE|TIME)|LOCALTIME(STAMP)?)\b|'now'::text/i
const qualifiedDefault = new RegExp(`\\bpg_catalog\\.(${shadowed.join("|")})\\(`, "i")

function* problemsOf(row: CatalogRow): Generator<Problem> {
  const table = row.full_name
  const problem = (column: string | null, problem: string, wayOut: string): Problem => ({
    table,
    column,
    problem,
    wayOut
  })
  if (row.kind === null) {
    yield problem(
      null,
      "the table does not exist.",
      "Create it in a migration, or correct its name in SyncTable.make."
    )
    return
  }
  if (row.kind !== "r") {
    yield problem(
      null,
      "only ordinary tables can be synced.",
      "Sync the tables behind the view, or a table without partitions."
    )
    return
  }
  if (row.key_columns === null) {
    yield problem(
      null,
      "the table has no primary key.",
      "Add one, for example: id uuid PRIMARY KEY DEFAULT gen_random_uuid()."
    )
  }
  for (const column of row.columns ?? []) {
    const isKey = row.key_columns?.includes(column.name) ?? false
    if (isKey && column.generated) {
      yield problem(
        column.name,
        "a generated column cannot be part of the key.",
        "Use a stored column as the key."
      )
    }
    if (column.identity || /\bnextval\(/.test(column.default ?? "")) {
      yield problem(
        column.name,
        "serial and identity columns give different values on each replica.",
        "Use uuid DEFAULT gen_random_uuid(), or let the action choose the value."
      )
    }
    if (column.default !== null && keywordDefault.test(column.default)) {
      yield problem(
        column.name,
        `the default ${column.default} reads the replica's own clock.`,
        "Write now() instead: it gives the record's time on every replica."
      )
    }
    if (column.default !== null && qualifiedDefault.test(column.default)) {
      yield problem(
        column.name,
        `the default ${column.default} is bound to Postgres' own function, which differs on each replica.`,
        `Set it again in a migration: ALTER TABLE ${table} ALTER COLUMN ${column.name} SET DEFAULT ${column.default.replace("pg_catalog.", "")}.`
      )
    }
  }
}
