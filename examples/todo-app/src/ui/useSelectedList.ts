/** Which list is open: in the address of a person's own page, so that it can be reloaded and gone back from. */
import { useCallback, useState, useSyncExternalStore } from "react"

const ofAddress = () => new URLSearchParams(location.hash.slice(1)).get("list") ?? undefined

const subscribe = (listener: () => void) => {
  window.addEventListener("hashchange", listener)
  return () => window.removeEventListener("hashchange", listener)
}

export const useSelectedList = (inAddress: boolean) => {
  const address = useSyncExternalStore(subscribe, ofAddress)
  const [own, setOwn] = useState<string>()
  const select = useCallback(
    (listId: string) => {
      if (inAddress) location.hash = `list=${listId}`
      else setOwn(listId)
    },
    [inAddress]
  )
  return [inAddress ? address : own, select] as const
}
