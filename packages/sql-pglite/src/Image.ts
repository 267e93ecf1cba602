/** Prepared data directories: a new store is loaded from one in a fraction of the time that initdb takes. */

import type { SqlError } from "@effect/sql/SqlError"
import { PGlite, type PGliteOptions } from "@electric-sql/pglite"
import * as Effect from "effect/Effect"
import { clientError, sqlError } from "./Errors.ts"

export interface ImageOptions {
  /** `none` loads fastest, `gzip` is about a sixth of the size; `none` by default. */
  readonly compression?: "none" | "gzip" | undefined
  /** SQL to run in the database before it is dumped: extensions, a schema. */
  readonly setup?: string | undefined
  readonly pgliteOptions?:
    | Pick<PGliteOptions, "fsBundle" | "pgliteWasmModule" | "initdbWasmModule" | "extensions">
    | undefined
}

/**
 * Makes a slim data directory for the `image` option: write-ahead log segments of 1 MB instead of 16, and no
 * template databases (`CREATE DATABASE` then needs `TEMPLATE postgres`).
 */
export const prepareImage = (options: ImageOptions = {}): Effect.Effect<File | Blob, SqlError> =>
  Effect.tryPromise({
    try: async () => {
      const db = await PGlite.create({ ...options.pgliteOptions, initDbStartParams: ["--wal-segsize=1"] })
      try {
        if (options.setup !== undefined) await db.exec(options.setup)
        await db.exec("UPDATE pg_database SET datistemplate = false WHERE datname LIKE 'template_'")
        await db.exec("DROP DATABASE template0")
        await db.exec("DROP DATABASE template1")
        await db.exec("CHECKPOINT")
        return await db.dumpDataDir(options.compression ?? "none")
      } finally {
        await db.close()
      }
    },
    catch: (cause) => sqlError(clientError("58000", `The image cannot be prepared: ${String(cause)}`, cause))
  })
