/** Quoting for SQL that is generated or sent as several statements in one round trip, where parameters cannot go. */

/** A string literal. NUL cannot stand in Postgres text, so it is refused. */
export const literal = (text: string): string => {
  if (text.includes("\0")) throw new Error("Postgres text cannot hold the character NUL (\\u0000)")
  const quoted = `'${text.replaceAll("'", "''")}'`
  // The E form reads backslashes the same whatever standard_conforming_strings says.
  return text.includes("\\") ? `E${quoted.replaceAll("\\", "\\\\")}` : quoted
}

/** An identifier, always quoted. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`
