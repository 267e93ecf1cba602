/**
 * Rooms whose seats are booked by their members: what two people want at once, in the forms in which Postgres makes it
 * awkward to sync.
 *
 * A booking moves between rooms, so that it changes its audience and takes its guests with it; a seat changes its key
 * under its booking; a booking is deleted and made again under its key, two swap their seats and guests their places under
 * constraints that are checked late, and one statement changes the prices of a whole room. What a booking costs is taken
 * from the author's credit, which nobody else sees: others can only apply such a record by its patches.
 */
import { Action, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import type { Random } from "../Random.ts"
import { defineScenario, type Query } from "../Scenario.ts"

/** There is no such thing, or security hides it: under row-level security both look the same. */
export class Gone extends Schema.TaggedError<Gone>()("Gone", { what: Schema.String }) {
  override get message() {
    return `There is no ${this.what}, or it is not yours to change.`
  }
}

export class SeatTaken extends Schema.TaggedError<SeatTaken>()("SeatTaken", {
  room: Schema.String,
  seat: Schema.Int,
  /** Null for a seat that is closed. */
  by: Schema.NullOr(Schema.String)
}) {
  override get message() {
    return `Seat ${this.seat} of ${this.room} is ${this.by === null ? "closed" : `taken by ${this.by}`}.`
  }
}

/** A rule of the house: how many bookings, guests or tags there may be. */
export class TooMany extends Schema.TaggedError<TooMany>()("TooMany", {
  what: Schema.String,
  max: Schema.Int
}) {
  override get message() {
    return `There may be ${this.max} ${this.what} at most.`
  }
}

export class NoCredit extends Schema.TaggedError<NoCredit>()("NoCredit", { missing: Schema.String }) {
  override get message() {
    return `Your credit lacks ${this.missing}.`
  }
}

type Sql = Action.ActionInput<unknown>["sql"]

const bookingsPerPersonMax = 3
const guestsMax = 3

const Booking = Schema.Struct({ booking: Schema.UUID })
/** Postgres' `numeric`, which JSON would round. */
const Decimal = Schema.String.pipe(Schema.pattern(/^\d{1,6}(\.\d{1,4})?$/))

interface BookingRow {
  readonly room_id: string
  readonly seat: number
  readonly holder: string
  readonly price: string
}

const findBooking = (sql: Sql, booking: string) =>
  Effect.gen(function* () {
    const [row] = yield* sql<BookingRow>`
      SELECT room_id, seat, holder, price::text AS price FROM bookings WHERE id = ${booking}::uuid`
    return row ?? (yield* new Gone({ what: "booking" }))
  })

/** That the seat is there, open and free, and that the holder has not too many bookings in the room. */
const requireSeat = (
  sql: Sql,
  { room, seat, holder, except }: { room: string; seat: number; holder: string; except: string | null }
) =>
  Effect.gen(function* () {
    const [found] = yield* sql<{ closed: boolean }>`
      SELECT closed FROM seats WHERE room_id = ${room} AND no = ${seat}`
    if (found === undefined) return yield* new Gone({ what: "seat" })
    if (found.closed) return yield* new SeatTaken({ room, seat, by: null })
    const others = yield* sql<{ seat: number; holder: string }>`
      SELECT seat, holder FROM bookings WHERE room_id = ${room} AND id IS DISTINCT FROM ${except}::uuid ORDER BY seat`
    const taken = others.find((other) => other.seat === seat)
    if (taken !== undefined) return yield* new SeatTaken({ room, seat, by: taken.holder })
    if (others.filter((other) => other.holder === holder).length >= bookingsPerPersonMax)
      return yield* new TooMany({ what: "bookings of one person in a room", max: bookingsPerPersonMax })
  })

/** Draws the room's next ticket: one row that everybody who books writes to, and numbers beyond a double's. */
const drawTicket = (sql: Sql, room: string) =>
  Effect.gen(function* () {
    const [drawn] = yield* sql<{ ticket: string }>`
      UPDATE rooms SET next_ticket = next_ticket + 1 WHERE id = ${room} RETURNING (next_ticket - 1)::text AS ticket`
    return drawn?.ticket ?? (yield* new Gone({ what: "room" }))
  })

/** Takes the room's present price from the author's credit, and makes the booking. */
export const book = Action.make("booking.make", {
  args: Schema.Struct({
    room: Schema.String,
    seat: Schema.Int,
    startsAt: Schema.String,
    details: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    tags: Schema.Array(Schema.String)
  }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const me = ctx.principal.userId
      yield* requireSeat(sql, { room: args.room, seat: args.seat, holder: me, except: null })
      const [cost] = yield* sql<{ price: string; missing: string; enough: boolean }>`
        SELECT r.price::text AS price, (r.price - c.amount)::text AS missing, c.amount >= r.price AS enough
        FROM rooms AS r, credits AS c WHERE r.id = ${args.room} AND c.owner = ${me}`
      if (cost === undefined) return yield* new Gone({ what: "credit" })
      if (!cost.enough) return yield* new NoCredit({ missing: cost.missing })
      const ticket = yield* drawTicket(sql, args.room)
      const id = ctx.uuid("booking")
      yield* sql`UPDATE credits SET amount = amount - ${cost.price}::numeric WHERE owner = ${me}`
      yield* sql`
        INSERT INTO bookings (id, room_id, seat, holder, ticket, price, details, tags, starts_at)
        VALUES (${id}::uuid, ${args.room}, ${args.seat}, ${me}, ${ticket}::bigint, ${cost.price}::numeric, ${JSON.stringify(args.details)}::jsonb,
          (SELECT coalesce(array_agg(x ORDER BY i), '{}') FROM jsonb_array_elements_text(${JSON.stringify(args.tags)}::jsonb) WITH ORDINALITY AS t(x, i)),
          ${args.startsAt}::timestamptz)`
      return id
    })
})

