/**
 * Makes a script from a seed. A seed decides not only what happens when, but which faults happen at all and how often
 * (swarm testing: Groce et al., ISSTA 2012): runs that leave some faults out reach states which runs with everything
 * in them almost never do.
 */
import { type FaultName, type Faults, faultsOf } from "./Faults.ts"
import * as Random from "./Random.ts"
import type { Scenario } from "./Scenario.ts"
import type { Compaction, Device, Feed, Network, Script, Step } from "./Script.ts"

export interface PlanOptions {
  readonly seed: number
  readonly clients: number
  /** How many operations the clients try in total: the steps `act`, `throw` and `novelty`. */
  readonly actions: number
  /** Faults that may occur. */
  readonly faults: "all" | "none" | Iterable<FaultName>
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day

/** No clock goes further than this from where it began, in either direction, whichever steps a script has. */
const clockMsMax = 50 * year

/** A scenario's rows grow with its actions, and so do chunks: an answer takes about as many of them in a long run. */
const actionsOfSmallChunks = 40

/** The script of a seed. Pure: equal arguments give equal scripts. */
export const plan = (scenario: Scenario, options: PlanOptions): Script => {
  const { seed, clients } = options
  const character = characterOf(seed, faultsOf(options.faults), clients)
  const clocks = clockBudgets(clients)
  const devices = following(devicesOf(scenario, character, clocks, options), character, seed)
  const tickMs = stream(seed, "tick").pick([1, 10, 100, 1000])
  // In some runs most of what users do happens while answers are on their way to them.
  const crowded = stream(seed, "crowd").chance(0.5)
  const network = networkOf(seed, character, crowded)
  const workload = new Workload(scenario, character, clocks, options, { tickMs, network, crowded })
  workload.run()
  const compaction = compactionOf(seed, character)
  if (compaction !== null) workload.steps.push(...compactionsOf(seed, character, workload.steps))
  return {
    scenario: scenario.name,
    seed,
    devices,
    serverSkewsMs: serverSkewsOf(seed, character),
    network,
    tickMs,
    ...windowOf(seed, character),
    ...(compaction === null ? {} : { compaction }),
    ...(character.has("live") ? { feed: feedOf(seed) } : {}),
    ...(stream(seed, "names").chance(0.5) ? { namedAudiencesMax: 0 } : {}),
    chunkRowsMax: character.has("chunks")
      ? spread(stream(seed, "chunks"), 1, 12) *
        Math.max(1, Math.round(options.actions / actionsOfSmallChunks))
      : null,
    // Stable: steps of one moment stay in the order in which they were thought of.
    steps: workload.steps.sort((a, b) => a.at - b.at)
  }
}

/** Independent of the other streams of the seed, so that a change to one part of the plan leaves the others alone. */
const stream = (seed: number, name: string) => Random.make("plan", name, seed)

/** From `min` to `max`, every order of magnitude as likely as the next. */
const spread = (random: Random.Random, min: number, max: number): number =>
  Math.round(min * (max / min) ** random.next())

/** What kind of run a seed is: for each fault that it has, how likely it is where it could happen. */
type Character = ReadonlyMap<FaultName, number>

const characterOf = (seed: number, allowed: Faults, clients: number): Character => {
  const random = stream(seed, "character")
  // Half of the seeds have about half of the faults; the others few or nearly all.
  const share = random.pick([0.25, 0.5, 0.5, 0.85])
  const rates = new Map<FaultName, number>()
  for (const fault of [...allowed].sort()) {
    // They came later than the others, whose draws are what they were without them.
    const draws =
      fault === "chunks" || fault === "compaction" || fault === "live"
        ? stream(seed, `character of ${fault}`)
        : random
    // In most runs commits are followed, whatever else goes wrong.
    const drawn = draws.chance(fault === "live" ? 0.75 : share)
    const rate = spread(draws, 20, 500) / 1000
    if (drawn && clients > 0) rates.set(fault, rate)
  }
  return rates
}

/** How far each device's clock may still be set ahead and back. */
interface ClockBudget {
  ahead: number
  back: number
}

const clockBudgets = (clients: number): ReadonlyArray<ClockBudget> =>
  Array.from({ length: clients }, () => ({ ahead: clockMsMax, back: clockMsMax }))

/** A jump in either direction, from milliseconds to 50 years, within what is left. */
const jump = (random: Random.Random, budget: ClockBudget): number => {
  const direction = random.chance(0.5) ? "ahead" : "back"
  const jumpMs = Math.min(spread(random, 1, clockMsMax), budget[direction])
  budget[direction] -= jumpMs
  return direction === "ahead" || jumpMs === 0 ? jumpMs : -jumpMs
}

const devicesOf = (
  { app, users }: Scenario,
  character: Character,
  clocks: ReadonlyArray<ClockBudget>,
  { seed, clients }: PlanOptions
): ReadonlyArray<Device> => {
  const random = stream(seed, "devices")
  const actions = [...app.actions.keys()]
  const owners = Array.from({ length: clients }, (_, index) => users[index % users.length]!)
  // Now and then somebody has two devices, though there are users enough.
  if (clients > 1 && random.chance(0.3)) owners[1 + random.int(clients - 1)] = owners[0]!
  return owners.map((user, index) => {
    const skewed = random.chance(0.6)
    const skewMs = jump(random, character.has("clock") && skewed ? clocks[index]! : { ahead: 0, back: 0 })
    const old = random.chance(0.4)
    const lacked = random.pick(actions)
    return { user, skewMs, lacks: character.has("versions") && old ? lacked : null }
  })
}

/** Some hear of commits live and some do not; of many clients, fewer do: each of them costs a read of each commit. */
const following = (
  devices: ReadonlyArray<Device>,
  character: Character,
  seed: number
): ReadonlyArray<Device> => {
  if (!character.has("live")) return devices
  const random = stream(seed, "following")
  const most = Math.ceil(Math.sqrt(devices.length))
  const rest = devices.map((_, index) => index)
  const followers = new Set(
    Array.from({ length: 1 + random.int(most) }, () => rest.splice(random.int(rest.length), 1)[0]!)
  )
  return devices.map((device, index) => (followers.has(index) ? device : { ...device, follows: false }))
}

/**
 * Servers differ by less than the drift that they accept (5 minutes): servers that refuse each other's stamps are a
 * broken deployment, in which a client may have to stamp its records again and again.
 */
const serverSkewsOf = (seed: number, character: Character): ReadonlyArray<number> => {
  if (!character.has("servers")) return [0]
  const random = stream(seed, "servers")
  const skewMsMax = random.pick([0, second, 30 * second, 2 * minute])
  return Array.from({ length: 2 + random.int(2) }, () => random.int(2 * skewMsMax + 1) - skewMsMax)
}

const networkOf = (seed: number, character: Character, crowded: boolean): Network => {
  const random = stream(seed, "network")
  const rate = (fault: FaultName) => character.get(fault) ?? 0
  return {
    // A network without faults takes its time as well, so that requests cross.
    latencyMsMax: character.has("latency")
      ? spread(random, crowded ? 5 * second : 100, 20 * second)
      : random.pick(crowded ? [50, 100] : [0, 20, 100]),
    loss: rate("loss"),
    duplication: rate("duplication"),
    lostResponse: rate("lost-response"),
    slow: rate("latency") / 2
  }
}

const windowOf = (
  seed: number,
  character: Character
): Pick<Script, "reorderWindowMs" | "reorderWindowRecords"> => {
  const random = stream(seed, "window")
  const bound = random.pick(["time", "records", "both"])
  const reorderWindowMs = spread(random, 2 * second, 10 * minute)
  const reorderWindowRecords = 2 + random.int(19)
  const limited = character.has("window")
  return {
    reorderWindowMs: limited && bound !== "records" ? reorderWindowMs : null,
    reorderWindowRecords: limited && bound !== "time" ? reorderWindowRecords : null
  }
}

/** Some paths lose nothing, so that many messages in a row are applied; others so much that there are gaps. */
const feedOf = (seed: number): Feed => {
  const random = stream(seed, "feed")
  const rate = () => (random.chance(0.6) ? spread(random, 50, 600) / 1000 : 0)
  return { loss: rate(), duplication: rate(), slow: rate() }
}

/** Windows of its own, so that it closes also what the authority's window leaves open. */
const compactionOf = (seed: number, character: Character): Compaction | null => {
  if (!character.has("compaction")) return null
  const random = stream(seed, "compaction")
  const bound = random.pick(["time", "records", "both"])
  const reorderWindowMs = spread(random, second, hour)
  const reorderWindowRecords = random.int(20)
  const tombstoneMs = random.chance(0.2) ? 0 : spread(random, second, 2 * hour)
  return {
    reorderWindowMs: bound === "records" ? null : reorderWindowMs,
    reorderWindowRecords: bound === "time" ? null : reorderWindowRecords,
    tombstoneMs,
    batchRows: random.pick([1, 2, 5, 1000])
  }
}

/** One at least, and others around what happens anyway; some of which the server does not survive. */
const compactionsOf = (
  seed: number,
  character: Character,
  others: ReadonlyArray<Step>
): ReadonlyArray<Step> => {
  if (others.length === 0) return []
  const random = stream(seed, "compactions")
  const servers = serverSkewsOf(seed, character).length
  const one = random.int(others.length)
  return others.flatMap((other, index): ReadonlyArray<Step> => {
    const drawn = random.next() * 3 < character.get("compaction")!
    if (!drawn && index !== one) return []
    const at = other.at + random.int(5 * second)
    const server = random.int(servers)
    const [after, downMs] = [spread(random, 1, 40), spread(random, 1, minute)]
    const crashes = random.chance(0.3) && character.has("server-crash")
    return [
      ...(crashes ? [{ at, kind: "server-crash", server, after, downMs } as const] : []),
      { at, kind: "compaction", server }
    ]
  })
}

/**
 * Bursts in which some clients act close together, syncs and pauses between them, and faults around all of these.
 * Conflicts come from bursts of clients that have not heard of each other.
 */
class Workload {
  readonly steps: Array<Step> = []
  private at = 0
  private readonly random: Random.Random
  private readonly clients: ReadonlyArray<number>
  /** How likely a client that acted, or another one, asks for a sync after a burst. */
  private readonly syncs: number
  private readonly reads: number
  private readonly visitsToInbox: number
  private readonly burstMax: number

