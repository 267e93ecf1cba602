/**
 * How values cross between JavaScript and Postgres, the same on PGlite and on `@effect/sql-pg`.
 *
 * | Postgres | JavaScript |
 * |---|---|
 * | bool | boolean |
 * | int2, int4, oid, float4, float8 | number |
 * | int8 | number when it is a safe integer, else bigint |
 * | numeric, money | string (lossless) |
 * | timestamptz, timestamp | Date (a timestamp without zone is read as UTC; microseconds are cut to milliseconds); the raw string for `infinity` and for years that a Date cannot hold |
 * | date, time, timetz, interval, inet, uuid, text and the like | string |
 * | json, jsonb | `JSON.parse` of it (numbers beyond 2^53 lose digits: cast to text to keep them) |
 * | bytea | Uint8Array |
 * | arrays of these, of any dimension | nested arrays, NULL as null |
 * | enums, domains over them, composites, ranges, extension types and their arrays | the raw text |
 *
 * An array of a user-defined type (an enum array, say) stays raw text because its type id differs from
 * database to database, and a parser chosen by a catalog lookup would make the value depend on when the
 * type was created. Cast it (`labels::text[]`) to get a JavaScript array.
 */

/** Turns the text form of one value into its JavaScript value. */
export type TextParser = (text: string) => unknown

const raw: TextParser = (text) => text

const parseInt8: TextParser = (text) => {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

const timestampPattern =
  /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/

const parseTimestamp: TextParser = (text) => {
  const match = timestampPattern.exec(text)
  if (match === null) return text
  const [, year, month, day, hour, minute, second, fraction, sign, zoneHours, zoneMinutes, zoneSeconds, bc] =
    match
  const date = new Date(0)
  date.setUTCFullYear(bc === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(
    Number(hour),
    Number(minute),
    Number(second),
    Number((fraction ?? "").padEnd(3, "0").slice(0, 3))
  )
  const offsetSeconds =
    Number(zoneHours ?? 0) * 3600 + Number(zoneMinutes ?? 0) * 60 + Number(zoneSeconds ?? 0)
  const time = date.getTime() - (sign === "-" ? -offsetSeconds : offsetSeconds) * 1000
  return Number.isNaN(time) ? text : new Date(time)
}

const parseBytea: TextParser = (text) => {
  const bytes = new Uint8Array((text.length - 2) >> 1)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 + 2 * i, 4 + 2 * i), 16)
  return bytes
}

/**
 * Parses a Postgres array literal (`{1,NULL,"a\"b"}`, nested, with or without `[l:u]=` bounds).
 * Grammar: PostgreSQL manual, 8.15.2 Array Value Input.
 */
export const parseArray = (text: string, parseItem: TextParser = raw): Array<unknown> => {
  let at = text.indexOf("{")
  const readItem = (): unknown => {
    const first = text[at]
    if (first === "{") return readArray()
    if (first === '"') {
      let item = ""
      for (at++; text[at] !== '"'; at++) {
        if (text[at] === "\\") at++
        item += text[at]
      }
      at++
      return parseItem(item)
    }
    const start = at
    while (text[at] !== "," && text[at] !== "}") at++
    const item = text.slice(start, at)
    return item === "NULL" ? null : parseItem(item)
  }
  const readArray = (): Array<unknown> => {
    const items: Array<unknown> = []
    at++
    while (at < text.length && text[at] !== "}") {
      items.push(readItem())
      if (text[at] === ",") at++
    }
    at++
    return items
  }
  return readArray()
}

/** Built-in types with a parser of their own: type id, array type id, parser. */
const scalars: ReadonlyArray<readonly [oid: number, arrayOid: number, parse: TextParser]> = [
  [16, 1000, (text) => text === "t"],
  [17, 1001, parseBytea],
  [20, 1016, parseInt8],
  [21, 1005, Number],
  [23, 1007, Number],
  [26, 1028, Number],
  [700, 1021, Number],
  [701, 1022, Number],
  [114, 199, JSON.parse as TextParser],
  [3802, 3807, JSON.parse as TextParser],
  [1114, 1115, parseTimestamp],
  [1184, 1185, parseTimestamp]
]

/**
 * Array types of built-in types that stay text: char, name, text, bpchar, varchar, numeric, money, uuid, date,
 * time, timetz, interval, bit, varbit, inet, cidr, macaddr, macaddr8, xml, tsvector, tsquery, jsonpath, point,
 * lseg, path, line, polygon, circle, the six ranges. (box[] separates by `;` and stays raw.)
 */
