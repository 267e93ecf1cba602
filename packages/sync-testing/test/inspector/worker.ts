import { serveTabs } from "@synchrotron/sync-client/worker"
import { app } from "./app.ts"

serveTabs({ app, image: async () => (await fetch("/image.bin")).blob() })
