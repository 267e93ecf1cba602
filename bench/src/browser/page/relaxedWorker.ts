import { serveTabs } from "@synchrotron/sync-client/worker"
import { app } from "../app.ts"
import { image } from "./image.ts"

serveTabs({ app, image, pglite: { relaxedDurability: true } })