const textArrays = [
  1002, 1003, 1009, 1014, 1015, 1231, 791, 2951, 1182, 1183, 1270, 1187, 1561, 1563, 1041, 651, 1040, 775,
  143, 3643, 3645, 4073, 1017, 1018, 1019, 629, 1027, 719, 3905, 3907, 3909, 3911, 3913, 3927
]

const parsers = new Map<number, TextParser>()
for (const [oid, arrayOid, parse] of scalars) {
  parsers.set(oid, parse)
  parsers.set(arrayOid, (text) => parseArray(text, parse))
}
for (const arrayOid of textArrays) parsers.set(arrayOid, (text) => parseArray(text))

/** The parser for values of a type, by type id (`pg_type.oid`); unknown types give the raw text. */
export const parserOf = (oid: number): TextParser => parsers.get(oid) ?? raw

/**
 * The same parsers in the shape of node-pg's `types` option. Give it to `@effect/sql-pg`, so that rows from
 * Postgres have the values that rows from PGlite have:
 *
 * ```ts
 * PgClient.layer({ url, types: pgTypes })
 * ```
 *
 * Run `sessionSettings` on every connection of Postgres too, and see `pgDefaults` for parameters.
 */
export const pgTypes = {
  // biome-ignore lint/suspicious/noExplicitAny: the signature that node-pg's CustomTypesConfig asks for
  getTypeParser: (oid: number, format?: string): any =>
    format === "binary" ? (value: unknown) => value : parserOf(oid)
}

/**
 * For node-pg's process-wide `pg.defaults`: `Object.assign(pg.defaults, pgDefaults)`. Without it node-pg writes
 * a Date as local time with an offset, which is the same instant for a timestamptz, but a different wall
 * clock for a `timestamp` or `date` column whenever the process does not run in UTC.
 */
export const pgDefaults = { parseInputDatesAsUTC: true } as const

/**
 * Settings that the text form of values depends on. `PgliteClient` sets them when it connects; run the same on
 * every connection of a Postgres that must agree with it.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  extra_float_digits: "1",
  lc_monetary: "C",
  bytea_output: "hex"
}

/**
 * `sessionSettings` in the form of libpq's and node-pg's `options` connection parameter: every connection of a pool
 * then starts with them (`postgres://...?options=${encodeURIComponent(pgOptions)}`).
 */
export const pgOptions: string = Object.entries(sessionSettings)
  .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, "\\$&")}`)
  .join(" ")

/** `set_config` calls for the settings, as one SELECT without parameters. */
export const settingsSql = (settings: Readonly<Record<string, string>>): string =>
  `SELECT ${Object.entries(settings)
    .map(([name, value]) => `set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`)
    .join(", ")}`

/**
 * A parameter's text form, by its JavaScript type (node-pg's rule); the server infers the SQL type.
 * null and undefined are NULL; Date is ISO 8601 in UTC; binary is bytea hex; an array is an array literal; any
 * other object is its JSON text. Pass JSON arrays and scalars as `sql.json(value)`.
 */
export const encodeParam = (value: unknown): string | null => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
    case "bigint":
    case "boolean":
      return String(value)
    case "object":
      if (value === null) return null
      if (value instanceof Date) return encodeDate(value)
      if (ArrayBuffer.isView(value)) return encodeBytes(value)
      if (value instanceof ArrayBuffer) return encodeBytes(new Uint8Array(value))
      if (Array.isArray(value)) return encodeArray(value)
      return JSON.stringify(value)
    case "undefined":
      return null
    default:
      return String(value)
  }
}

const encodeArray = (items: ReadonlyArray<unknown>): string => {
  let text = "{"
  for (let i = 0; i < items.length; i++) {
    if (i > 0) text += ","
    const item = items[i]
    if (Array.isArray(item)) text += encodeArray(item)
    else {
      const encoded = encodeParam(item)
      text += encoded === null ? "NULL" : `"${encoded.replace(/[\\"]/g, "\\$&")}"`
    }
  }
  return `${text}}`
}

const encodeBytes = (view: ArrayBufferView): string => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  let hex = "\\x"
  for (const byte of bytes) hex += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16)
  return hex
}

/** An invalid Date gives text that the server refuses (SQLSTATE 22007), as node-pg does. */
const encodeDate = (date: Date): string => {
  if (Number.isNaN(date.getTime())) return "Invalid Date"
  const year = date.getUTCFullYear()
  if (year >= 1 && year <= 9999) return date.toISOString()
  const rest = date.toISOString().replace(/^[+-]?\d+/, "")
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, "0")}${rest} BC`
}

const quoteLiteral = (text: string): string => `'${text.replace(/'/g, "''")}'`
