/**
 * Who waits for what. A waiter has read the log up to `since`; it is woken when it has to read again:
 *
 *     add ──► waiting ──┬── a commit after `since` in one of its audiences ──────────► woken
 *                       ├── its principal's audiences are others now ────────────────► woken
 *                       ├── whatever was heard before may be incomplete (`wakeAll`) ─► woken
 *                       └── its time is over (`expire`, `close`) ────────────────────► told that there is no news
 *
 * Between a waiter's reading and its `add` commits may have been heard: the last ones are kept, and whoever has read less
 * than they cover is woken at once. So nothing is missed, and being woken for nothing costs one reading.
 */
import type { Audience, Principal, Seq } from "@synchrotron/sync-core"

export interface Waiting {
  readonly principal: Principal
  /** All that the principal held at `since`. */
  readonly audiences: ReadonlyArray<Audience>
  /** The commit as of which the waiter has read. */
  readonly since: Seq
  /** When it stops waiting, in milliseconds of the clock. */
  readonly untilMs: number
  /** `rights`: only other audiences are news to it, not what is committed in those that it has. */
  readonly only?: "rights" | undefined
}

/** What the log says of the commits up to and with `upTo`, from where the one before it ended. */
export interface News {
  readonly upTo: Seq
  /** The last commit that touched it. */
  readonly seqByAudience: ReadonlyMap<Audience, Seq>
  /** Whether principals may hold other audiences than before. */
  readonly rights: boolean
}

/** Readings of the log that are remembered. */
export const newsMax = 256

interface Waiter extends Waiting {
  /** Of its principal. */
  readonly key: string
  readonly wake: (isNews: boolean) => void
}

export class Registry {
  private readonly waiters = new Set<Waiter>()
  private readonly waitersByAudience = new Map<Audience, Set<Waiter>>()
  private readonly waitersByPrincipal = new Map<string, Set<Waiter>>()
  private recent: Array<News> = []
  /** Nothing is remembered of commits up to here. */
  private floor = 0
  private closed = false

  get size(): number {
    return this.waiters.size
  }

  /** Returns how to take the waiter away again; `wake` is called at most once, perhaps at once. */
  add(waiting: Waiting, wake: (isNews: boolean) => void): () => void {
    const waiter: Waiter = { ...waiting, key: keyOf(waiting.principal), wake }
    const isNews = waiting.since < this.floor || this.recent.some((news) => concerns(news, waiting))
    if (isNews || this.closed) {
      wake(isNews)
      return () => {}
    }
    this.waiters.add(waiter)
    enter(this.waitersByPrincipal, waiter.key, waiter)
    if (waiting.only === undefined)
      for (const audience of waiting.audiences) enter(this.waitersByAudience, audience, waiter)
    return () => this.remove(waiter)
  }

  /** Wakes whom the news touch. Whether others hold other audiences is for {@link regard} to say. */
  tell(news: News): void {
    this.recent.push(news)
    if (this.recent.length > newsMax) this.floor = Math.max(this.floor, this.recent.shift()!.upTo)
    for (const [audience, seq] of news.seqByAudience)
      for (const waiter of this.waitersByAudience.get(audience) ?? [])
        if (seq > waiter.since) this.wake(waiter)
  }

  /** Waiters that have not read `upTo`, by principal: the same user may have come with different claims. */
  before(upTo: Seq): ReadonlyArray<Principal> {
    const principals = new Map<string, Principal>()
    for (const { key, principal, since } of this.waiters) if (since < upTo) principals.set(key, principal)
    return [...principals.values()]
  }

  /** Wakes waiters of a principal that now holds these audiences, if it held others. */
  regard(principal: Principal, audiences: ReadonlyArray<Audience>): void {
    const held = new Set(audiences)
    for (const waiter of this.waitersByPrincipal.get(keyOf(principal)) ?? [])
      if (!isSame(waiter.audiences, held)) this.wake(waiter)
  }

  /** Wakes everybody, and forgets what was heard up to this commit. */
  wakeAll(upTo: Seq): void {
    this.floor = upTo
    this.recent = []
    for (const waiter of this.waiters) this.wake(waiter)
  }

  /** Ends the waiting whose time is over. */
  expire(nowMs: number): void {
    for (const waiter of this.waiters) if (waiter.untilMs <= nowMs) this.wake(waiter, false)
  }

  /** From now on nobody waits. */
  close(): void {
    this.closed = true
    for (const waiter of this.waiters) this.wake(waiter, false)
  }

  private wake(waiter: Waiter, isNews = true): void {
    this.remove(waiter)
    waiter.wake(isNews)
  }

  private remove(waiter: Waiter): void {
    this.waiters.delete(waiter)
    leave(this.waitersByPrincipal, waiter.key, waiter)
    for (const audience of waiter.audiences) leave(this.waitersByAudience, audience, waiter)
  }
}

const enter = <K>(waitersByKey: Map<K, Set<Waiter>>, key: K, waiter: Waiter): void => {
  const waiters = waitersByKey.get(key)
  if (waiters === undefined) waitersByKey.set(key, new Set([waiter]))
  else waiters.add(waiter)
}

const leave = <K>(waitersByKey: Map<K, Set<Waiter>>, key: K, waiter: Waiter): void => {
  const waiters = waitersByKey.get(key)
  waiters?.delete(waiter)
  if (waiters?.size === 0) waitersByKey.delete(key)
}

const concerns = (news: News, { audiences, only, since }: Waiting): boolean =>
  news.upTo > since &&
  (news.rights ||
    (only === undefined && audiences.some((audience) => (news.seqByAudience.get(audience) ?? 0) > since)))

const isSame = (audiences: ReadonlyArray<Audience>, held: ReadonlySet<Audience>): boolean =>
  audiences.length === held.size && audiences.every((audience) => held.has(audience))

const keyOf = ({ userId, claims }: Principal): string => JSON.stringify([userId, claims])
