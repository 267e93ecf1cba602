import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"
import { compress } from "./vite-compress.ts"
import { offline } from "./vite-offline.ts"
import { pgliteImage } from "./vite-pglite-image.ts"

export default defineConfig({
  plugins: [react(), pgliteImage(), offline(), compress()],
  // The server's database lies below this folder and is no source.
  server: { watch: { ignored: ["**/.synchrotron/**"] } },
  // PGlite finds its WebAssembly beside its own modules, so it must stay where it is.
  optimizeDeps: { exclude: ["@electric-sql/pglite"] },
  build: {
    target: "es2022",
    chunkSizeWarningLimit: 1500,
    // PGlite uses eval where Emscripten wants it to.
    rolldownOptions: { checks: { eval: false } }
  },
  worker: { format: "es", plugins: () => [pgliteImage()] }
})
