/**
 * Compiles the module that exports the SyncApp to one JavaScript file for the server's image. Every package
 * stays an import, so that the application and the server share one copy of each.
 */
import { isAbsolute, resolve } from "node:path"

const app = resolve(process.env.APP ?? "src/app.ts")

export default {
  publicDir: false,
  build: {
    ssr: app,
    target: "node20",
    outDir: "dist",
    emptyOutDir: false,
    rolldownOptions: {
      external: (/** @type {string} */ id) => !id.startsWith(".") && !isAbsolute(id),
      output: { entryFileNames: "sync-app.mjs" }
    }
  }
}
