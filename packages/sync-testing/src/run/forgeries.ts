/**
 * What somebody with a client's token can send, and no client would. Each forgery tampers with an honest request of that
 * client, and says how the server must answer. All that is made up carries {@link mark}, and must not be found in the
 * canonical state afterwards. Honest records go along only where the answer must be that to an honest request.
 */
import { Hlc, Protocol } from "@synchrotron/sync-core"
import type { Random } from "../Random.ts"

/** A request as it travels. */
export type Honest = typeof Protocol.SyncRequest.Encoded

/** What a well informed forger knows. */
export interface Surroundings {
  /** Ids of clients of other users that the server has answered before; one that it has not would be the forger's own. */
  readonly strangers: ReadonlyArray<string>
  /** All audiences of the realm, whoever holds them. */
  readonly audiences: ReadonlyArray<string>
}

export interface Forgery {
  readonly name: string
  /** The body to send, or undefined when this request does not lend itself to it. */
  readonly request: (honest: Honest, random: Random, surroundings: Surroundings) => unknown
  /** Tags of which the refusal has one, or that the answer is an ordinary one and nothing is done that was forged. */
  readonly expect: { readonly error: ReadonlyArray<ErrorTag> } | "no effect"
}

export type ErrorTag = Protocol.SyncError["_tag"]

/** Begins the id of every forged record, and is in everything else that is made up. */
export const mark = "f0f0f0f0"

/** The first and the last id that a forged record can have. */
export const markedIds = [
  `${mark}-0000-0000-0000-000000000000`,
  `${mark}-ffff-ffff-ffff-ffffffffffff`
] as const

/** A forgery of an honest request: one of those to which it lends itself. */
export const forge = (
  honest: Honest,
  random: Random,
  surroundings: Surroundings
): { readonly name: string; readonly body: unknown } => {
  const left = [...forgeries]
  for (;;) {
    const forgery = random.pick(left)
    const body = forgery.request(honest, random, surroundings)
    if (body !== undefined) return { name: forgery.name, body }
    left.splice(left.indexOf(forgery), 1)
  }
}

/**
 * Whether a forgery may be answered so; `null` is an ordinary answer. A server may always be unavailable, an honest
 * record that goes along may be ahead of the server's clock, and cursors may be too old.
 */
export const isExpected = (forgery: Forgery, error: string | null): boolean =>
  error === "Unavailable" ||
  (forgery.expect === "no effect"
    ? error === null || error === "ClockDrift" || error === "CursorTooOld"
    : (forgery.expect.error as ReadonlyArray<string>).includes(error ?? ""))

const refused = (...error: ReadonlyArray<ErrorTag>) => ({ error })
const invalid = refused("InvalidRequest")
const mismatch = refused("SchemaMismatch")

type Sent = Honest["records"][number]

/** A record of nobody: an honest one under an id of its own, so that it could be executed, or one of an unknown action. */
const forged = (honest: Honest, random: Random, changes: Record<string, unknown> = {}): Sent => ({
  name: `${mark}.action`,
  version: 1,
  args: { mark },
  hlc: zero(honest.clientId),
  digest: null,
  ...(honest.records.length > 0 ? random.pick(honest.records) : {}),
  id: markedId(random),
  ...changes
})

/** The same of an action that no server knows. */
const unknown = (honest: Honest, random: Random, changes: Record<string, unknown> = {}): Sent =>
  forged(honest, random, { name: `${mark}.action`, version: 1, args: { mark }, digest: null, ...changes })