/** Gives the seat back, and the price to the holder if it is the author; another's credit is out of reach. */
export const cancel = Action.make("booking.cancel", {
  args: Booking,
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const [gone] = yield* sql<{ holder: string; price: string }>`
        DELETE FROM bookings WHERE id = ${args.booking}::uuid RETURNING holder, price::text AS price`
      if (gone === undefined) return yield* new Gone({ what: "booking" })
      if (gone.holder === ctx.principal.userId)
        yield* sql`UPDATE credits SET amount = amount + ${gone.price}::numeric WHERE owner = ${gone.holder}`
    })
})

/** Moves a booking with its guests to another seat, also of another room, where it draws a new ticket. */
export const move = Action.make("booking.move", {
  args: Schema.Struct({ booking: Schema.UUID, room: Schema.String, seat: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const booking = yield* findBooking(sql, args.booking)
      const { room, seat } = args
      yield* requireSeat(sql, { room, seat, holder: booking.holder, except: args.booking })
      const ticket = room === booking.room_id ? null : yield* drawTicket(sql, room)
      const moved = yield* sql`
        UPDATE bookings SET room_id = ${room}, seat = ${seat}, ticket = coalesce(${ticket}::bigint, ticket)
        WHERE id = ${args.booking}::uuid RETURNING id`
      if (moved.length === 0) return yield* new Gone({ what: "booking" })
    })
})

/** Two bookings of a room change seats in one statement. */
export const swap = Action.make("booking.swap", {
  args: Schema.Struct({ a: Schema.UUID, b: Schema.UUID }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const a = yield* findBooking(sql, args.a)
      const b = yield* findBooking(sql, args.b)
      if (a.room_id !== b.room_id) return yield* new Gone({ what: "other booking in the room" })
      // Where security lets the author change only one of them, the constraint finds two bookings on one seat.
      yield* sql`
        UPDATE bookings SET seat = CASE id WHEN ${args.a}::uuid THEN ${b.seat}::integer ELSE ${a.seat}::integer END
        WHERE id IN (${args.a}::uuid, ${args.b}::uuid)`
    })
})

