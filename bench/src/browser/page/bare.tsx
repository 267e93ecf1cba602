/** The floor of a reload: the same list, rendered from PGlite in a worker. */
import { createRoot } from "react-dom/client"
import { openBare } from "./bareClient.ts"
import { type Item, Items, shown } from "./views.tsx"

const asked = new URLSearchParams(location.search)

const bare = openBare()
const { rows } = await bare.ask({
  _tag: "Open",
  dataDir: asked.get("dataDir")!,
  rows: Number(asked.get("rows")),
  list: 0
})
createRoot(document.getElementById("root")!).render(<Items rows={rows as ReadonlyArray<Item>} />)

declare global {
  interface Window {
    firstRendered: () => number | null
  }
}
window.firstRendered = () => shown.firstMs
