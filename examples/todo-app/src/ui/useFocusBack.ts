/** Gives the focus back to a button when the field that it opened is gone, and the focus with it. */
import { useEffect, useRef } from "react"

/** @param open whether the field is there */
export const useFocusBack = (open: boolean) => {
  const button = useRef<HTMLButtonElement>(null)
  const before = useRef(open)
  useEffect(() => {
    if (before.current && !open && document.activeElement === document.body) button.current?.focus()
    before.current = open
  }, [open])
  return button
}