  constructor(
    private readonly scenario: Scenario,
    private readonly character: Character,
    private readonly clocks: ReadonlyArray<ClockBudget>,
    private readonly options: PlanOptions,
    private readonly pace: Pick<Script, "tickMs" | "network"> & { readonly crowded: boolean }
  ) {
    this.random = stream(options.seed, "workload")
    this.clients = Array.from({ length: options.clients }, (_, index) => index)
    this.syncs = this.random.pick([0.1, 0.4, 0.8])
    this.reads = this.random.pick([0.05, 0.2, 0.5])
    this.visitsToInbox = this.random.pick([0.05, 0.3])
    this.burstMax = this.random.pick(pace.crowded ? [10, 40] : [2, 6, 12])
  }

  run(): void {
    if (this.clients.length === 0) return
    // Most begin with what the server has; some act before they have ever heard of it.
    for (const client of this.clients) if (this.random.chance(0.8)) this.sync(client)
    this.at += this.random.int(10 * second)
    for (let left = this.options.actions; left > 0; ) {
      const size = Math.min(left, 1 + this.random.int(this.burstMax))
      this.around()
      this.burst(size)
      this.settle()
      this.pause()
      left -= size
    }
  }

  /** Clients that act, or throw, or do what the server has never heard of, nearly at once. */
  private burst(size: number): void {
    const { random } = this
    const { crowded, network, tickMs } = this.pace
    const most = Math.min(4, this.clients.length)
    const acting = this.some(crowded ? most : 1 + random.int(most))
    const apartMs = crowded
      ? network.latencyMsMax / random.pick([2, 8, 16])
      : random.pick([0, tickMs, second, 10 * second])
    for (const client of crowded ? acting : []) if (random.chance(0.5)) this.sync(client, tickMs)
    for (let i = 0; i < size; i++) {
      const client = random.pick(acting)
      if (random.chance(this.reads)) this.read(client)
      if (this.strikes("client-crash")) this.crashClient(client)
      if (this.strikes("server-crash")) this.crashServer()
      this.act(client)
      if (random.chance(this.reads)) this.read(client)
      if (random.chance(this.syncs / 4)) this.sync(random.pick(this.clients), second)
      this.at += random.int(Math.round(apartMs) + 1)
    }
  }

