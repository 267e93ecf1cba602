import { PgliteDead } from "@synchrotron/sql-pglite"

/** Whether an error, or what caused it, says that the database is dead: only one that is opened anew can tell what was done. */
export const isOfDead = (error: unknown): boolean => {
  let current = error
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    if (current instanceof PgliteDead) return true
    current = current.cause
  }
  return false
}