/** Deletes the booking and makes it again under the same key and ticket, with its guests and a later start. */
export const renew = Action.make("booking.renew", {
  args: Booking,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const guests = yield* sql<{ name: string; room_id: string; place: number; age: number | null }>`
        SELECT name, room_id, place, age FROM guests WHERE booking_id = ${args.booking}::uuid ORDER BY name COLLATE "C"`
      const [old] = yield* sql<
        Record<"room_id" | "holder" | "ticket" | "price" | "details" | "tags" | "starts", string> & {
          seat: number
        }
      >`
        DELETE FROM bookings WHERE id = ${args.booking}::uuid
        RETURNING room_id, seat, holder, ticket::text AS ticket, price::text AS price, details::text AS details, tags::text AS tags,
          (starts_at + interval '7 days')::text AS starts`
      if (old === undefined) return yield* new Gone({ what: "booking" })
      yield* sql`
        INSERT INTO bookings (id, room_id, seat, holder, ticket, price, details, tags, starts_at)
        VALUES (${args.booking}::uuid, ${old.room_id}, ${old.seat}, ${old.holder}, ${old.ticket}::bigint, ${old.price}::numeric,
          ${old.details}::jsonb, ${old.tags}::text[], ${old.starts}::timestamptz)`
      for (const guest of guests)
        yield* sql`INSERT INTO guests (booking_id, name, room_id, place, age)
          VALUES (${args.booking}::uuid, ${guest.name}, ${guest.room_id}, ${guest.place}, ${guest.age}::integer)`
    })
})

/** Changes the booking's document, its array and its time, each in place. */
export const annotate = Action.make("booking.annotate", {
  args: Schema.Struct({
    booking: Schema.UUID,
    key: Schema.String,
    value: Schema.Unknown,
    tag: Schema.String,
    minutes: Schema.Int
  }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`
      UPDATE bookings SET details = jsonb_set(details, ARRAY[${args.key}]::text[], ${JSON.stringify(args.value ?? null)}::jsonb),
        tags = CASE WHEN ${args.tag}::text = ANY (tags) THEN array_remove(tags, ${args.tag}::text) ELSE tags || ${args.tag}::text END,
        starts_at = starts_at + ${args.minutes}::integer * interval '1 minute 0.000001 seconds'
      WHERE id = ${args.booking}::uuid`)
})

export const invite = Action.make("guest.add", {
  args: Schema.Struct({ booking: Schema.UUID, name: Schema.NonEmptyString, age: Schema.NullOr(Schema.Int) }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const booking = yield* findBooking(sql, args.booking)
      const [guests] = yield* sql<{ count: number; last: number }>`
        SELECT count(*)::integer AS count, coalesce(max(place), 0) AS last FROM guests WHERE booking_id = ${args.booking}::uuid`
      if (guests!.count >= guestsMax) return yield* new TooMany({ what: "guests", max: guestsMax })
      yield* sql`INSERT INTO guests (booking_id, name, room_id, place, age)
        VALUES (${args.booking}::uuid, ${args.name}, ${booking.room_id}, ${guests!.last + 1}, ${args.age}::integer)`
    })
})

/** That the guest is gone already is no failure. */
export const uninvite = Action.make("guest.remove", {
  args: Schema.Struct({ booking: Schema.UUID, name: Schema.String }),
  run: ({ args, sql }) =>
    Effect.asVoid(sql`DELETE FROM guests WHERE booking_id = ${args.booking}::uuid AND name = ${args.name}`)
})

/** Turns the order of the guests around, in one statement under a constraint that is checked when it ends. */
export const reseat = Action.make("guest.reseat", {
  args: Booking,
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`UPDATE guests SET place = ends.first + ends.last - place
        FROM (SELECT min(place) AS first, max(place) AS last FROM guests WHERE booking_id = ${args.booking}::uuid) AS ends
        WHERE booking_id = ${args.booking}::uuid`
    )
})