  private act(client: number): void {
    const random = this.draw()
    const throws = this.strikes("throwing", 0.4)
    const novel = this.strikes("versions", 0.2)
    if (throws) this.steps.push({ at: this.at, kind: "throw", client, random })
    else if (novel) this.steps.push({ at: this.at, kind: "novelty", client })
    else this.steps.push({ at: this.at, kind: "act", client, random })
  }

  /** What befalls the world around a burst, shortly before it or in its midst: as much with many clients as with few. */
  private around(): void {
    const { random, scenario, steps } = this
    const soon = () => this.at + random.int(5 * second)
    const forMs = (max: number) => spread(random, 5 * second, max)
    for (const client of this.clients) {
      const share = Math.min(1, 2 / this.clients.length)
      if (this.strikes("offline", share))
        steps.push({ at: soon(), kind: "offline", client, forMs: forMs(3 * day) })
      if (this.strikes("partition", share))
        steps.push({ at: soon(), kind: "partition", client, forMs: forMs(2 * hour) })
      if (this.strikes("clock", share))
        steps.push({ at: soon(), kind: "clock", client, jumpMs: jump(random, this.clocks[client]!) })
      if (this.strikes("forgery", share))
        steps.push({ at: soon(), kind: "forgery", client, random: this.draw() })
    }
    if (this.strikes("membership", 1.5) && scenario.membership !== undefined)
      steps.push({ at: soon(), kind: "membership", random: this.draw() })
    if (this.strikes("external", 1.5) && scenario.external !== undefined)
      steps.push({ at: soon(), kind: "external", random: this.draw() })
    if (this.strikes("client-crash", 0.3)) this.crashBurst()
  }

