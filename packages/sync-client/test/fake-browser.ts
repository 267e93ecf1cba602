/** Tabs of a browser that share channels and locks, each of which can be killed at any of its messages. */

import * as Connectivity from "../src/Connectivity.ts"
import type { OpeningClient } from "../src/PromiseClient.ts"
import { type FollowOptions, follow } from "../src/tabs/follow.ts"
import { keep, type Life } from "../src/tabs/keep.ts"
import { lead } from "../src/tabs/lead.ts"
import { leaderLockName } from "../src/tabs/Messages.ts"
import type { Surroundings } from "../src/tabs/Surroundings.ts"

type LeadOptions = Parameters<typeof lead>[0]

interface Waiting {
  readonly tab: FakeTab
  readonly name: string
  readonly grant: () => Promise<void>
}

export class FakeBrowser {
  private readonly listeners = new Set<{
    tab: FakeTab
    name: string
    onMessage: (message: unknown) => void
  }>()
  private readonly locks = new Map<string, Array<Waiting>>()

  surroundingsOf(tab: FakeTab): Surroundings {
    return {
      connectivity: tab.connectivity,
      channel: (name, onMessage) => {
        const own = { tab, name, onMessage }
        let closed = false
        this.listeners.add(own)
        return {
          send: (message) => {
            if (closed) throw new Error("InvalidStateError: the channel is closed")
            if (!tab.mayAct()) return
            tab.messagesSent++
            const copy = structuredClone(message)
            for (const other of [...this.listeners])
              if (other !== own && other.name === name)
                setImmediate(() => {
                  if (other.tab.alive && this.listeners.has(other)) other.onMessage(copy)
                })
          },
          close: () => {
            closed = true
            this.listeners.delete(own)
          }
        }
      },
      lock: (name, held) =>
        new Promise((resolve, reject) => {
          const queue = this.locks.get(name) ?? []
          this.locks.set(name, queue)
          const grant = async () => {
            try {
              resolve(await held())
            } catch (error) {
              reject(error)
            }
            this.free(name)
          }
          queue.push({ tab, name, grant })
          if (queue.length === 1) void grant()
        })
    }
  }

  /** The browser frees what a tab has; a leader has its lock until its database is closed. */
  died(tab: FakeTab): void {
    for (const [name, [first, ...waiting]] of this.locks) {
      const rest = waiting.filter((one) => one.tab !== tab)
      this.locks.set(name, first === undefined ? [] : [first, ...rest])
      if (first?.tab === tab && !name.startsWith("synchrotron:leader:")) this.free(name)
    }
  }

  private free(name: string): void {
    const queue = this.locks.get(name)!
    queue.shift()
    void queue[0]?.grant()
  }
}

export class FakeTab {
  alive = true
  leads = false
  /** How many workers it has started. */
  workers = 0
  messagesSent = 0
  readonly connectivity = Connectivity.manual()
  readonly client: OpeningClient
  /** It dies before the message after so many. */
  messagesLeft = Number.POSITIVE_INFINITY
  private end = () => {}
  private readonly browser: FakeBrowser

  constructor(browser: FakeBrowser, options: LeadOptions & Pick<FollowOptions, "errors">) {
    this.browser = browser
    const surroundings = browser.surroundingsOf(this)
    const ended = new Promise<void>((resolve) => {
      this.end = resolve
    })
    const stop = new AbortController()
    const live = async () => {
      let life: Life = { _tag: "Closed" }
      this.workers++
      await surroundings.lock(leaderLockName(options.store), async () => {
        if (!this.alive) return
        this.leads = true
        life = await lead(options, surroundings, ended)
        this.leads = false
      })
      return life
    }
    const kept = keep(live, options.store, surroundings, stop.signal)
    this.client = follow(options, surroundings, {
      failed: new Promise((resolve) => {
        void kept.then((error) => error !== undefined && resolve(error as Error))
      }),
      close: async () => {
        stop.abort()
        this.kill()
      }
    })
  }

  mayAct(): boolean {
    if (this.alive && this.messagesLeft-- <= 0) this.kill()
    return this.alive
  }

  kill(): void {
    this.alive = false
    this.end()
    this.browser.died(this)
  }
}
