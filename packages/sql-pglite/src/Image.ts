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

/** An image as it is loaded: a plain tarball, and how many files are in it. */
export const unpacked = async (image: Blob): Promise<{ readonly tarball: Blob; readonly files: number }> => {
  const [first, second] = new Uint8Array(await image.slice(0, 2).arrayBuffer())
  const isGzip = first === 0x1f && second === 0x8b
  const bytes = isGzip
    ? await new Response(image.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
    : await image.arrayBuffer()
  return { tarball: isGzip ? new Blob([bytes]) : image, files: filesIn(new Uint8Array(bytes)) }
}

/** Of a tar archive (POSIX ustar): blocks of 512 bytes; each entry's first has its size in octal at 124 and its type at 156. */
const filesIn = (tar: Uint8Array): number => {
  const blockBytes = 512
  const text = new TextDecoder()
  let files = 0
  for (let at = 0; at + blockBytes <= tar.length && tar[at] !== 0; ) {
    const type = tar[at + 156]
    if (type === 0 || type === 48) files++
    const sizeBytes = Number.parseInt(text.decode(tar.subarray(at + 124, at + 136)), 8) || 0
    at += blockBytes * (1 + Math.ceil(sizeBytes / blockBytes))
  }
  return files
}