/** One statement over all bookings of a room; on the server only over those that the author may change. */
export const discount = Action.make("room.discount", {
  args: Schema.Struct({ room: Schema.String, percent: Schema.Int.pipe(Schema.between(1, 50)) }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      sql`UPDATE bookings SET price = round(price * (100 - ${args.percent}::integer) / 100, 2) WHERE room_id = ${args.room}`
    )
})

/** Gives a seat another key; its booking follows by cascade. */
export const renumber = Action.make("seat.renumber", {
  args: Schema.Struct({ room: Schema.String, from: Schema.Int, to: Schema.Int }),
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      const changed = yield* sql`
        UPDATE seats SET no = ${args.to} WHERE room_id = ${args.room} AND no = ${args.from} RETURNING no`
      if (changed.length === 0) return yield* new Gone({ what: "seat" })
    })
})

/** Removes a seat that nobody has booked, or adds it. A booked one is kept by the foreign key of `bookings`. */
export const furnish = Action.make("seat.furnish", {
  args: Schema.Struct({ room: Schema.String, seat: Schema.Int, there: Schema.Boolean }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      args.there
        ? sql`INSERT INTO seats (room_id, no) VALUES (${args.room}, ${args.seat}) ON CONFLICT DO NOTHING`
        : sql`DELETE FROM seats WHERE room_id = ${args.room} AND no = ${args.seat}`
    )
})

export const deposit = Action.make("credit.deposit", {
  args: Schema.Struct({ amount: Decimal }),
  run: ({ args, sql, ctx }) =>
    Effect.asVoid(sql`
      UPDATE credits SET amount = amount + ${args.amount}::numeric, granted = granted + ${args.amount}::numeric
      WHERE owner = ${ctx.principal.userId}`)
})

/** A note that only its author sees, with times and ids out of SQL. */
export const note = Action.make("note.write", {
  args: Schema.Struct({ booking: Schema.UUID, body: Schema.String }),
  run: ({ args, sql, ctx }) =>
    Effect.gen(function* () {
      const booking = yield* findBooking(sql, args.booking)
      yield* sql`INSERT INTO notes (owner, booking_id, body)
        VALUES (${ctx.principal.userId}, ${args.booking}::uuid, ${`${args.body} (seat ${booking.seat})`})
        ON CONFLICT (owner, booking_id) DO UPDATE SET body = excluded.body, written_at = now()`
    })
})

/** Lets another person in, or out: stewards decide, and everybody may leave. */
export const admit = Action.make("member.admit", {
  args: Schema.Struct({ room: Schema.String, user: Schema.String, in: Schema.Boolean }),
  run: ({ args, sql }) =>
    Effect.asVoid(
      args.in
        ? sql`INSERT INTO members (room_id, user_id) VALUES (${args.room}, ${args.user}) ON CONFLICT DO NOTHING`
        : sql`DELETE FROM members WHERE room_id = ${args.room} AND user_id = ${args.user}`
    )
})

