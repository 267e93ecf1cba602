/** Rows decoded by a Schema, each row once: a row that keeps its identity keeps that of what it was decoded to. */
import { Either, type ParseResult, Schema } from "effect"

// biome-ignore lint/suspicious/noExplicitAny: whatever the database gives is decoded
export type RowSchema<Row> = Schema.Schema<Row, any, never>

/** A decoder of one query's rows. Without a schema the rows are what the caller says they are. */
export const decoder = <Row>(
  schema: RowSchema<Row> | undefined
): ((rows: ReadonlyArray<unknown>) => Either.Either<ReadonlyArray<Row>, ParseResult.ParseError>) => {
  if (schema === undefined) return (rows) => Either.right(rows as ReadonlyArray<Row>)
  const decode = Schema.decodeUnknownEither(schema)
  const decodedByRow = new WeakMap<object, Row>()
  const decodedByRows = new WeakMap<object, ReadonlyArray<Row>>()
  return (rows) =>
    Either.gen(function* () {
      const known = decodedByRows.get(rows)
      if (known !== undefined) return known
      const decoded: Array<Row> = []
      for (const row of rows as ReadonlyArray<object>) {
        const value = decodedByRow.get(row) ?? (yield* decode(row))
        decodedByRow.set(row, value)
        decoded.push(value)
      }
      decodedByRows.set(rows, decoded)
      return decoded
    })
}
