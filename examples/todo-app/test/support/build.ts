/** A production build of the page. */
import { join } from "node:path"
import { build, type Plugin } from "vite"
import { root } from "./server.ts"

export const buildPage = async (outDir: string, plugin: Plugin): Promise<void> => {
  // Vite takes it from the environment, where the test runner has put something else.
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = "production"
  try {
    await build({
      root,
      configFile: join(root, "vite.config.ts"),
      logLevel: "error",
      build: { outDir, emptyOutDir: true },
      plugins: [plugin]
    })
  } finally {
    process.env.NODE_ENV = before
  }
}
