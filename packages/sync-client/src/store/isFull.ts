/** Whether an error, or what caused it, says that there is no room. Postgres on such a store knows no number for it. */
export const isFull = (error: unknown): boolean => {
  let current = error
  for (let depth = 0; depth < 5 && current !== null && current !== undefined; depth++) {
    const { cause, message, name } = current as { name?: unknown; message?: unknown; cause?: unknown }
    const text = typeof current === "string" ? current : `${name} ${message}`
    if (/QuotaExceeded|No space left|could not (?:extend|write to) /i.test(text)) return true
    current = cause
  }
  return false
}
