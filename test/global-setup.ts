import type { TestProject } from "vitest/node"
import { chromium, findBrowser, firefox } from "../scripts/lib/browsers.mjs"
import { startPostgres } from "../scripts/lib/postgres.mjs"

declare module "vitest" {
  interface ProvidedContext {
    /** Superuser connection string of a real Postgres; take a database of your own with `createDatabase`. */
    postgresUrl: string
    /** Path of a Chromium, Chrome or Edge; empty when none is installed (`npm test` installs one). */
    chromiumPath: string
    /** Path of a Firefox, likewise. */
    firefoxPath: string
  }
}

/** One Postgres for the whole run: `TEST_DATABASE_URL`, or a temporary one that goes with the run. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  project.provide("chromiumPath", findBrowser(chromium) ?? "")
  project.provide("firefoxPath", findBrowser(firefox) ?? "")
  const given = process.env.TEST_DATABASE_URL
  if (given) {
    project.provide("postgresUrl", given)
    return undefined
  }
  const postgres = await startPostgres()
  project.provide("postgresUrl", postgres.url)
  return postgres.stop
}
