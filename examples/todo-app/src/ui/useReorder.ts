/**
 * Putting items in order by dragging a handle, or with the keyboard: Space lifts, arrows move, Space drops, Escape gives
 * up. While an item is lifted only its place on the screen changes (`order` in CSS), so that it keeps the focus.
 */
import { type KeyboardEvent, type PointerEvent, useEffect, useLayoutEffect, useRef, useState } from "react"

interface Lift {
  readonly id: string
  readonly ids: ReadonlyArray<string>
  readonly by: "pointer" | "keyboard" | "dropped"
}

/** The list with `id` at the place `index`. */
const reordered = (ids: ReadonlyArray<string>, id: string, index: number): ReadonlyArray<string> => {
  const others = ids.filter((one) => one !== id)
  const place = Math.max(0, Math.min(index, others.length))
  return [...others.slice(0, place), id, ...others.slice(place)]
}

/**
 * @param input.ids items as they are, in order
 * @param input.move puts an item in front of another, or at the end; called once, when it is dropped elsewhere
 */
export const useReorder = (input: {
  readonly ids: ReadonlyArray<string>
  readonly titleOf: (id: string) => string
  readonly move: (id: string, before: string | null) => Promise<unknown>
  readonly announce: (text: string) => void
}) => {
  const { ids, titleOf, move, announce } = input
  const [lift, setLift] = useState<Lift>()
  const list = useRef<HTMLUListElement>(null)
  const order = ids.join()
  // What was dropped shows where it was dropped until it is there.
  useEffect(() => setLift((now) => (now?.by === "dropped" ? undefined : now)), [order])
  // And the handle has the focus again, which it lost when its row was put elsewhere.
  const refocus = useRef<string>(undefined)
  useLayoutEffect(() => {
    if (refocus.current === undefined || document.activeElement !== document.body) return
    list.current?.querySelector<HTMLElement>(`[data-id="${refocus.current}"] .grip`)?.focus()
    refocus.current = undefined
  }, [order])

  const cancel = () => {
    setLift(undefined)
    announce("Left where it was")
  }
  const drop = async (lifted: Lift) => {
    if (lifted.ids.join() === order) return setLift(undefined)
    if (lifted.by === "keyboard") refocus.current = lifted.id
    setLift({ ...lifted, by: "dropped" })
    const place = lifted.ids.indexOf(lifted.id)
    announce(`${titleOf(lifted.id)} dropped at place ${place + 1} of ${lifted.ids.length}`)
    await move(lifted.id, lifted.ids[place + 1] ?? null)
    // Refused, or somebody else's order won: then nothing else ends it.
    setTimeout(() => setLift((now) => (now?.by === "dropped" ? undefined : now)), 500)
  }
  const onKeyDown = (id: string) => (event: KeyboardEvent) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault()
      if (lift?.id === id && lift.by === "keyboard") return void drop(lift)
      setLift({ id, ids, by: "keyboard" })
      announce(
        `${titleOf(id)} lifted, place ${ids.indexOf(id) + 1} of ${ids.length}. Arrow keys move it, Space drops it, Escape leaves it where it was.`
      )
    } else if (lift?.id === id && event.key === "Escape") {
      event.stopPropagation()
      cancel()
    } else if (lift?.id === id && step !== undefined) {
      event.preventDefault()
      const next = reordered(lift.ids, id, lift.ids.indexOf(id) + step)
      setLift({ ...lift, ids: next })
      announce(`Place ${next.indexOf(id) + 1} of ${next.length}`)
    }
  }
  const onPointerDown = (id: string) => (event: PointerEvent) => {
    if (event.button !== 0) return
    let now: Lift = { id, ids, by: "pointer" }
    const onMove = ({ clientY }: { readonly clientY: number }) => {
      const above = [...(list.current?.children ?? [])].filter((row) => {
        const { top, height } = row.getBoundingClientRect()
        return (row as HTMLElement).dataset.id !== id && top + height / 2 < clientY
      })
      now = { ...now, ids: reordered(ids, id, above.length) }
      setLift(now)
    }
    const end = () => {
      window.removeEventListener("pointermove", onMove)
      window.removeEventListener("pointerup", onUp)
      window.removeEventListener("pointercancel", onCancel)
    }
    const onUp = () => {
      end()
      void drop(now)
    }
    const onCancel = () => {
      end()
      setLift(undefined)
    }
    window.addEventListener("pointermove", onMove)
    window.addEventListener("pointerup", onUp)
    window.addEventListener("pointercancel", onCancel)
  }
  return {
    list,
    /** The item under way. */
    lifted: lift?.by === "dropped" ? undefined : lift?.id,
    /** What others add meanwhile comes last. */
    placeOf: (id: string) => {
      const shown = lift?.ids ?? ids
      return shown.includes(id) ? shown.indexOf(id) : shown.length
    },
    handle: (id: string) => ({
      onKeyDown: onKeyDown(id),
      onPointerDown: onPointerDown(id),
      // Whoever goes elsewhere has left it.
      onBlur: () => lift?.by === "keyboard" && lift.id === id && void drop(lift),
      "aria-pressed": lift?.id === id && lift.by === "keyboard"
    })
  }
}

export type ReorderHandle = ReturnType<ReturnType<typeof useReorder>["handle"]>
