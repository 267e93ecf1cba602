/**
 * The part of the Postgres frontend/backend protocol 3.0 that this client speaks (PostgreSQL manual, 54.7).
 * Everything is in text format, both ways, with parameter types left to the server.
 *
 * ```
 * frontend: P Parse  B Bind  D Describe  E Execute  C Close  S Sync  Q Query  f CopyFail
 * backend:  1 ParseComplete  2 BindComplete  3 CloseComplete  t ParameterDescription  T RowDescription
 *           n NoData  D DataRow  C CommandComplete  I EmptyQueryResponse  s PortalSuspended
 *           E ErrorResponse  A NotificationResponse  Z ReadyForQuery
 *           (others carry nothing that is used here)
 * ```
 */
import { type ErrorFields, PgliteError } from "./Errors.ts"
import { parserOf, type TextParser } from "./Types.ts"

/** Idle, in a transaction, in a failed transaction. */
export type TransactionStatus = "I" | "T" | "E"

export interface Field {
  readonly name: string
  /** `pg_type.oid` */
  readonly dataTypeID: number
  readonly parse: TextParser
}

export interface Result {
  readonly fields: ReadonlyArray<Field>
  // biome-ignore lint/suspicious/noExplicitAny: a row is whatever the statement returns
  readonly rows: ReadonlyArray<any>
  /** The command tag (`INSERT 0 1`), "" for an empty query or a suspended portal. */
  readonly tag: string
  /** The portal has more rows. */
  readonly suspended: boolean
}

export interface Reply {
  readonly results: ReadonlyArray<Result>
  /** Row descriptions in the order of the Describe messages that asked for them. */
  readonly described: ReadonlyArray<ReadonlyArray<Field>>
  readonly error: PgliteError | undefined
  /** Undefined when the reply breaks off before ReadyForQuery. */
  readonly status: TransactionStatus | undefined
  readonly notifications: ReadonlyArray<{ readonly channel: string; readonly payload: string }>
}

export type RowMode = "object" | "array"

const encoder = new TextEncoder()
// A leading byte order mark belongs to the value.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** Collects frontend messages into one buffer that is used again after `reset`. */
export class Writer {
  private buffer = new Uint8Array(4096)
  private view = new DataView(this.buffer.buffer)
  private length = 0

  reset(): this {
    this.length = 0
    if (this.buffer.length > 1 << 20) this.grow(4096)
    return this
  }

  /** A view that is valid until the next `reset`. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  query(sql: string): this {
    return this.message(81, () => this.cstring(sql))
  }

  parse(name: string, sql: string): this {
    return this.message(80, () => {
      this.cstring(name)
      this.cstring(sql)
      this.int16(0)
    })
  }

  bind(options: { portal: string; statement: string; params: ReadonlyArray<string | null> }): this {
    return this.message(66, () => {
      this.cstring(options.portal)
      this.cstring(options.statement)
      this.int16(0)
      this.int16(options.params.length)
      for (const param of options.params) this.param(param)
      this.int16(0)
    })
  }

  describeStatement(name: string): this {
    return this.message(68, () => this.kindAndName(83, name))
  }

  describePortal(name: string): this {
    return this.message(68, () => this.kindAndName(80, name))
  }

  /** @param rowsMax 0 for all rows */
  execute(portal: string, rowsMax: number): this {
    return this.message(69, () => {
      this.cstring(portal)
      this.int32(rowsMax)
    })
  }

  closeStatement(name: string): this {
    return this.message(67, () => this.kindAndName(83, name))
  }

  closePortal(name: string): this {
    return this.message(67, () => this.kindAndName(80, name))
  }

  copyFail(reason: string): this {
    return this.message(102, () => this.cstring(reason))
  }

  sync(): this {
    return this.message(83, () => {})
  }

  private message(type: number, body: () => void): this {
    this.ensure(5)
    this.buffer[this.length] = type
    const start = this.length + 1
    this.length += 5
    body()
    this.view.setInt32(start, this.length - start)
    return this
  }

  private kindAndName(kind: number, name: string): void {
    this.ensure(1)
    this.buffer[this.length++] = kind
    this.cstring(name)
  }

  private param(param: string | null): void {
    if (param === null) {
      this.int32(-1)
      return
    }
    this.ensure(4)
    const start = this.length
    this.length += 4
    this.text(param)
    this.view.setInt32(start, this.length - start - 4)
  }

  private cstring(text: string): void {
    this.text(text)
    this.ensure(1)
    this.buffer[this.length++] = 0
  }

  private text(text: string): void {
    this.ensure(text.length * 3)
    this.length += encoder.encodeInto(text, this.buffer.subarray(this.length)).written
  }

  private int16(value: number): void {
    this.ensure(2)
    this.view.setInt16(this.length, value)
    this.length += 2
  }

  private int32(value: number): void {
    this.ensure(4)
    this.view.setInt32(this.length, value)
    this.length += 4
  }

  private ensure(count: number): void {
    const needed = this.length + count
    if (needed > this.buffer.length) this.grow(Math.max(needed, this.buffer.length * 2))
  }

  private grow(size: number): void {
    const old = this.buffer.subarray(0, this.length)
    this.buffer = new Uint8Array(size)
    this.buffer.set(old)
    this.view = new DataView(this.buffer.buffer)
  }
}