const tables = `
CREATE TABLE rooms (
  id text PRIMARY KEY,
  price numeric(10, 2) NOT NULL CHECK (price >= 0),
  settings jsonb NOT NULL DEFAULT '{}',
  next_ticket bigint NOT NULL
);
CREATE TABLE members (
  room_id text NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id text NOT NULL,
  role text NOT NULL DEFAULT 'member' CHECK (role IN ('steward', 'member')),
  PRIMARY KEY (room_id, user_id)
);
CREATE TABLE seats (
  room_id text NOT NULL REFERENCES rooms ON DELETE CASCADE,
  no integer NOT NULL,
  closed boolean NOT NULL DEFAULT false,
  label text NOT NULL GENERATED ALWAYS AS (room_id || '/' || no::text) STORED,
  PRIMARY KEY (room_id, no)
);
CREATE TABLE bookings (
  id uuid PRIMARY KEY,
  room_id text NOT NULL,
  seat integer NOT NULL,
  holder text NOT NULL,
  ticket bigint,
  price numeric(10, 2) NOT NULL CHECK (price >= 0),
  tax numeric GENERATED ALWAYS AS (round(price * 0.19, 2)) STORED,
  details jsonb NOT NULL DEFAULT '{}',
  tags text[] NOT NULL DEFAULT '{}',
  starts_at timestamptz,
  made_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (room_id, seat) REFERENCES seats (room_id, no) ON UPDATE CASCADE,
  UNIQUE (room_id, seat) DEFERRABLE,
  UNIQUE (id, room_id)
);
CREATE TABLE guests (
  booking_id uuid NOT NULL,
  name text NOT NULL,
  room_id text NOT NULL,
  place integer NOT NULL,
  age integer CHECK (age >= 0),
  PRIMARY KEY (booking_id, name),
  UNIQUE (booking_id, place) DEFERRABLE,
  FOREIGN KEY (booking_id, room_id) REFERENCES bookings (id, room_id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE credits (
  owner text PRIMARY KEY,
  granted numeric(10, 2) NOT NULL,
  amount numeric(10, 2) NOT NULL CHECK (amount >= 0)
);
CREATE TABLE notes (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner text NOT NULL,
  booking_id uuid NOT NULL,
  body text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (owner, booking_id)
);
`

// Visibility is exactly that of the audiences: the rooms that one is a member of, and one's own.
const shared = ["members", "seats", "bookings", "guests"]
const security = `
CREATE FUNCTION my_rooms() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT room_id FROM public.members WHERE user_id = synchrotron.user_id()
$$;
CREATE FUNCTION stewarded_rooms() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT room_id FROM public.members WHERE user_id = synchrotron.user_id() AND role = 'steward'
$$;
${["rooms", "credits", "notes", ...shared].map((name) => `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY;`).join("\n")}
${shared.map((name) => `CREATE POLICY see ON ${name} FOR SELECT USING (room_id IN (SELECT my_rooms()));`).join("\n")}
CREATE POLICY see ON rooms FOR SELECT USING (id IN (SELECT my_rooms()));
CREATE POLICY book ON rooms FOR UPDATE USING (id IN (SELECT my_rooms()));
CREATE POLICY admit ON members FOR INSERT WITH CHECK (room_id IN (SELECT stewarded_rooms()) AND role = 'member');
CREATE POLICY dismiss ON members FOR DELETE
  USING (user_id = (SELECT synchrotron.user_id()) OR room_id IN (SELECT stewarded_rooms()));
CREATE POLICY furnish ON seats USING (room_id IN (SELECT stewarded_rooms()));
CREATE POLICY make ON bookings FOR INSERT WITH CHECK (room_id IN (SELECT my_rooms())
  AND (holder = (SELECT synchrotron.user_id()) OR room_id IN (SELECT stewarded_rooms())));
CREATE POLICY change ON bookings FOR UPDATE
  USING (holder = (SELECT synchrotron.user_id()) OR room_id IN (SELECT stewarded_rooms()))
  WITH CHECK (room_id IN (SELECT my_rooms()));
CREATE POLICY cancel ON bookings FOR DELETE
  USING (holder = (SELECT synchrotron.user_id()) OR room_id IN (SELECT stewarded_rooms()));
CREATE POLICY add ON guests FOR INSERT WITH CHECK (room_id IN (SELECT my_rooms()));
CREATE POLICY reseat ON guests FOR UPDATE USING (room_id IN (SELECT my_rooms()));
CREATE POLICY remove ON guests FOR DELETE USING (room_id IN (SELECT my_rooms()));
CREATE POLICY own ON credits USING (owner = (SELECT synchrotron.user_id()));
CREATE POLICY own ON notes USING (owner = (SELECT synchrotron.user_id()));
GRANT SELECT ON rooms, credits, notes, ${shared.join(", ")} TO synchrotron_user;
GRANT UPDATE ON rooms, credits, guests TO synchrotron_user;
GRANT INSERT, DELETE ON members, guests TO synchrotron_user;
GRANT INSERT, UPDATE, DELETE ON seats, bookings, notes TO synchrotron_user;
`

