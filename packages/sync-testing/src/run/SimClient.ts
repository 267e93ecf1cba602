/** A device: the real client on a database that outlives its processes. */
import { SqlClient } from "@effect/sql"
import { PgliteClient, type PgliteSqlClient } from "@synchrotron/sql-pglite"
import { Connectivity, type LivePath, Offline, SyncClient, Transport } from "@synchrotron/sync-client"
import {
  type Action,
  Audiences,
  type Live,
  type Principal,
  type Protocol,
  Replica,
  SyncApp,
  Uuids
} from "@synchrotron/sync-core"
import {
  Cause,
  type Clock,
  Context,
  Effect,
  Random as EffectRandom,
  Exit,
  Layer,
  Logger,
  LogLevel,
  Option,
  Scope
} from "effect"
import type { ClientView, Exchange, Executed, Read } from "../check/Checker.ts"
import { clientStateOf, readOf, remembering, tablesBy } from "../check/views.ts"
import * as Random from "../Random.ts"
import type { Scenario } from "../Scenario.ts"
import type { Device } from "../Script.ts"
import { deviceApp, novelty, throwing } from "./apps.ts"
import type { Checks } from "./Checks.ts"
import type { Log } from "./Log.ts"
import type { Answer } from "./network.ts"
import { SimProcess } from "./SimProcess.ts"
import type { Attachment, Database } from "./Slot.ts"
import { tamper } from "./tamper.ts"
import type { VirtualTime } from "./VirtualTime.ts"

interface Options {
  readonly index: number
  readonly device: Device
  readonly scenario: Scenario
  readonly slot: Database
  readonly time: VirtualTime
  readonly seed: number
  readonly tickMs: number
  readonly canary: ((sql: string) => string) | undefined
  readonly checks: Checks
  readonly log: Log
  readonly send: (
    sent: { readonly request: Protocol.WireRequest; readonly whole: Protocol.SyncRequest },
    resume: (answer: Answer) => void
  ) => Exchange
  /** See the script's. */
  readonly namedAudiencesMax: number | undefined
  /** How it hears of commits; null when it does not. */
  readonly livePath: LivePath | null
}

export class SimClient extends SimProcess<Attachment> {
  readonly name: string
  readonly principal: Principal
  readonly view: ClientView
  skewMs: number
  exchanges = 0
  private readonly options: Options
  private readonly app: SyncApp.SyncApp
  private readonly connectivity = Connectivity.manual(true)
  private clientId = ""
  private uuids = 0
  private ordinals = 0
  private partitionedUntil = 0
  private client: SyncClient.SyncClient | null = null
  private replica: Replica.Replica | null = null
  private committedAt = ""
  private ready = false
  private readers = 0
  private readonly clock: Clock.Clock
  private readonly read: Read
  /** Of what has been read since the last commit. */
  private readonly memory: ReturnType<typeof remembering>

  constructor(options: Options) {
    super()
    this.options = options
    const { device, index, scenario, slot } = options
    this.name = `c${index}`
    this.skewMs = device.skewMs
    this.clock = options.time.clock(() => this.skewMs, options.tickMs)
    this.principal = { userId: device.user, claims: { sub: device.user } }
    this.app = deviceApp(scenario.app, device.lacks)
    this.read = readOf(slot.probe)
    this.memory = remembering(this.read)
    const self = this
    this.view = {
      name: this.name,
      principal: this.principal,
      get clientId() {
        return self.clientId
      },
      current: device.lacks === null,
      read: this.memory.read
    }
  }

  get id(): string {
    return this.clientId
  }

  get unreachable(): boolean {
    return !this.connectivity.get() || this.options.time.now() < this.partitionedUntil
  }

  async start(): Promise<void> {
    const { canary, seed, slot } = this.options
    let forget = () => {}
    const attachment = slot.attach({
      onTurnOver: () => attachment.aside(forget),
      onIdle: () => this.committed(),
      onCrash: (message) => {
        this.ended()
        this.options.log.emit({ lane: this.name, kind: "crashed", message })
      }
    })
    const scope = this.begin(attachment)
    this.ready = false
    const self = this
    const booted = await Effect.gen(function* () {
      const local = yield* Layer.build(PgliteClient.layer({ pglite: attachment.pglite }))
      const sql = tamper(Context.get(local, PgliteClient) as PgliteSqlClient, canary)
      forget = () => Effect.runSync(Effect.ignore(sql.unsafe("DEALLOCATE ALL")))
      return yield* Effect.gen(function* () {
        const replica = yield* Replica.make({
          app: self.app,
          userId: self.principal.userId,
          claims: self.principal.claims
        })
        self.clientId = replica.clientId
        self.ready = true
        self.replica = self.watched(replica)
        return yield* SyncClient.fromReplica(self.replica, {
          app: self.app,
          userId: self.principal.userId,
          pollMs: 0,
          connectivity: self.connectivity,
          livePath: () => self.options.livePath ?? undefined,
          // Days offline would else be thousands of attempts.
          settings: { retryMsMax: 3_600_000 }
        })
      }).pipe(
        Effect.provideService(SqlClient.SqlClient, sql),
        Effect.provideService(Transport, {
          sync: Audiences.over(
            (request, whole) => self.exchange(request, whole),
            self.options.namedAudiencesMax
          )
        })
      )
    }).pipe(
      Scope.extend(scope),
      Effect.provideService(Uuids, { next: Effect.sync(() => this.nextUuid()) }),
      Effect.withRandom(EffectRandom.make(`${seed}:${this.name}:${this.exchanges}`)),
      Effect.withClock(this.clock),
      Logger.withMinimumLogLevel(LogLevel.None),
      Effect.exit,
      Effect.runPromise
    )
    if (Exit.isSuccess(booted)) {
      this.client = booted.value
      this.up = true
    } else if (!this.crashed) throw new Error(`${this.name} cannot start: ${Cause.pretty(booted.cause)}`)
  }

