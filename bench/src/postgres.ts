/** One Postgres for the benchmarks, durable as in production, and a fresh database for each run. */
import { Effect, type Scope } from "effect"
import pg from "pg"
import { startPostgres } from "../../scripts/lib/postgres.mjs"

let starting: ReturnType<typeof startPostgres> | undefined
let databases = 0

/** The URL of an empty database. The server starts with the first call and ends with this process. */
export const freshDatabase: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    starting ??= startPostgres({ durable: true })
    const { url } = await starting
    const name = `bench_${process.pid}_${databases++}`
    await run(url, `CREATE DATABASE ${name} TEMPLATE template0`)
    return Object.assign(new URL(url), { pathname: `/${name}` }).href
  }),
  (url) =>
    Effect.promise(async () =>
      run((await starting!).url, `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
    )
)

const run = async (url: string, statement: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
