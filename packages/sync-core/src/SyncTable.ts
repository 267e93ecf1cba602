/** A table whose rows are synced. */

export interface SyncTable {
  /** Schema-qualified, such as `public.todos`. */
  readonly name: string
  /** SQL expression over the row's own columns that gives its audience, such as `'list:' || list_id`. */
  readonly audience: string
}

/**
 * Declares a synced table.
 *
 * @param name `todos`, or `app.todos` outside of the schema `public`
 * @param options.audience SQL expression over the row's own columns: who hears of the row. Make it at least as
 *   narrow as the row-level security of the table, for keys of deleted rows travel by audience alone.
 */
export const make = (name: string, options: { readonly audience: string }): SyncTable => ({
  name: name.includes(".") ? name : `public.${name}`,
  audience: options.audience
})
