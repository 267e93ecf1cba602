/**
 * The servers' database on a real Postgres. A process is a pool of connections that all end at one statement:
 *
 *     statement ──► executed ──► answered       and once the fuse has burnt down:
 *         ╳ odd         ╳ even                  backends terminated ──► gone ──► the process hears errors only
 *
 * Postgres rolls back what they left open. The world goes on when the backends are gone, so a run repeats.
 */
import { Reactivity } from "@effect/experimental"
import type { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Execution } from "@synchrotron/sync-core"
import { ServerDatabase } from "@synchrotron/sync-server"
import { Effect, Exit, Scope } from "effect"
import pg from "pg"
import * as PostgresDatabase from "./PostgresDatabase.ts"
import type { Attachment, ServerSlot, Watch } from "./ServerSlot.ts"
import * as Storage from "./Storage.ts"

/**
 * Makes a database on a Postgres, lets `install` prepare it, and remembers that state.
 *
 * @param url of a user that may create databases
 * @param role the principals' role
 */
export const open = async (
  url: string,
  role: string,
  install: (sql: SqlClient.SqlClient) => Promise<void>
): Promise<ServerSlot> => {
  const database = await PostgresDatabase.createDatabase(url, role)
  const shared: Shared = { database, underWay: new UnderWay(), commits: 0 }
  const scope = Effect.runSync(Scope.make())
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await database.drop()
  }
  try {
    const observer = new Process(shared, null)
    const probe = await Effect.runPromise(Scope.extend(observer.connect, scope))
    await install(probe)
    await Effect.runPromise(probe.unsafe(withoutVacuum))
    const storage = await Effect.runPromise(Storage.make(probe))
    return {
      probe,
      attach: (watch) => new Process(shared, watch),
      version: Effect.sync(() => String(shared.commits)),
      underWay: shared.underWay.end,
      reset: async () => {
        await Effect.runPromise(storage.load())
      },
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What it finds out about tables, and when, changes plans, and with them the order of rows that have none. */
const withoutVacuum = `DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', t); END LOOP;
END $$`

interface Shared {
  readonly database: PostgresDatabase.PostgresDatabase
  readonly underWay: UnderWay
  /** Transactions that may have changed something. */
  commits: number
}

/** Counts what has begun and not ended. */
class UnderWay {
  private count = 0
  private failure: { readonly cause: unknown } | null = null
  private readonly waiting: Array<() => void> = []

  /** Never rejects: whoever waits for the end hears of it. */
  async during(work: Promise<void>): Promise<void> {
    this.count++
    try {
      await work
    } catch (cause) {
      this.failure ??= { cause }
    } finally {
      if (--this.count === 0) for (const resolve of this.waiting.splice(0)) resolve()
    }
  }

  readonly end = (): Promise<void> | null => {
    if (this.failure !== null) throw this.failure.cause
    return this.count === 0 ? null : new Promise((resolve) => this.waiting.push(resolve))
  }
}

type Answer = (error: Error | null, result?: unknown) => void

/** A server process' connections; or, with nobody who watches it, the one connection past all processes. */
class Process implements Attachment {
  readonly connect: Effect.Effect<SqlClient.SqlClient, unknown, Scope.Scope>
  private readonly shared: Shared
  private readonly watch: Watch | null
  private readonly connections = new Set<Connection>()
  /** Resolves when what is left of an ended process is gone; null while it lives. */
  private gone: Promise<void> | null = null
  private fuse: number | null = null
  private early = false
  private messages = 0

  constructor(shared: Shared, watch: Watch | null) {
    this.shared = shared
    this.watch = watch
    const self = this
    const { database } = shared
    this.connect = PgClient.fromPool({
      acquire: ServerDatabase.pool(
        { _tag: "postgres", url: database.url, ...(watch === null ? { connectionsMax: 1 } : {}) },
        {
          Client: class extends Connection {
            override readonly process = self
          },
          // Real time decides nothing.
          connectionTimeoutMillis: 0,
          idleTimeoutMillis: 0,
          // A session does not last, so that nothing may depend on what the one before it left there.
          ...(watch === null ? {} : { maxUses: usesMax }),
          onConnect: async (connection) => {
            if (database.becomeOwner !== "") await connection.query(database.becomeOwner)
            // Checkers ask questions outside of transactions, too.
            if (watch === null) await connection.query(Execution.prepareSession)
          }
        }
      )
    }).pipe(Effect.provide(Reactivity.layer))
  }

  crashAfter(after: number | null): void {
    this.fuse = after
    this.early = after !== null && after % 2 === 1
  }

  kill(): void {
    this.gone ??= Promise.resolve()
  }

  /** Opens a connection of its own. */
  open(connection: Connection, open: (answer: Answer) => void, answer: Answer): void {
    if (this.gone !== null) {
      this.refuse(answer)
      return
    }
    this.connections.add(connection)
    connection.once("end", () => this.connections.delete(connection))
    this.run(open, async () => {}, answer)
  }

  /** Sends a statement over one of its connections. */
  query(connection: Connection, text: string, send: (answer: Answer) => void, answer: Answer): void {
    if (this.gone !== null) {
      this.refuse(answer)
      return
    }
    this.messages++
    const last = this.fuse !== null && --this.fuse <= 0
    let crash = async () => {}
    if (last) {
      // From now on nothing else is sent.
      let resolveGone = () => {}
      this.gone = new Promise((resolve) => {
        resolveGone = resolve
      })
      crash = () => this.crash().then(resolveGone)
    }
    if (last && this.early) {
      this.run((done) => done(null), crash, answer)
      return
    }
    const wrote = this.watch === null && text !== "COMMIT" ? () => false : connection.wrote(text)
    this.run(
      send,
      async (error) => {
        if (error === null && connection.getTransactionStatus() === "I" && wrote()) {
          this.shared.commits++
          if (this.watch !== null) await Effect.runPromise(this.watch.onIdle)
        }
        await crash()
      },
      answer
    )
  }

  /** Starts something, and answers after what has to be done first. */
  private run(
    start: (answer: Answer) => void,
    first: (error: Error | null) => Promise<void>,
    answer: Answer
  ): void {
    const work = new Promise<Parameters<Answer>>((resolve) => start((...result) => resolve(result)))
    void this.shared.underWay.during(
      work.then(async (result) => {
        try {
          await first(result[0])
          await this.gone
        } catch (cause) {
          answer(ended())
          throw cause
        }
        if (this.gone === null) answer(...result)
        else answer(ended())
      })
    )
  }

  private refuse(answer: Answer): void {
    void this.gone!.then(() => answer(ended()))
  }

  private async crash(): Promise<void> {
    await this.shared.database.terminate([...this.connections].map(({ pid }) => pid))
    this.watch?.onCrash(this.messages)
  }
}

/** Transactions after which a connection is replaced. */
const usesMax = 3

const ended = () => new Error("the process has ended")

/** A connection of the driver that does nothing without its process. */
class Connection extends pg.Client {
  declare readonly process: Process

  get pid(): number {
    return (this as unknown as { readonly processID: number }).processID
  }

  // biome-ignore lint/suspicious/noExplicitAny: the driver's overloads
  override connect(...args: ReadonlyArray<any>): any {
    const [answer] = args as [Answer | undefined]
    if (answer === undefined) return super.connect()
    this.process.open(this, (done) => super.connect(done as (error: Error) => void), answer)
  }

  // biome-ignore lint/suspicious/noExplicitAny: the driver's overloads
  override query(...args: ReadonlyArray<any>): any {
    const answer = args.at(-1) as unknown
    const sent = args.slice(0, -1) as [string]
    // What has no callback is the pool's own, while it connects.
    if (typeof answer !== "function") return super.query(...(args as [string]))
    const send = (done: Answer) => super.query(...sent, done as () => void)
    this.process.query(this, String(args[0]), send, answer as Answer)
  }

  /** Called before the statement is sent; gives whether it changed something, once it is answered. */
  wrote(text: string): () => boolean {
    if (text === "ROLLBACK") return () => false
    if (text !== "COMMIT") return () => true
    let wrote = false
    super.query("SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS wrote", (error, result) => {
      // A transaction that failed is not committed, whatever it is told.
      wrote = error === null && result.rows[0].wrote
    })
    return () => wrote
  }
}
