/** One person's lists: head, sidebar, and the list or the search results that are open. */
import { useSyncStatus } from "@synchrotron/sync-client/react"
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react"
import { createList } from "../domain/lists.ts"
import { nameOf } from "../domain/people.ts"
import { inColourOf } from "./Avatar.tsx"
import { useAttempt } from "./attempt.ts"
import { type ListRow, useLists } from "./data.ts"
import { Inbox } from "./Inbox.tsx"
import { Invitations } from "./Invitations.tsx"
import { ListView } from "./ListView.tsx"
import { SearchResults } from "./SearchResults.tsx"
import { Sidebar } from "./Sidebar.tsx"
import { ToastView } from "./ToastView.tsx"
import { Topbar } from "./Topbar.tsx"
import { useSelectedList } from "./useSelectedList.ts"
import { Loading, Welcome } from "./Welcome.tsx"
import { WorkspaceContext } from "./workspace.ts"

/** @param props.alone whether the page is this person's: it has its address then, and its keys */
export function Workspace(props: { readonly person: string; readonly alone: boolean }) {
  const { person: viewer, alone } = props
  const status = useSyncStatus()
  const { rows, state } = useLists(viewer)
  const [said, setSaid] = useState({ text: "", times: 0 })
  const announce = useCallback((text: string) => setSaid(({ times }) => ({ text, times: times + 1 })), [])
  const { attempt, undo, toast, dismiss, notes, clearNotes } = useAttempt(viewer, announce)
  const [selected, select] = useSelectedList(alone)
  const [search, setSearch] = useState("")
  const [focus, setFocus] = useState<string>()
  const panel = useRef<HTMLElement>(null)
  const sidebarId = useId()
  const lists = rows.filter((row): row is ListRow => row.title !== null)
  const list = lists.find((one) => one.id === selected) ?? lists[0]
  // Before the first sync, no rows do not mean no lists; without a server, work can begin all the same.
  const connecting = status.phase === "idle" || status.phase === "syncing"
  const loading = state === "loading" || (connecting && !status.firstSyncDone)

  const open = useCallback(
    (listId: string, todoId?: string) => {
      setSearch("")
      setFocus(todoId)
      select(listId)
      closeDrawer(sidebarId)
    },
    [select, sidebarId]
  )
  const create = async (wish: { readonly title: string; readonly openMax: number }) => {
    const created = await attempt(createList(wish))
    if (created !== undefined) open(created.value as string)
  }
  useKeys({ panel, alone, sidebarId, undo })
  const shared = useMemo(() => ({ viewer, attempt, announce }), [viewer, attempt, announce])
  return (
    <WorkspaceContext value={shared}>
      <section
        ref={panel}
        className="panel"
        data-testid={`panel-${viewer}`}
        data-online={status.phase !== "paused"}
        aria-label={`${nameOf(viewer)}’s lists`}
        {...inColourOf(viewer)}
      >
        {alone && <title>{`${list?.title ?? nameOf(viewer)} · Synchrotron todo`}</title>}
        <Topbar alone={alone} sidebarId={sidebarId} />
        <div className="panel-body">
          <Sidebar
            id={sidebarId}
            rows={rows}
            selected={search.trim() === "" ? list?.id : undefined}
            search={search}
            onSearch={setSearch}
            onClose={() => closeDrawer(sidebarId)}
            onSelect={open}
            onCreate={create}
          />
          <div className="panel-main">
            <Inbox viewer={viewer} notes={notes} onNotesRead={clearNotes} />
            <Invitations onOpen={open} />
            <div className="shown">
              {search.trim() !== "" ? (
                <SearchResults text={search.trim()} onOpen={open} />
              ) : list !== undefined ? (
                <ListView key={list.id} list={list} lists={lists} focus={focus} />
              ) : loading ? (
                <Loading load={status.load} />
              ) : (
                <Welcome onOpen={open} />
              )}
            </div>
          </div>
        </div>
        {toast !== undefined && <ToastView toast={toast} onUndo={undo} onDismiss={dismiss} />}
        <div className="visually-hidden" role="status" data-testid="said">
          {/* What is said twice is read twice, for it is another element. */}
          <span key={said.times}>{said.text}</span>
        </div>
      </section>
    </WorkspaceContext>
  )
}

/** The sidebar is one only where there is no room for it. */
const closeDrawer = (id: string) => {
  const sidebar = document.getElementById(id)
  if (sidebar?.matches(":popover-open")) sidebar.hidePopover()
}

/** Ctrl or Cmd with Z takes back, with K searches; among several workspaces, in the one that has the focus. */
const useKeys = (input: {
  readonly panel: { readonly current: HTMLElement | null }
  readonly alone: boolean
  readonly sidebarId: string
  readonly undo: () => Promise<void>
}): void => {
  const { panel, alone, sidebarId, undo } = input
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const target = event.target as Element
      if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return
      if (!panel.current?.contains(target) && !(alone && target === document.body)) return
      // A text field takes back what was typed in it.
      if (event.key === "z" && !target.matches("input:not([type=checkbox]), textarea")) {
        event.preventDefault()
        // Whoever holds the keys down wants the last thing back, and not everything.
        if (!event.repeat) void undo()
      }
      if (event.key === "k") {
        event.preventDefault()
        const field = panel.current?.querySelector<HTMLElement>("[type=search]")
        // In the drawer.
        if (field?.checkVisibility() === false) document.getElementById(sidebarId)?.showPopover()
        field?.focus()
      }
    }
    document.addEventListener("keydown", onKeyDown)
    return () => document.removeEventListener("keydown", onKeyDown)
  }, [panel, alone, sidebarId, undo])
}