  /** Runs an effect in this device's time. */
  private run<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    return Effect.runPromise(Effect.withClock(effect, this.clock))
  }

  private nextUuid(): string {
    const random = Random.make(this.options.seed, this.name, "uuid", ++this.uuids)
    const hex = Array.from({ length: 32 }, () => random.int(16).toString(16)).join("")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  private committed(): void {
    const [row] = Effect.runSync(
      this.read<{ x: string }>("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS x")
    )
    if (row!.x === this.committedAt) return
    this.committedAt = row!.x
    this.memory.forget()
    if (!this.ready) return
    Effect.runSync(this.options.checks.hook("clientCommitted", (f) => f(this.view)))
    // Patches stand in for code that is not known or not allowed here, and keep no rules of their own.
    const { records, tables } = Effect.runSync(clientStateOf(this.view, this.app))
    if (!records.some(([, status]) => status === "pending"))
      Effect.runSync(this.options.checks.invariants(this.name, this.view.read, tables))
  }

  /** By the answer's tables, which stay the same when names are put in. */
  private readonly answers = new WeakMap<Protocol.SyncResponse["tables"], Exchange>()
  /** Of the live path: which exchange a message stands for, and the whole answer. */
  readonly heard = new WeakMap<Live.Message, { exchange: Exchange; answer: Protocol.SyncResponse | null }>()

  private exchange(
    request: Protocol.WireRequest,
    whole: Protocol.SyncRequest
  ): Effect.Effect<Protocol.WireResponse, Offline | Protocol.SyncError> {
    return Effect.gen(this, function* () {
      let resumeLater: (answer: Answer) => void = () => {}
      const answered = Effect.async<Answer>((resume) => {
        resumeLater = (answer) => resume(Effect.succeed(answer))
      })
      if (!this.connectivity.get()) return yield* new Offline({ message: "The device is offline." })
      const sent = this.options.send({ request, whole }, (answer) => resumeLater(answer))
      yield* this.options.checks.hook("sent", (f) => f(sent, JSON.stringify(request).length))
      const answer = yield* answered
      if (answer._tag === "Offline") return yield* new Offline({ message: "No answer." })
      if (answer._tag === "Error") return yield* answer.error
      this.answers.set(answer.response.tables, answer.exchange)
      return answer.response
    })
  }

  /** The replica, with its doings told. */
  private watched(replica: Replica.Replica): Replica.Replica {
    const {
      checks: { hook },
      log
    } = this.options
    const told = (executed: Replica.Executed<unknown>, name: string, version: number, args: unknown) =>
      Effect.suspend(() => {
        log.name(executed.id, `${this.name}#${++this.ordinals}`)
        log.counts.actions++
        log.emit({
          lane: this.name,
          kind: "executed",
          record: log.label(executed.id),
          action: name,
          args: JSON.stringify(args ?? null),
          hlc: executed.hlc
        })
        return hook("executed", (f) =>
          f(this.view, { id: executed.id, hlc: executed.hlc, name, version } as Executed)
        )
      })
    return {
      ...replica,
      execute: ((operation: Action.AnyOperation) =>
        Effect.tap(replica.execute(operation), (executed) =>
          told(executed, operation.action.name, operation.action.version, operation.args)
        )) as Replica.Replica["execute"],
      executeAll: (operations) =>
        Effect.tap(replica.executeAll(operations), (executed) =>
          told(
            executed,
            "synchrotron.batch",
            1,
            operations.map((o) => o.action.name)
          )
        ),
      restamp: (ms) => Effect.tap(replica.restamp(ms), () => hook("restamped", (f) => f(this.view))),
      forgetCursors: Effect.tap(replica.forgetCursors, () => {
        log.emit({ lane: this.name, kind: "forgot" })
        return hook("forgotCursors", (f) => f(this.view))
      }),
      follow: (message) =>
        Effect.tap(replica.follow(message), ({ decision, received }) =>
          Effect.gen(this, function* () {
            const { answer, exchange } = this.heard.get(message)!
            log.emit({ lane: this.name, kind: "followed", exchange: exchange.number, decision })
            if (received !== null && answer !== null)
              yield* hook("applied", (f) => f(exchange, answer, received))
          })
        ),
      receive: (request, response) =>
        Effect.tap(replica.receive(request, response), (received) =>
          Effect.gen(this, function* () {
            const exchange = this.answers.get(response.tables)!
            log.counts.replays += received.replayed
            const pending = yield* Effect.orDie(replica.pendingCount)
            log.emit({
              lane: this.name,
              kind: "applied",
              exchange: exchange.number,
              path: received.path,
              rows: received.rows,
              replayed: received.replayed,
              pending,
              verdicts: response.verdicts.map(log.verdict)
            })
            if (received.path !== "stale") yield* hook("applied", (f) => f(exchange, response, received))
          })
        )
    }
  }

  async act(random: Random.Random, with_?: "throw" | "novelty"): Promise<void> {
    const { client } = this
    if (client === null) return
    const read = this.readers > 0
    const query = <Row extends object>(sql: string, params?: ReadonlyArray<unknown>) =>
      this.run(client.query(sql, params as Array<unknown>)) as Promise<ReadonlyArray<Row>>
    let operation: Action.AnyOperation | undefined
    try {
      operation =
        with_ === "novelty"
          ? novelty({})
          : await this.options.scenario.next({
              random,
              client: { name: this.name, userId: this.principal.userId },
              query
            })
    } catch (error) {
      if (this.crashed) return
      throw error
    }
    if (operation === undefined) return
    const { name, version } = operation.action
    const refused = (error: string) =>
      this.options.log.emit({
        lane: this.name,
        kind: "refused",
        action: name,
        args: JSON.stringify(operation.args ?? null),
        error
      })
    if (!this.app.actions.has(SyncApp.actionKey(name, version))) {
      refused("this version of the application does not have it")
      return
    }
    const submitted = Effect.exit(
      with_ === "throw"
        ? client.submit([operation, throwing({})])
        : client.submit(operation as Action.Operation<unknown, unknown>)
    )
    const [exit] = await Promise.all([this.run(submitted), read ? this.observe() : Promise.resolve()])
    if (Exit.isFailure(exit) && !this.crashed) {
      const failure = Option.getOrNull(Cause.failureOption(exit.cause))
      refused(
        failure === null
          ? Cause.pretty(exit.cause)
          : typeof failure === "object" && "_tag" in failure
            ? String(failure._tag)
            : String(failure)
      )
    }
  }

  poke(): void {
    if (this.client !== null && this.up) void this.run(this.client.sync.pipe(Effect.ignore))
  }

  /** Another fiber reads while the next operations run. */
  readLater(times: number): void {
    this.readers = times
  }

  private async observe(): Promise<void> {
    this.readers--
    const { client } = this
    const exit = await Effect.runPromise(
      Effect.exit(tablesBy(((sql, params) => client!.query(sql, params as Array<unknown>)) as Read, this.app))
    )
    if (Exit.isSuccess(exit))
      await Effect.runPromise(this.options.checks.hook("observed", (f) => f(this.view, exit.value)))
  }

  async inbox(random: Random.Random): Promise<void> {
    const { client, options } = this
    const records = client!.rejected.records.get()
    if (records.length === 0) return
    const record = random.pick(records)
    const retry = random.chance(0.5)
    await Effect.runPromise(options.checks.hook("settling", (f) => f(this.view, record.id)))
    const settled: Effect.Effect<Replica.Executed<unknown> | null, unknown> = retry
      ? client!.rejected.retry(record.id)
      : Effect.as(client!.rejected.dismiss(record.id), null)
    const exit = await this.run(Effect.exit(settled))
    if (Exit.isFailure(exit) || this.crashed) return
    const as: Executed | null =
      exit.value === null ? null : { ...exit.value, name: record.name, version: record.version }
    if (as !== null) {
      options.log.name(as.id, `${this.name}#${++this.ordinals}`)
      options.log.counts.actions++
    }
    options.log.emit({
      lane: this.name,
      kind: retry ? "retried" : "dismissed",
      record: options.log.label(record.id)
    })
    await Effect.runPromise(options.checks.hook("settledByUser", (f) => f(this.view, record.id, as)))
  }

  async honestRequest(): Promise<Protocol.SyncRequest | null> {
    const exit = await this.run(Effect.exit(this.replica!.request))
    return Exit.isSuccess(exit) ? exit.value : null
  }

  setOnline(online: boolean): void {
    if (this.connectivity.get() === online) return
    this.options.log.emit({ lane: this.name, kind: online ? "online" : "offline" })
    this.connectivity.set(online)
  }

  partition(forMs: number): void {
    const { log, time } = this.options
    this.partitionedUntil = time.now() + forMs
    log.emit({ lane: this.name, kind: "partition" })
    time.schedule(this.partitionedUntil, () => log.emit({ lane: this.name, kind: "reachable" }))
  }

  override heal(): void {
    super.heal()
    this.partitionedUntil = 0
    this.setOnline(true)
  }

  protected async settle(): Promise<void> {
    this.committed()
  }

  override async close(): Promise<void> {
    this.client = null
    await super.close()
  }
}