/** Collects the chunks of a reply into one buffer that is used again after `reset`. */
export class Collector {
  private buffer = new Uint8Array(65536)
  private length = 0

  reset(): this {
    this.length = 0
    if (this.buffer.length > 1 << 22) this.buffer = new Uint8Array(65536)
    return this
  }

  push(chunk: Uint8Array): void {
    const needed = this.length + chunk.length
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2))
      grown.set(this.buffer.subarray(0, this.length))
      this.buffer = grown
    }
    this.buffer.set(chunk, this.length)
    this.length = needed
  }

  /** A view that is valid until the next `reset`. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  /** Whether it ends in ReadyForQuery. */
  get complete(): boolean {
    const at = this.length - 6
    return at >= 0 && this.buffer[at] === 90 && this.buffer[at + 4] === 5
  }
}

/**
 * Reads a whole reply.
 *
 * @param expected row descriptions that the caller knows from an earlier Describe, one per result
 */
export const readReply = (
  bytes: Uint8Array,
  options: { readonly expected: ReadonlyArray<ReadonlyArray<Field> | undefined>; readonly rowMode: RowMode }
): Reply => {
  const { expected, rowMode } = options
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const results: Array<Result> = []
  const described: Array<ReadonlyArray<Field>> = []
  const notifications: Array<{ channel: string; payload: string }> = []
  let error: PgliteError | undefined
  let status: TransactionStatus | undefined
  let fields = expected[0]
  let rows: Array<unknown> = []
  const finish = (tag: string, suspended: boolean) => {
    results.push({ fields: fields ?? [], rows, tag, suspended })
    fields = expected[results.length]
    rows = []
  }
  for (let at = 0; at + 5 <= bytes.length; ) {
    const body = at + 5
    const end = at + 1 + view.getInt32(at + 1)
    if (end > bytes.length) break
    switch (bytes[at]) {
      case 68: // D
        rows.push(
          rowMode === "array"
            ? readArrayRow(bytes, view, body, fields!)
            : readObjectRow(bytes, view, body, fields!)
        )
        break
      case 84: // T
        fields = readFields(bytes, view, body)
        described.push(fields)
        break
      case 110: // n
        fields = []
        described.push(fields)
        break
      case 67: // C
        finish(readCstring(bytes, body).text, false)
        break
      case 73: // I
        finish("", false)
        break
      case 115: // s
        finish("", true)
        break
      case 69: // E
        error ??= new PgliteError(readErrorFields(bytes, body))
        break
      case 65: {
        // A
        const channel = readCstring(bytes, body + 4)
        notifications.push({ channel: channel.text, payload: readCstring(bytes, channel.next).text })
        break
      }
      case 90: // Z
        status = String.fromCharCode(bytes[body]!) as TransactionStatus
        break
    }
    at = end
  }
  return { results, described, error, status, notifications }
}

const readObjectRow = (
  bytes: Uint8Array,
  view: DataView,
  body: number,
  fields: ReadonlyArray<Field>
): unknown => {
  const row: Record<string, unknown> = {}
  let at = body + 2
  for (const field of fields) {
    const length = view.getInt32(at)
    at += 4
    row[field.name] = length < 0 ? null : field.parse(readText(bytes, at, at + length))
    if (length > 0) at += length
  }
  return row
}

const readArrayRow = (
  bytes: Uint8Array,
  view: DataView,
  body: number,
  fields: ReadonlyArray<Field>
): unknown => {
  const row: Array<unknown> = []
  let at = body + 2
  for (const field of fields) {
    const length = view.getInt32(at)
    at += 4
    row.push(length < 0 ? null : field.parse(readText(bytes, at, at + length)))
    if (length > 0) at += length
  }
  return row
}

const readFields = (bytes: Uint8Array, view: DataView, body: number): ReadonlyArray<Field> => {
  const fields: Array<Field> = []
  let at = body + 2
  for (let left = view.getInt16(body); left > 0; left--) {
    const name = readCstring(bytes, at)
    const dataTypeID = view.getUint32(name.next + 6)
    fields.push({ name: name.text, dataTypeID, parse: parserOf(dataTypeID) })
    at = name.next + 18
  }
  return fields
}

const errorFieldNames: Readonly<Record<string, keyof ErrorFields>> = {
  S: "severity",
  C: "code",
  M: "message",
  D: "detail",
  H: "hint",
  P: "position",
  p: "internalPosition",
  q: "internalQuery",
  W: "where",
  s: "schema",
  t: "table",
  c: "column",
  d: "dataType",
  n: "constraint",
  F: "file",
  L: "line",
  R: "routine"
}

const readErrorFields = (bytes: Uint8Array, body: number): ErrorFields => {
  const fields: { message: string; [name: string]: string } = { message: "unknown error" }
  for (let at = body; bytes[at] !== 0; ) {
    const name = errorFieldNames[String.fromCharCode(bytes[at]!)]
    const value = readCstring(bytes, at + 1)
    if (name !== undefined) fields[name] = value.text
    at = value.next
  }
  return fields
}

const readCstring = (bytes: Uint8Array, start: number): { readonly text: string; readonly next: number } => {
  const end = bytes.indexOf(0, start)
  return { text: readText(bytes, start, end), next: end + 1 }
}

/** Short ASCII is read without the fixed cost of a TextDecoder call. */
const readText = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > 32) return decoder.decode(bytes.subarray(start, end))
  let text = ""
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 127) return decoder.decode(bytes.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}