export const app = SyncApp.make({
  name: "bookings",
  migrations: [{ id: "001_bookings", sql: tables, serverSql: security }],
  tables: [
    SyncTable.make("rooms", { audience: "'room:' || id" }),
    ...shared.map((name) => SyncTable.make(name, { audience: "'room:' || room_id" })),
    SyncTable.make("credits", { audience: "'user:' || owner" }),
    SyncTable.make("notes", { audience: "'user:' || owner" })
  ],
  actions: [
    book,
    cancel,
    move,
    swap,
    renew,
    annotate,
    invite,
    uninvite,
    reseat,
    discount,
    renumber,
    furnish,
    deposit,
    note,
    admit
  ],
  audiences: "SELECT 'room:' || my_rooms() UNION ALL SELECT 'user:' || synchrotron.user_id()"
})

const users = ["ada", "ben", "cleo", "dan"]
const rooms = ["hall", "attic", "cellar"]
const seatsPerRoom = 5

const seed = `
INSERT INTO rooms (id, price, settings, next_ticket) VALUES ('hall', 12.50, '{"floor": 0, "light": null}', 9007199254740993), ('attic', 9.99, '{}', 1), ('cellar', 0.05, '{"tags": ["cold"]}', -3);
INSERT INTO members (room_id, user_id, role) VALUES
  ('hall', 'ada', 'steward'), ('hall', 'ben', 'member'), ('hall', 'cleo', 'member'), ('hall', 'dan', 'member'),
  ('attic', 'ben', 'steward'), ('attic', 'ada', 'member'), ('attic', 'dan', 'member'),
  ('cellar', 'cleo', 'steward'), ('cellar', 'ada', 'member');
INSERT INTO seats (room_id, no) SELECT id, no FROM rooms, generate_series(1, ${seatsPerRoom}) AS no;
INSERT INTO credits (owner, granted, amount) VALUES ${users.map((user, i) => `('${user}', ${60 - i * 10}, ${60 - i * 10})`).join(", ")};
INSERT INTO bookings (id, room_id, seat, holder, price, details, tags, starts_at) VALUES
  ('00000000-0000-4000-8000-000000000001', 'hall', 1, 'ben', 0, '{"from": "seed"}', '{old,"with, comma"}', '2026-01-01T12:00:00.123456Z');
INSERT INTO guests (booking_id, name, room_id, place, age) VALUES ('00000000-0000-4000-8000-000000000001', 'Zoe', 'hall', 1, 7), ('00000000-0000-4000-8000-000000000001', 'Max', 'hall', 2, NULL);
`

const guestNames = ["Zoe", "Max", "Ünal", "o'Hara", "Ída"]
const values: ReadonlyArray<unknown> = [
  null,
  true,
  'text with "quotes" and \\ and \u2028',
  1.5,
  [1, null, { deep: ["x"] }],
  { a: null, b: {} }
]

interface Shown {
  readonly id: string
  readonly room_id: string
  readonly seat: number
  readonly holder: string
}

const bookingsOf = (query: Query) =>
  query<Shown>("SELECT id, room_id, seat, holder FROM bookings ORDER BY id")

const seatsOf = (query: Query) =>
  query<{ room_id: string; no: number; free: boolean }>(
    `SELECT s.room_id, s.no, NOT s.closed AND b.id IS NULL AS free
     FROM seats AS s LEFT JOIN bookings AS b ON b.room_id = s.room_id AND b.seat = s.no ORDER BY s.room_id COLLATE "C", s.no`
  )

