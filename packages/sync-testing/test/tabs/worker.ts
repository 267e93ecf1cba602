import { serveTabs } from "@synchrotron/sync-client/worker"
import { app } from "./app.ts"

serveTabs({
  app,
  image: async () => (await fetch("/image.bin")).blob(),
  // So that an endless recursion overflows the stack of the WebAssembly.
  pglite: { startParams: ["-c", "max_stack_depth=1000kB"] }
})
