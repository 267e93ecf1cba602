/** Gives a client to the components below. */
import { createContext, createElement, type ReactElement, type ReactNode, useContext } from "react"
import type { PromiseClient } from "../PromiseClient.ts"

const ClientContext = createContext<PromiseClient | undefined>(undefined)

/**
 * Makes `client` the client of all hooks below it. It may still be opening: until it is open, queries are loading.
 * Create it once, outside of components; the provider does not close it.
 */
export const SyncProvider = (props: {
  readonly client: PromiseClient
  readonly children?: ReactNode
}): ReactElement => createElement(ClientContext.Provider, { value: props.client }, props.children)

/** The client of the nearest `SyncProvider`. */
export const useSyncClient = (): PromiseClient => {
  const client = useContext(ClientContext)
  if (client === undefined) throw new Error("There is no <SyncProvider client={...}> above this component.")
  return client
}
