/** A small application, and an authority for it that executes its actions in JavaScript. */
import { Action, type Protocol, SyncApp, SyncTable } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { testImage } from "../../../test/image.ts"

export class TitleTaken extends Schema.TaggedError<TitleTaken>()("TitleTaken", { title: Schema.String }) {}

const Todo = Schema.Struct({ id: Schema.UUID, title: Schema.String })

export const addTodo = Action.make("todo.add", {
  args: Todo,
  run: ({ args, sql }) =>
    Effect.gen(function* () {
      if (args.title === "taken") return yield* new TitleTaken({ title: args.title })
      yield* sql`INSERT INTO todos (id, title) VALUES (${args.id}, ${args.title})`
      return args.title.length
    }).pipe(Effect.catchTag("SqlError", Effect.die))
})

export const renameTodo = Action.make("todo.rename", {
  args: Todo,
  run: ({ args, sql }) =>
    sql`UPDATE todos SET title = ${args.title} WHERE id = ${args.id}`.pipe(Effect.asVoid, Effect.orDie)
})

export const addTag = Action.make("tag.add", {
  args: Schema.Struct({ id: Schema.UUID, name: Schema.String }),
  run: ({ args, sql }) =>
    sql`INSERT INTO tags (id, name) VALUES (${args.id}, ${args.name})`.pipe(Effect.asVoid, Effect.orDie)
})

export const app = SyncApp.make({
  name: "fixture",
  migrations: [
    {
      id: "001",
      sql: `
        CREATE TABLE todos (id uuid PRIMARY KEY, title text NOT NULL, done boolean NOT NULL DEFAULT false);
        CREATE TABLE tags (id uuid PRIMARY KEY, name text NOT NULL);
        CREATE VIEW titles AS SELECT title FROM todos;
        CREATE FUNCTION todo_count() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(*) FROM todos); END $$;`
    }
  ],
  tables: [SyncTable.make("todos", { audience: "'all'" }), SyncTable.make("tags", { audience: "'all'" })],
  actions: [addTodo, renameTodo, addTag],
  audiences: "SELECT 'all'"
})

export const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

/** A JWT that nobody signed. */
export const token = (userId: string) =>
  `e30.${Buffer.from(JSON.stringify({ sub: userId, role: "tester" })).toString("base64url")}.`

export const bearer = token("ada")

type Image = Record<string, string | null>

/** Accepts every record, unless `refuse` says otherwise for it. */
export class FakeAuthority {
  readonly requests: Array<Protocol.SyncRequest> = []
  refuse: (record: Protocol.PendingRecord) => boolean = () => false
  /** Answers instead of the authority while it is set. */
  intercept: ((request: Request) => Response | Promise<Response> | undefined) | undefined
  readonly rows = new Map<string, { table: string; image: Image; seq: number }>()
  private seq = 0
  private readonly seen = new Map<string, Protocol.Verdict>()

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    // It has no feed.
    if (request.method === "GET") return Response.json({}, { status: 404 })
    const intercepted = await this.intercept?.(request)
    if (intercepted !== undefined) return intercepted
    return Response.json(this.answer((await request.json()) as Protocol.SyncRequest))
  }

  answer(request: Protocol.SyncRequest): unknown {
    this.requests.push(request)
    const verdicts = request.records.map((record) => {
      const known = this.seen.get(record.id)
      if (known !== undefined) return known
      const refused = this.refuse(record)
      const verdict = refused
        ? { id: record.id, outcome: "rejected", error: { class: "denied", message: "refused by the test" } }
        : { id: record.id, outcome: "applied", hlc: record.hlc }
      if (!refused) this.execute(record.name, record.args)
      this.seen.set(record.id, verdict as Protocol.Verdict)
      return verdict
    })
    const since = (request.cursors as Record<string, number>).all ?? 0
    const changed = [...this.rows.values()].filter((row) => row.seq > since)
    return {
      protocol: 2,
      seq: this.seq,
      serverTimeMs: Date.now(),
      audiences: ["all"],
      verdicts,
      notices: [],
      tables: ["public.todos", "public.tags"].map((table) => {
        const images = changed.flatMap((row) => (row.table === table ? [row.image] : []))
        return { table, rows: JSON.stringify(images), count: images.length, gone: [] }
      }),
      next: null,
      later: [],
      clock: { ms: 0, counter: 0 }
    }
  }

  /** As another client's action would. */
  execute(name: string, args: unknown): void {
    if (name === "todo.add") {
      const { id, title } = args as { id: string; title: string }
      this.put("public.todos", id, { id, title, done: "f" })
    } else if (name === "todo.rename") {
      const { id, title } = args as { id: string; title: string }
      this.put("public.todos", id, { id, title, done: "f" })
    } else if (name === "tag.add") {
      const { id, name } = args as { id: string; name: string }
      this.put("public.tags", id, { id, name })
    } else for (const step of batchOf(args)) this.execute(step.name, step.args)
  }

  private put(table: string, id: string, image: Image): void {
    this.rows.set(`${table} ${id}`, { table, image, seq: ++this.seq })
  }
}

const batchOf = (args: unknown): ReadonlyArray<{ name: string; args: unknown }> => {
  const list = Array.isArray(args) ? args : Object.values(args as object)[0]
  return list as ReadonlyArray<{ name: string; args: unknown }>
}

let image: Promise<Blob> | undefined

/** A data directory that is set up already, read once per test file. */
export const databaseImage = () => {
  image ??= testImage()
  return image
}
