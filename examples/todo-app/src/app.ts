/** The application as both sides know it: the browser runs its actions at once, the server decides. */
import { SyncApp, SyncTable } from "@synchrotron/sync-core"
import { createList, renameList, shareList, unshareList } from "./domain/lists.ts"
import { migrations } from "./domain/schema.ts"
import {
  addTodo,
  claimTodo,
  editTodo,
  moveTodo,
  releaseTodo,
  removeTodo,
  toggleTodo
} from "./domain/todos.ts"

export const app = SyncApp.make({
  name: "todo-app",
  migrations,
  tables: [
    SyncTable.make("lists", { audience: "'list:' || id" }),
    SyncTable.make("members", { audience: "'list:' || list_id" }),
    SyncTable.make("todos", { audience: "'list:' || list_id" })
  ],
  actions: [
    createList,
    renameList,
    shareList,
    unshareList,
    addTodo,
    toggleTodo,
    editTodo,
    moveTodo,
    removeTodo,
    claimTodo,
    releaseTodo
  ],
  audiences: `
    SELECT 'list:' || list_id FROM members WHERE user_id = synchrotron.user_id()
    UNION ALL SELECT 'user:' || synchrotron.user_id()`
})

/** What the command `synchrotron-server` serves. */
export default app