  /** Several crashes within a moment, of one client or of all and of the servers: crashes during a recovery, too. */
  private crashBurst(): void {
    const { random } = this
    const one = random.chance(0.5) ? random.pick(this.clients) : undefined
    for (let left = 2 + random.int(4); left > 0; left--) {
      if (this.character.has("server-crash") && random.chance(0.3)) this.crashServer()
      else this.crashClient(one ?? random.pick(this.clients))
    }
  }

  /** Counted in messages: an action of a client is about 5, an applied answer 10 to 100. */
  private crashClient(client: number): void {
    const after = spread(this.random, 1, 60)
    const downMs = spread(this.random, 1, this.random.chance(0.1) ? hour : 10 * second)
    this.steps.push({
      at: this.at + this.random.int(2 * second),
      kind: "client-crash",
      client,
      after,
      downMs
    })
  }

  /** Counted in messages: a request is served with 10 to 200. */
  private crashServer(): void {
    const servers = serverSkewsOf(this.options.seed, this.character).length
    const after = spread(this.random, 1, 200)
    const downMs = spread(this.random, 1, minute)
    const server = this.random.int(servers)
    this.steps.push({
      at: this.at + this.random.int(2 * second),
      kind: "server-crash",
      server,
      after,
      downMs
    })
  }

  /** After a burst: some hear of what the others did, and look at what was refused; of many clients no more than of four. */
  private settle(): void {
    const share = Math.min(1, 4 / this.clients.length)
    for (const client of this.clients) {
      if (this.random.chance(this.syncs * share)) this.sync(client, 20 * second)
      if (this.random.chance(this.reads * share)) this.read(client)
      if (this.random.chance(this.visitsToInbox * share)) {
        const at = this.at + this.random.int(minute)
        this.steps.push({ at, kind: "inbox", client, random: this.draw() })
      }
    }
  }

  /** Mostly moments; sometimes long enough that who is offline comes back. */
  private pause(): void {
    const long = this.character.has("offline") ? 2 * day : 2 * hour
    this.at += this.random.chance(0.2)
      ? spread(this.random, minute, long)
      : spread(this.random, 100, 2 * minute)
  }

  private sync(client: number, withinMs: number = 2 * second): void {
    this.steps.push({ at: this.at + this.random.int(withinMs), kind: "sync", client })
  }

  private read(client: number): void {
    const at = this.at + this.random.int(second)
    this.steps.push({ at, kind: "read", client, random: this.draw() })
  }

  /** Whether a fault happens here. `weight` says how often compared with its rate in the run. */
  private strikes(fault: FaultName, weight = 1): boolean {
    return this.random.next() < (this.character.get(fault) ?? 0) * weight
  }

  /** So many different clients. */
  private some(count: number): ReadonlyArray<number> {
    const rest = [...this.clients]
    return Array.from({ length: count }, () => rest.splice(this.random.int(rest.length), 1)[0]!)
  }

  private draw(): number {
    return this.random.int(2 ** 31)
  }
}
