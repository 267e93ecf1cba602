/** The hooks where there is no browser: nothing but Node's own globals is there. */
import {
  noClient,
  preloadQuery,
  SyncProvider,
  useAction,
  useLiveQuery,
  usePending,
  useRejected,
  useSuspenseQuery,
  useSyncClient,
  useSyncStatus
} from "@synchrotron/sync-client/react"
import { Suspense } from "react"
import { renderToString } from "react-dom/server"
import { describe, expect, it } from "vitest"
import { addTodo } from "./fixture.ts"

const Page = () => {
  const { records } = useRejected()
  const { state } = useAction(addTodo)
  const client = useSyncClient()
  preloadQuery(client, "SELECT 1")
  return (
    <p>
      {[
        useLiveQuery("SELECT 1").state,
        useSyncStatus().phase,
        useSyncStatus(({ pending }) => ({ pending })).pending,
        usePending().size,
        records.length,
        state.state
      ].join()}
    </p>
  )
}

const Rows = () => <>{useSuspenseQuery("SELECT 1").length}</>

describe("on a server", () => {
  it("shows what is there before a database is", () => {
    expect(typeof document).toBe("undefined")
    expect(
      renderToString(
        <SyncProvider client={noClient}>
          <Page />
        </SyncProvider>
      )
    ).toBe("<p>loading,idle,0,0,0,idle</p>")
  })

  it("leaves what suspends to the browser", () => {
    const html = renderToString(
      <SyncProvider client={noClient}>
        <Suspense fallback={<p>waiting</p>}>
          <Rows />
        </Suspense>
      </SyncProvider>
    )
    expect(html).toContain("<p>waiting</p>")
  })
})
