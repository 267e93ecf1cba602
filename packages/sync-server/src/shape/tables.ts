/** What a client of shapes must know about the synced tables: the types by which it reads text forms. */
import type { SqlClient, SqlError } from "@effect/sql"
import { Effect } from "effect"

/** A column as `electric-schema` describes it. */
export interface ColumnInfo {
  /** Name of the type; of an array the item's, of a domain the one it is made of. */
  readonly type: string
  /** How many dimensions an array was declared with. */
  readonly dims?: number
  readonly not_null?: true
  /** Position in the primary key, from 0. */
  readonly pk_index?: number
}

export interface ShapeTable {
  /** Schema-qualified, as in `row_versions`. */
  readonly name: string
  readonly relation: readonly [schema: string, name: string]
  /** In the order of the key. */
  readonly keyColumns: ReadonlyArray<string>
  /** Those that images have, and those of the key. */
  readonly columns: ReadonlyMap<string, ColumnInfo>
}

interface ColumnRow {
  readonly schema: string
  readonly table: string
  readonly name: string
  readonly type: string
  readonly dims: number
  readonly not_null: boolean
  readonly pk_index: number | null
}

/** Synced tables by name. One round trip. */
export const shapeTables = (
  sql: SqlClient.SqlClient,
  names: ReadonlyArray<string>
): Effect.Effect<ReadonlyMap<string, ShapeTable>, SqlError.SqlError> =>
  Effect.map(sql.unsafe<ColumnRow>(columnsSql, [names]), (rows) => {
    const rowsByTable = new Map<string, Array<ColumnRow>>()
    for (const row of rows) {
      const name = `${row.schema}.${row.table}`
      rowsByTable.set(name, [...(rowsByTable.get(name) ?? []), row])
    }
    return new Map([...rowsByTable].map(([name, columns]) => [name, tableOf(name, columns)]))
  })

const tableOf = (name: string, columns: ReadonlyArray<ColumnRow>): ShapeTable => ({
  name,
  relation: [columns[0]!.schema, columns[0]!.table],
  keyColumns: columns
    .filter((column) => column.pk_index !== null)
    .sort((a, b) => a.pk_index! - b.pk_index!)
    .map((column) => column.name),
  columns: new Map(columns.map((column) => [column.name, infoOf(column)]))
})

const infoOf = ({ dims, not_null, pk_index, type }: ColumnRow): ColumnInfo => ({
  type,
  ...(dims > 0 ? { dims } : {}),
  ...(not_null ? { not_null } : {}),
  ...(pk_index === null ? {} : { pk_index })
})

// A domain may be over a domain, and over an array.
const columnsSql = `
SELECT n.nspname::text AS schema, c.relname::text AS table, a.attname::text AS name,
  coalesce(item.typname, base.typname)::text AS type,
  CASE WHEN item.oid IS NULL THEN 0 ELSE greatest(a.attndims, 1) END::integer AS dims, a.attnotnull AS not_null,
  k.position::integer - 1 AS pk_index
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN (pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position))
  ON i.indrelid = c.oid AND i.indisprimary AND k.attnum = a.attnum
CROSS JOIN LATERAL (
  WITH RECURSIVE chain AS (
    SELECT t.oid, t.typtype, t.typbasetype FROM pg_type AS t WHERE t.oid = a.atttypid
    UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM chain JOIN pg_type AS t ON t.oid = chain.typbasetype WHERE chain.typtype = 'd'
  ) SELECT t.typname, t.typelem, t.typcategory FROM chain JOIN pg_type AS t ON t.oid = chain.oid WHERE chain.typtype <> 'd'
) AS base
LEFT JOIN pg_type AS item ON base.typcategory = 'A' AND item.oid = base.typelem
WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND (a.attgenerated = '' OR k.position IS NOT NULL)
ORDER BY 1, 2, a.attnum`
