/** What everything inside of one person's workspace may use. */
import { createContext, useContext } from "react"
import type { Attempt } from "./attempt.ts"

export interface Workspace {
  /** Whose workspace it is. */
  readonly viewer: string
  readonly attempt: Attempt
  /** Says something to whoever does not see the screen. */
  readonly announce: (text: string) => void
}

export const WorkspaceContext = createContext<Workspace | undefined>(undefined)

export const useWorkspace = (): Workspace => {
  const workspace = useContext(WorkspaceContext)
  if (workspace === undefined) throw new Error("There is no workspace around this component.")
  return workspace
}
