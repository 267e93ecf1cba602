/** Many databases that take turns on one PGlite: each costs about 50 MB, and a thousand clients shall fit. */
import { Effect } from "effect"
import type { Attachment, Database, Slot, Watch } from "./Slot.ts"

/** A database while it has no turn, and the process that is attached to it. */
interface Page {
  saved: string | undefined
  attached: Watch | null
}

/**
 * Databases of one slot. While one has its turn, what the others hold is kept as SQL. A turn ends when another one is
 * used, and no transaction may be open then: what happens on two of them must not overlap.
 */
export const share = (slot: Slot, count: number): ReadonlyArray<Database> => {
  let turn: Page | null = null
  const take = (page: Page) => {
    if (turn === page) return
    if (slot.busy()) throw new Error("Another client has a transaction open, and only one may act at a time.")
    if (turn !== null) {
      turn.attached?.onTurnOver()
      turn.saved = Effect.runSync(slot.storage.save)
      Effect.runSync(slot.storage.load(page.saved))
    }
    turn = page
  }
  return Array.from({ length: count }, () => {
    const page: Page = { saved: undefined, attached: null }
    return {
      probe: new Proxy(slot.probe, {
        get: (target, property, receiver) =>
          property === "unsafe"
            ? (text: string, params?: ReadonlyArray<unknown>) =>
                Effect.suspend(() => {
                  take(page)
                  return target.unsafe(text, params as Array<unknown>)
                })
            : Reflect.get(target, property, receiver)
      }),
      attach: (watch: Watch): Attachment => {
        page.attached = watch
        const attachment = slot.attach(watch)
        const { pglite } = attachment
        return {
          ...attachment,
          pglite: Object.assign(Object.create(pglite), {
            execProtocolRawStream: (...args: Parameters<typeof pglite.execProtocolRawStream>) => {
              take(page)
              return pglite.execProtocolRawStream(...args)
            }
          })
        }
      }
    }
  })
}