const markedId = (random: Random): string => {
  const hex = (digits: number) => Array.from({ length: digits }, () => random.int(16).toString(16)).join("")
  return `${mark}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
}

const zero = (node: string): Hlc.Hlc => Hlc.make(Hlc.clockZero, node as never)

/** Rows as a client might wish that the server had them. */
const wishes = {
  patches: [{ table: "public.users", key: `["${mark}"]`, before: null, after: { id: mark, admin: "true" } }],
  rows: [["public.users", `["${mark}"]`, { id: mark }]],
  tables: [{ table: "public.users", rows: [[`["${mark}"]`, { id: mark }]] }]
}
const somebodyElse = {
  userId: mark,
  user_id: mark,
  principal: { userId: mark, claims: { sub: mark, role: "service_role" } },
  claims: { sub: mark, role: "service_role" },
  role: "postgres"
}
const injected = `x'); DROP TABLE synchrotron.records; -- ${mark}`

const fiftyYearsMs = 50 * 365 * 24 * 60 * 60_000
const hugeSeq = Number.MAX_SAFE_INTEGER

export const forgeries: ReadonlyArray<Forgery> = [
  // Smuggled along with honest records: what the server computes itself is not read.
  {
    name: "patches in the records",
    request: (honest) =>
      honest.records.length === 0
        ? undefined
        : { ...honest, ...wishes, records: honest.records.map((record) => ({ ...record, ...wishes })) },
    expect: "no effect"
  },
  {
    name: "another user in the records",
    request: (honest) =>
      honest.records.length === 0
        ? undefined
        : {
            ...honest,
            records: honest.records.map((record) => ({
              ...record,
              ...somebodyElse,
              clientId: markedIds[0],
              status: "applied",
              outcome: "applied",
              seq: 1
            }))
          },
    expect: "no effect"
  },
  {
    name: "another user in the request",
    request: (honest) => ({ ...honest, ...somebodyElse }),
    expect: "no effect"
  },
  {
    name: "a record's id with other content",
    request: (honest) =>
      honest.records.length === 0 || honest.records.length >= Protocol.limits.recordsMax
        ? undefined
        : { ...honest, records: [...honest.records, { ...honest.records[0], args: { mark } }] },
    expect: "no effect"
  },
  {
    name: "keys of every object's prototype",
    request: (honest, random) =>
      JSON.parse(
        JSON.stringify({
          ...honest,
          constructor: { prototype: { [mark]: true } },
          cursors: { ...honest.cursors, PROTO: 0, constructor: 0, toString: 0 },
          records: [
            unknown(honest, random, {
              args: { PROTO: { [mark]: true }, constructor: { prototype: { [mark]: true } } }
            })
          ],
          PROTO: { [mark]: true }
        }).replaceAll('"PROTO"', '"__proto__"')
      ),
    expect: "no effect"
  },

  // Requests that are refused as a whole, with records that could be executed.
  {
    name: "another user's client id",
    request: (honest, random, { strangers }) =>
      strangers.length === 0
        ? undefined
        : { ...honest, clientId: random.pick(strangers), records: [forged(honest, random)] },
    expect: refused("ClientMismatch")
  },
  {
    name: "another user's client id, nothing sent",
    request: (honest, random, { strangers }) =>
      strangers.length === 0
        ? undefined
        : { ...honest, clientId: random.pick(strangers), records: [], after: zero(honest.clientId) },
    expect: refused("ClientMismatch")
  },
  {
    name: "another application",
    request: (honest, random) => ({ ...honest, app: injected, records: [forged(honest, random)] }),
    expect: mismatch
  },
  {
    name: "another schema",
    request: (honest, random) => ({ ...honest, schema: "0".repeat(32), records: [forged(honest, random)] }),
    expect: mismatch
  },
  {
    name: "another protocol",
    request: (honest, random) => ({
      ...honest,
      protocol: random.pick([0, 1, -1]),
      records: [forged(honest, random)]
    }),
    expect: mismatch
  },
  {
    name: "a stamp 50 years ahead",
    request: (honest, random) => ({
      ...honest,
      records: [
        forged(honest, random, {
          hlc: Hlc.make({ ms: honest.clientTimeMs + fiftyYearsMs, counter: 0 }, honest.clientId as never)
        })
      ]
    }),
    expect: refused("ClockDrift")
  },
  {
    name: "the last stamp that there is",
    request: (honest, random) => ({
      ...honest,
      records: [
        forged(honest, random, {
          hlc: Hlc.make({ ms: Hlc.msMax, counter: Hlc.counterMax }, honest.clientId as never)
        })
      ]
    }),
    expect: refused("ClockDrift")
  },
  {
    name: "too many records",
    request: (honest, random) => ({
      ...honest,
      records: Array.from({ length: Protocol.limits.recordsMax + 1 }, () => forged(honest, random))
    }),
    expect: invalid
  },
  ...[
    ["a malformed stamp", "hlc", ["now", "", 0, null, "000000000000-0000-X", `'; ${injected}`]],
    ["a malformed record id", "id", [mark, "", 1, null, `${mark}-0000-4000-8000-00000000000A`, injected]],
    ["a malformed action", "name", ["", "a\u0000b", "a\nb", "x".repeat(201), 1, null]],
    ["a malformed version", "version", [0, -1, 1.5, 2 ** 31, "1", null]],
    ["a malformed digest", "digest", ["", "F".repeat(32), `${injected}`, 1]]
  ].map(
    ([name, field, values]): Forgery => ({
      name: name as string,
      request: (honest, random) => ({
        ...honest,
        records: [
          forged(honest, random),
          forged(honest, random, { [field as string]: random.pick(values as Array<unknown>) })
        ]
      }),
      expect: invalid
    })
  ),
  ...[
    ["a negative or broken commit", "seq", [-1, 0.5, "1", 2 ** 60, null]],
    [
      "negative or broken cursors",
      "cursors",
      [{ [mark]: -1 }, { [mark]: "0" }, { [mark]: 1e300 }, [], null, "all"]
    ],
    ["a malformed client id", "clientId", ["", injected, null, {}, `${mark}-0000-4000-8000-00000000000A`]],
    ["a malformed place to read after", "after", ["", injected, 0, {}]],
    ["records that are none", "records", [null, {}, [null], [[]], ["x"], [{}]]]
  ].map(
    ([name, field, values]): Forgery => ({
      name: name as string,
      request: (honest, random) => ({
        ...honest,
        records: [forged(honest, random)],
        [field as string]: random.pick(values as Array<unknown>)
      }),
      expect: invalid
    })
  ),
  {
    name: "a body that is no request",
    request: (_, random) => random.pick([null, [], {}, "sync", 42, true, [[]], { protocol: 1 }]),
    expect: invalid
  },

  // Records that are refused one by one.
  {
    name: "an unknown action",
    request: (honest, random) => ({ ...honest, records: [unknown(honest, random)] }),
    expect: "no effect"
  },
  {
    name: "an unknown version",
    request: (honest, random) => ({ ...honest, records: [forged(honest, random, { version: 2 ** 31 - 1 })] }),
    expect: "no effect"
  },
  {
    name: "a write from outside of the engine",
    request: (honest, random) => ({
      ...honest,
      records: [unknown(honest, random, { name: "synchrotron.external", args: wishes.patches })]
    }),
    expect: "no effect"
  },
  {
    name: "a batch with an unknown action",
    request: (honest, random) => ({
      ...honest,
      records: [
        unknown(honest, random, {
          name: "synchrotron.batch",
          args: [
            ...honest.records.slice(0, 1).map(({ args, name, version }) => ({ name, version, args })),
            { name: "synchrotron.external", version: 1, args: wishes.patches }
          ]
        })
      ]
    }),
    expect: "no effect"
  },
  {
    name: "an unknown action of 1970",
    request: (honest, random) => ({
      ...honest,
      records: [unknown(honest, random, { hlc: zero(honest.clientId) })]
    }),
    expect: "no effect"
  },
  {
    name: "an unknown action of another client's stamp",
    request: (honest, random, { strangers }) => ({
      ...honest,
      records: [unknown(honest, random, { hlc: zero(strangers[0] ?? markedIds[0]) })]
    }),
    expect: "no effect"
  },
  {
    name: "arguments that are too large",
    request: (honest, random) => ({
      ...honest,
      records: [forged(honest, random, { args: mark + "x".repeat(Protocol.limits.argsBytesMax) })]
    }),
    expect: "no effect"
  },
  {
    name: "SQL in names and arguments",
    request: (honest, random) => ({
      ...honest,
      cursors: { ...honest.cursors, [injected]: 0, "'": 0, "\\": 0, $1: 0 },
      records: [
        unknown(honest, random, { name: injected, args: { [injected]: injected } }),
        unknown(honest, random, { args: ["\u0000", "\ud800", "\\u0000", injected] })
      ]
    }),
    expect: "no effect"
  },

  // Asking for more than is the user's; the answer is for the checker of confidentiality to judge.
  {
    name: "all audiences of the realm, from the start",
    request: (honest, _, { audiences }) => ({
      ...honest,
      cursors: Object.fromEntries(audiences.map((audience) => [audience, 0])),
      records: []
    }),
    expect: "no effect"
  },
  {
    name: "all audiences of the realm, as if held before",
    request: (honest, _, { audiences }) => ({
      ...honest,
      seq: 1,
      cursors: Object.fromEntries(audiences.map((audience) => [audience, 1])),
      records: []
    }),
    expect: "no effect"
  },
  {
    name: "all canonical records",
    request: (honest) => ({ ...honest, seq: 0, after: zero(markedIds[0]), records: [] }),
    expect: "no effect"
  },
  {
    name: "cursors of the far future",
    request: (honest, _, { audiences }) => ({
      ...honest,
      seq: hugeSeq,
      cursors: Object.fromEntries(
        [...Object.keys(honest.cursors), ...audiences].map((audience) => [audience, hugeSeq])
      ),
      records: []
    }),
    expect: "no effect"
  }
]

const forgeriesByName = new Map(forgeries.map((forgery) => [forgery.name, forgery]))

export const forgeryOf = (name: string): Forgery | undefined => forgeriesByName.get(name)