export default defineScenario({
  app,
  users,
  seed,
  next: async ({ random, client, query }) => {
    const seats = await seatsOf(query)
    const bookings = await bookingsOf(query)
    const mine = bookings.filter((booking) => booking.holder === client.userId)
    /** Mostly a free one; those that are taken or closed are refused. */
    const anySeat = () => {
      const free = seats.filter((seat) => seat.free)
      return free.length > 0 && random.chance(0.8) ? random.pick(free) : random.pick(seats)
    }
    /** Mostly an own one; to others' only stewards may do everything. */
    const anyBooking = () => random.pick(mine.length > 0 && random.chance(0.6) ? mine : bookings).id
    const room = () => random.pick(rooms)
    const roll = random.int(100)
    if (roll < 3) return deposit({ amount: `${random.int(10)}.${random.int(100)}` })
    if (roll < 8) return admit({ room: room(), user: random.pick(users), in: random.chance(0.75) })
    // The user is in no room, or nothing has come from the server yet.
    if (seats.length === 0) return undefined
    if (roll < 30) {
      const seat = anySeat()
      return book({
        room: seat.room_id,
        seat: seat.no,
        startsAt: `2026-0${1 + random.int(9)}-1${random.int(10)}T0${random.int(10)}:30:00.00000${random.int(10)}+0${random.int(10)}:00`,
        details: random.chance(0.5) ? {} : { wish: random.pick(values) },
        tags: ["early", 'quo"ted', "NULL", ""].filter(() => random.chance(0.4))
      })
    }
    if (roll < 34) {
      const { room_id, no } = random.pick(seats)
      const unused = Array.from({ length: seatsPerRoom + 3 }, (_, i) => i + 1).filter(
        (n) => !seats.some((seat) => seat.room_id === room_id && seat.no === n)
      )
      // Now and then onto a number that is there.
      const to = unused.length > 0 && random.chance(0.8) ? random.pick(unused) : no
      return renumber({ room: room_id, from: no, to: to === no ? 1 + random.int(seatsPerRoom) : to })
    }
    if (roll < 38)
      return furnish({ room: room(), seat: 1 + random.int(seatsPerRoom + 3), there: random.chance(0.7) })
    if (roll < 41) return discount({ room: room(), percent: 1 + random.int(50) })
    if (bookings.length === 0) return undefined
    if (roll < 50) return cancel({ booking: anyBooking() })
    if (roll < 63) {
      const seat = anySeat()
      return move({ booking: anyBooking(), room: seat.room_id, seat: seat.no })
    }
    if (roll < 70) {
      const a = random.pick(bookings)
      const neighbours = bookings.filter((booking) => booking.room_id === a.room_id && booking.id !== a.id)
      return swap({
        a: a.id,
        b: (neighbours.length > 0 ? random.pick(neighbours) : random.pick(bookings)).id
      })
    }
    if (roll < 75) return renew({ booking: anyBooking() })
    if (roll < 83)
      return annotate({
        booking: anyBooking(),
        key: random.pick(["a", "b", "wish"]),
        value: random.pick(values),
        tag: random.pick(["x", "y", "early"]),
        minutes: random.int(200) - 100
      })
    if (roll < 91)
      return invite({
        booking: anyBooking(),
        name: random.pick(guestNames),
        age: random.chance(0.3) ? null : random.int(90)
      })
    if (roll < 93) return reseat({ booking: anyBooking() })
    if (roll < 96) return uninvite({ booking: anyBooking(), name: random.pick(guestNames) })
    return note({ booking: anyBooking(), body: `Note ${random.int(100)}` })
  },
  external: async ({ random, query }) => {
    const bookings = await bookingsOf(query)
    const seats = await seatsOf(query)
    const booking = bookings.length === 0 ? undefined : random.pick(bookings)
    const seat = seats.length === 0 ? undefined : random.pick(seats)
    const free = seats.filter((s) => s.free)
    switch (random.int(8)) {
      case 0:
        return (
          seat &&
          `UPDATE seats SET closed = ${random.chance(0.4)} WHERE room_id = '${seat.room_id}' AND no = ${seat.no}`
        )
      case 1:
        return `UPDATE rooms SET settings = jsonb_set(settings, '{floor}', '${random.pick(["null", "1", '"ground"', "[]"])}') WHERE id = '${random.pick(rooms)}'`
      case 2:
        return `UPDATE rooms SET price = ${random.int(20)}.${random.int(100)} WHERE id = '${random.pick(rooms)}'`
      case 3:
        return booking && `DELETE FROM bookings WHERE id = '${booking.id}'`
      case 4:
        return booking && `DELETE FROM guests WHERE booking_id = '${booking.id}'`
      case 5:
        return (
          booking &&
          `UPDATE bookings SET details = details || '{"seen": ${random.int(100)}}' WHERE id = '${booking.id}'`
        )
      case 6: {
        // Somebody walks in and takes a free seat, without a ticket and for nothing.
        if (free.length === 0) return undefined
        const { room_id, no } = random.pick(free)
        return `INSERT INTO bookings (id, room_id, seat, holder, price, tags) VALUES ('${uuidOf(random)}', '${room_id}', ${no}, 'walk-in', 0, '{walk-in}')`
      }
      default:
        return seat && `UPDATE seats SET closed = false WHERE room_id = '${seat.room_id}'`
    }
  },
  membership: ({ random }) => {
    const room = random.pick(rooms)
    const user = random.pick(users)
    const role = random.chance(0.3) ? "steward" : "member"
    return random.chance(0.65)
      ? `INSERT INTO members (room_id, user_id, role) VALUES ('${room}', '${user}', '${role}') ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role`
      : `DELETE FROM members WHERE room_id = '${room}' AND user_id = '${user}'`
  },
  invariants: [
    {
      name: "one booking per seat",
      sql: "SELECT room_id, seat FROM bookings GROUP BY room_id, seat HAVING count(*) > 1"
    },
    {
      name: "no booking without its seat, and no seat without its room",
      sql: `SELECT b.id::text FROM bookings AS b LEFT JOIN seats AS s ON s.room_id = b.room_id AND s.no = b.seat WHERE s.no IS NULL
        UNION ALL SELECT s.label FROM seats AS s LEFT JOIN rooms AS r ON r.id = s.room_id WHERE r.id IS NULL`
    },
    {
      name: "no guest without a booking in the same room",
      sql: `SELECT g.booking_id, g.name FROM guests AS g LEFT JOIN bookings AS b ON b.id = g.booking_id
        WHERE b.id IS NULL OR b.room_id <> g.room_id`
    },
    {
      name: "one guest per place",
      sql: "SELECT booking_id, place FROM guests GROUP BY booking_id, place HAVING count(*) > 1"
    },
    {
      name: "a booking has no more guests than allowed",
      sql: `SELECT booking_id FROM guests GROUP BY booking_id HAVING count(*) > ${guestsMax}`
    },
    {
      name: "nobody has more bookings in a room than allowed",
      sql: `SELECT room_id, holder FROM bookings WHERE holder <> 'walk-in' GROUP BY room_id, holder HAVING count(*) > ${bookingsPerPersonMax}`
    },
    {
      name: "every ticket of a room was drawn, and once",
      sql: `SELECT b.room_id, b.ticket FROM bookings AS b JOIN rooms AS r ON r.id = b.room_id
        GROUP BY b.room_id, b.ticket, r.next_ticket HAVING b.ticket >= r.next_ticket OR (b.ticket IS NOT NULL AND count(*) > 1)`
    },
    {
      name: "nobody's bookings cost more than their credit",
      sql: `SELECT c.owner FROM credits AS c LEFT JOIN bookings AS b ON b.holder = c.owner
        GROUP BY c.owner, c.granted, c.amount HAVING c.amount < 0 OR c.amount + coalesce(sum(b.price), 0) > c.granted`
    },
    {
      name: "generated columns are up to date",
      sql: `SELECT id::text FROM bookings WHERE tax IS DISTINCT FROM round(price * 0.19, 2)
        UNION ALL SELECT label FROM seats WHERE label <> room_id || '/' || no::text`
    }
  ]
})

const uuidOf = (random: Random): string => {
  const digits = (count: number) => Array.from({ length: count }, () => random.int(16).toString(16)).join("")
  return `${digits(8)}-${digits(4)}-4${digits(3)}-8${digits(3)}-${digits(12)}`
}
