import type { Audience, Principal, Seq } from "@synchrotron/sync-core"
import { describe, expect, it } from "vitest"
import { newsMax, Registry } from "../../src/live/Registry.ts"
import { type Named, tablesOf } from "../../src/live/rights.ts"

const ann: Principal = { userId: "ann", claims: {} }
const news = (upTo: number, seqs: Record<string, number>, rights = false) => ({
  upTo: upTo as Seq,
  seqByAudience: new Map(Object.entries(seqs) as unknown as ReadonlyArray<[Audience, Seq]>),
  rights
})
const waiter = (
  registry: Registry,
  since: number,
  audiences: ReadonlyArray<string>,
  principal = ann,
  untilMs = 1000
) => {
  let woken = 0
  let ended = 0
  const remove = registry.add(
    { principal, audiences: audiences as ReadonlyArray<Audience>, since: since as Seq, untilMs },
    (isNews) => {
      if (isNews) woken++
      else ended++
    }
  )
  return { woken: () => woken, ended: () => ended, remove }
}

describe("Registry", () => {
  it("wakes whom a commit touches, and nobody else", () => {
    const registry = new Registry()
    const red = waiter(registry, 5, ["red", "green"])
    const blue = waiter(registry, 5, ["blue"])
    registry.tell(news(6, { red: 6 }))
    expect([red.woken(), blue.woken()]).toEqual([1, 0])
    registry.tell(news(7, { green: 7, blue: 7 }))
    expect([red.woken(), blue.woken()]).toEqual([1, 1])
    expect(registry.size).toBe(0)
  })

  it("I6: wakes who waits for other audiences alone when it may hold others, and not at a commit in those that it has", () => {
    const registry = new Registry()
    let woken = 0
    const wait = (since: number) =>
      registry.add(
        {
          principal: ann,
          audiences: ["red"] as unknown as ReadonlyArray<Audience>,
          since: since as Seq,
          untilMs: 1000,
          only: "rights"
        },
        () => woken++
      )
    wait(5)
    registry.tell(news(6, { red: 6 }))
    expect(woken).toBe(0)
    registry.tell(news(7, { lists: 7 }, true))
    expect(registry.before(7 as Seq)).toEqual([ann])
    registry.regard(ann, ["red"] as unknown as ReadonlyArray<Audience>)
    expect(woken).toBe(0)
    registry.regard(ann, ["red", "blue"] as unknown as ReadonlyArray<Audience>)
    expect(woken).toBe(1)
    // What was heard between its reading and its waiting.
    wait(5)
    expect(woken).toBe(2)
    wait(7)
    expect(woken).toBe(2)
  })

  it("lets those sleep who have read the commit already", () => {
    const registry = new Registry()
    const ahead = waiter(registry, 9, ["red"])
    registry.tell(news(9, { red: 8 }))
    expect(ahead.woken()).toBe(0)
  })

  it("I1: wakes at once who read less than was told, if it concerns it", () => {
    const registry = new Registry()
    registry.tell(news(6, { red: 6 }))
    expect(waiter(registry, 5, ["red"]).woken()).toBe(1)
    expect(waiter(registry, 6, ["red"]).woken()).toBe(0)
    expect(waiter(registry, 5, ["blue"]).woken()).toBe(0)
    registry.tell(news(7, { lists: 7 }, true))
    expect(waiter(registry, 6, ["blue"]).woken()).toBe(1)
    expect(waiter(registry, 7, ["blue"]).woken()).toBe(0)
  })

  it("I9: forgets old news, and wakes who has read less than it remembers", () => {
    const registry = new Registry()
    for (let seq = 1; seq <= newsMax + 10; seq++) registry.tell(news(seq, {}))
    expect(waiter(registry, 9, ["red"]).woken()).toBe(1)
    expect(waiter(registry, 10, ["red"]).woken()).toBe(0)
  })

  it("I6: wakes a principal that holds other audiences now", () => {
    const registry = new Registry()
    const bob = { userId: "bob", claims: {} }
    const waiters = [
      waiter(registry, 5, ["red", "blue"]),
      waiter(registry, 5, ["red"]),
      waiter(registry, 5, ["red"], { userId: "ann", claims: { role: "admin" } }),
      waiter(registry, 5, ["red"], bob)
    ]
    expect(registry.before(6 as Seq)).toHaveLength(3)
    expect(registry.before(5 as Seq)).toEqual([])
    registry.regard(ann, ["blue", "red"] as unknown as ReadonlyArray<Audience>)
    expect(waiters.map(({ woken }) => woken())).toEqual([0, 1, 0, 0])
  })

  it("wakes everybody when it may have missed something, and keeps nobody who has left", () => {
    const registry = new Registry()
    const gone = waiter(registry, 5, ["red"])
    const there = waiter(registry, 5, ["red"])
    gone.remove()
    expect(registry.size).toBe(1)
    registry.wakeAll(8 as Seq)
    expect([gone.woken(), there.woken()]).toEqual([0, 1])
    expect(waiter(registry, 7, ["blue"]).woken()).toBe(1)
    expect(waiter(registry, 8, ["blue"]).woken()).toBe(0)
  })
})

describe("Registry's time", () => {
  it("ends waiting when it is over, and all of it when the server stops", () => {
    const registry = new Registry()
    const short = waiter(registry, 5, ["red"], ann, 100)
    const long = waiter(registry, 5, ["red"], ann, 200)
    registry.expire(100)
    expect([short.ended(), long.ended()]).toEqual([1, 0])
    registry.close()
    expect([long.ended(), long.woken()]).toEqual([1, 0])
    expect(waiter(registry, 5, ["red"]).ended()).toBe(1)
  })
})

describe("tablesOf", () => {
  const objects: ReadonlyArray<Named> = [
    { name: "members", table: "public.members", text: "team in (select my_teams())" },
    { name: "my_teams", table: null, text: "BEGIN RETURN QUERY SELECT t FROM Crews; END" },
    { name: "crews", table: null, text: 'SELECT * FROM people JOIN "odd name" ON true' },
    { name: "people", table: "app.people", text: "" },
    { name: "notes", table: "public.notes", text: "team in (select team from members)" },
    { name: "odd name", table: "public.odd name", text: "" }
  ]

  it("follows names through functions, views and policies", () => {
    expect([...tablesOf("SELECT 'team:' || team FROM Members", objects)].sort()).toEqual([
      "app.people",
      "public.members",
      "public.odd name"
    ])
  })

  it("finds no table in a query that reads claims", () => {
    expect([...tablesOf("SELECT 'user:' || synchrotron.user_id()", objects.slice(0, -1))]).toEqual([])
  })
})
