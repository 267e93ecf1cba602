/**
 * Compiles the module that exports the SyncApp to one JavaScript file for the server's image. Every package
 * stays an import, so that the application and the server share one copy of each.
 */
export default {
  ssr: { external: true },
  build: {
    ssr: process.env.APP,
    target: "node20",
    outDir: "dist",
    emptyOutDir: false,
    rollupOptions: { output: { entryFileNames: "sync-app.mjs" } }
  }
}
