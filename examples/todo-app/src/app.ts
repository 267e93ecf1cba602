/** The application as both sides know it: the browser runs its actions at once, the server decides. */
import { SyncApp, SyncTable } from "@synchrotron/sync-core"
import * as lists from "./domain/lists.ts"
import { migrations } from "./domain/schema.ts"
import * as sharing from "./domain/sharing.ts"
import * as todos from "./domain/todos.ts"

export const app = SyncApp.make({
  name: "todo-app",
  migrations,
  tables: [
    SyncTable.make("lists", { audience: "'list:' || id" }),
    SyncTable.make("members", { audience: "'list:' || list_id" }),
    SyncTable.make("todos", { audience: "'list:' || list_id" }),
    SyncTable.make("invitations", { audience: "'invitation:' || list_id || ':' || user_id" })
  ],
  actions: [
    lists.createList,
    lists.renameList,
    lists.deleteList,
    sharing.inviteToList,
    sharing.acceptInvitation,
    sharing.declineInvitation,
    sharing.changeRole,
    sharing.unshareList,
    sharing.leaveList,
    todos.addTodo,
    todos.toggleTodo,
    todos.editTodo,
    todos.setDue,
    todos.moveTodo,
    todos.transferTodo,
    todos.removeTodo,
    todos.restoreTodo,
    todos.claimTodo,
    todos.releaseTodo
  ],
  // Who sees an invitation says its policy; the query runs as the user.
  audiences: `
    SELECT 'list:' || list_id FROM members WHERE user_id = synchrotron.user_id()
    UNION ALL SELECT 'invitation:' || list_id || ':' || user_id FROM invitations`
})

/** What the command `synchrotron-server` serves. */
export default app
