/** `npm start`: installs what is missing, then runs the todo app with its embedded sync server. */
import { install } from "./lib/install.mjs"
import { runTypeScript } from "./lib/run.mjs"

install()
await runTypeScript("examples/todo-app/server.ts", { cwd: "examples/todo-app", args: process.argv.slice(2) })
