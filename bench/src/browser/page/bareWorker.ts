/** The floor: PGlite in a worker, with nothing between. */
import { PGlite } from "@electric-sql/pglite"
import { live } from "@electric-sql/pglite/live"
import { bumpSql, fillSql, insertSql, listSql, rowSql, tableSql } from "../app.ts"
import { image } from "./image.ts"

export type ToBare =
  | { readonly _tag: "Open"; readonly dataDir: string; readonly rows: number; readonly list: number }
  | {
      readonly _tag: "Insert"
      readonly ids: ReadonlyArray<string>
      readonly list: number
      /** One transaction instead of one for each. */
      readonly asOne: boolean
    }
  | { readonly _tag: "Watch"; readonly ids: ReadonlyArray<string> }
  /** `asReplica`: without firing triggers, as the engine puts rows that a sync brings. */
  | { readonly _tag: "Bump"; readonly id: string; readonly asReplica: boolean }

export type FromBare =
  | { readonly _tag: "Answer"; readonly rows: ReadonlyArray<unknown> }
  /** What the live extension told a watcher of the row. */
  | { readonly _tag: "Told"; readonly id: string }

const exists = async (dataDir: string): Promise<boolean> => {
  const [, scheme, name] = /^([a-z-]+):\/\/(.*)$/.exec(dataDir)!
  if (scheme === "idb") return (await indexedDB.databases()).some((one) => one.name === `/pglite/${name}`)
  if (scheme === "memory") return false
  const directory = await navigator.storage.getDirectory()
  return directory.getDirectoryHandle(name!).then(
    () => true,
    () => false
  )
}

const open = async ({ dataDir, list, rows }: Extract<ToBare, { _tag: "Open" }>) => {
  const isNew = !(await exists(dataDir))
  const db = await PGlite.create({
    dataDir,
    extensions: { live },
    ...(isNew ? { loadDataDir: await image() } : {})
  })
  if (isNew) {
    await db.exec(tableSql("items"))
    await db.query(fillSql("items"), [rows])
  }
  await flush(db)
  return { db, rows: (await db.query(listSql, [list])).rows }
}

type Database = Awaited<ReturnType<typeof open>>["db"]

/** A transaction of PGlite does not write its COMMIT to the store by itself. */
const flush = (db: Database) => (db as unknown as { syncToFs(): Promise<void> }).syncToFs()

let database: Promise<Database>
const answer = async (asked: ToBare): Promise<ReadonlyArray<unknown>> => {
  if (asked._tag === "Open") {
    const opening = open(asked)
    database = opening.then(({ db }) => db)
    return (await opening).rows
  }
  const db = await database
  switch (asked._tag) {
    case "Insert":
      for (const ids of asked.asOne ? [asked.ids] : asked.ids.map((id) => [id])) {
        await db.transaction(async (tx) => {
          for (const id of ids) await tx.query(insertSql, [id, asked.list, `A new item, ${id}`])
        })
        await flush(db)
      }
      return (await db.query(listSql, [asked.list])).rows
    case "Watch":
      for (const id of asked.ids)
        await db.live.query(rowSql, [id], () => postMessage({ _tag: "Told", id } satisfies FromBare))
      return []
    case "Bump":
      await db.transaction(async (tx) => {
        if (asked.asReplica) await tx.exec("SET LOCAL session_replication_role = replica")
        await tx.query(bumpSql, [asked.id])
      })
      return []
  }
}

globalThis.onmessage = async ({ data }: MessageEvent<ToBare>) =>
  postMessage({ _tag: "Answer", rows: await answer(data) } satisfies FromBare)
