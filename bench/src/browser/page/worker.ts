import { serveTabs } from "@synchrotron/sync-client/worker"
import { app } from "../app.ts"
import { countQueries } from "./count.ts"
import { image } from "./image.ts"

countQueries()
serveTabs({ app, image })
