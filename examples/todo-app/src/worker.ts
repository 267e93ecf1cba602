/** Has the database of a person, for all tabs that show it. */

import imageUrl from "virtual:pglite-image"
import { serveTabs } from "@synchrotron/sync-client/worker"
import { app } from "./app.ts"

/** The prepared database that a first visit starts from; see `vite-pglite-image.ts`. */
const image = async () => {
  const response = await fetch(imageUrl)
  // Without it the database takes longer to set up, and that is all.
  return response.ok
    ? new File([await response.arrayBuffer()], "image.tar.gz", { type: "application/gzip" })
    : undefined
}

serveTabs({ app, image })
