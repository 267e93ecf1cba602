/**
 * Queries that run again when what they read has changed. The engine's own commits drive them: a commit names
 * its tables, a query's tables are known from its plan, and only those that meet run again, all of one burst on
 * one state of the database. What they give is told when all have run, in one turn of the event loop, so that views which
 * stand side by side never contradict each other.
 *
 * A query with the same SQL and parameters runs once, however many watch it. Rows that did not change keep their
 * identity, and when none did, nobody is told. Time alone changes nothing: a query that calls `now()` is as old as
 * the last commit that touched its tables; call `refresh`.
 */
import type { SqlError } from "@effect/sql"
import { Cause, type ParseResult } from "effect"
import { ClientClosed, type DatabaseNotOpen, type ReadOnlyQuery } from "./Errors.ts"
import * as Limits from "./Limits.ts"
import * as Observable from "./Observable.ts"
import * as QueryTables from "./QueryTables.ts"
import { textOf } from "./share.ts"

/** `ParseError`: a row does not fit the schema that the caller gave. */
export type LiveQueryError =
  | ReadOnlyQuery
  | SqlError.SqlError
  | ParseResult.ParseError
  | ClientClosed
  | DatabaseNotOpen

/** What a live query shows. In the state `error` the rows are the last ones that could be read. */
export type LiveQueryState<Row> =
  | { readonly state: "loading"; readonly rows: ReadonlyArray<Row>; readonly error: null }
  | { readonly state: "rows"; readonly rows: ReadonlyArray<Row>; readonly error: null }
  | { readonly state: "error"; readonly rows: ReadonlyArray<Row>; readonly error: LiveQueryError }

// biome-ignore lint/suspicious/noExplicitAny: rows have the type that the caller declares
type AnyRow = any

/** A query among the live ones. It runs while somebody watches it. */
export interface LiveQuery<Row = AnyRow> extends Observable.Observable<LiveQueryState<Row>> {
  /** Keeps the query running until the returned function is called. `subscribe` does so too. */
  readonly watch: () => () => void
  /** Runs the query again, whatever changed; done when its rows are up to date. */
  readonly refresh: () => Promise<void>
}

/** A live query and those who watch it. */
export interface Entry {
  readonly key: string
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  readonly store: Observable.Store<LiveQueryState<AnyRow>>
  /** Null until the first run. */
  tables: QueryTables.QueryTables | null
  stale: boolean
  watchers: number
  refreshed: Array<() => void>
  linger: ReturnType<typeof setTimeout> | undefined
}

/** A query that somebody else is to run. */
export interface Due extends Pick<Entry, "key" | "sql" | "params"> {
  /** Even if nothing that it reads has changed. */
  readonly refresh: boolean
}

/** Runs the queries of another process. */
export interface Remote {
  readonly run: (due: ReadonlyArray<Due>) => void
  /** Nobody watches the query any more. */
  readonly end: (key: string) => void
}

/** All live queries of a client. They can be opened before the database is: then they are loading. */
export class LiveQueries {
  private readonly entries = new Map<string, Entry>()
  private wake: () => void = () => {}
  private remote: Remote | undefined
  /** Whether queries of one state of the database are running; `onRound` is called when all of them have run. */
  running = false
  onRound: () => void = () => {}
  private closedBy: LiveQueryError | undefined
  private closed: LiveQueryState<never> | undefined

  open(sql: string, params: ReadonlyArray<unknown> = []): LiveQuery {
    const key = textOf([sql, params])
    const current = () => this.entries.get(key)
    const watch = () => this.watch(key, sql, params)
    return {
      get: () =>
        current()?.store.get() ??
        (this.closedBy === undefined ? loadingState : this.closedState(this.closedBy)),
      subscribe: (listener) => {
        const unwatch = watch()
        const unsubscribe = current()?.store.subscribe(listener)
        return () => {
          unsubscribe?.()
          unwatch()
        }
      },
      watch,
      refresh: () => {
        const unwatch = watch()
        return new Promise<void>((resolve) => {
          const entry = current()
          if (entry === undefined || this.closedBy !== undefined) return resolve()
          entry.refreshed.push(resolve)
          entry.stale = true
          this.wake()
        }).finally(unwatch)
      }
    }
  }

  /** Tells what a commit changed. */
  changed(tables: ReadonlySet<string>): void {
    for (const entry of this.entries.values()) {
      if (entry.tables === null || QueryTables.touches(entry.tables, tables)) entry.stale = true
    }
    this.wake()
  }

  /** Calls `wake` when queries may be due, and now. */
  drive(wake: () => void): void {
    this.wake = wake
    wake()
  }

  /**
   * Queries whose rows may have changed; those that nobody watches any more among them: who comes back finds what all
   * others show.
   */
  due(): ReadonlyArray<Entry> {
    return [...this.entries.values()].filter(({ stale }) => stale)
  }

  /** Lets `remote` run the queries, which tells by {@link show} what they give. */
  delegate(remote: Remote): void {
    this.remote = remote
    let awake = false
    const ask = () => {
      awake = false
      if (this.closedBy !== undefined) return
      const due = this.due()
      for (const entry of due) entry.stale = false
      if (due.length > 0)
        remote.run(
          due.map(({ key, params, refreshed, sql }) => ({ key, sql, params, refresh: refreshed.length > 0 }))
        )
    }
    // All that is opened in one turn is asked for at once, and run on one state of the database.
    this.drive(() => {
      if (awake) return
      awake = true
      queueMicrotask(ask)
    })
  }

  /** What a query gives now. `rows` makes the new rows of those that show. */
  show(
    key: string,
    next:
      | { readonly rows: (before: ReadonlyArray<AnyRow>) => ReadonlyArray<AnyRow> }
      | { readonly error: LiveQueryError }
  ): void {
    const entry = this.entries.get(key)
    if (entry === undefined) return
    if ("error" in next) fail(entry, next.error)
    else show(entry, next.rows)
  }

  /** Runs all queries again; done when all of them show what is there. */
  async refresh(): Promise<void> {
    const refreshed = [...this.entries.values()].map(
      (entry) => new Promise<void>((resolve) => entry.refreshed.push(resolve))
    )
    if (this.closedBy === undefined && refreshed.length > 0) {
      this.restart()
      await Promise.all(refreshed)
    }
  }

  /** Another process runs the queries from now on: all of them are due. */
  restart(): void {
    for (const entry of this.entries.values()) entry.stale = true
    this.wake()
  }

  private watch(key: string, sql: string, params: ReadonlyArray<unknown>): () => void {
    if (this.closedBy !== undefined) return () => {}
    let entry = this.entries.get(key)
    if (entry === undefined) {
      const store = Observable.make<LiveQueryState<AnyRow>>(loadingState)
      entry = {
        key,
        sql,
        params,
        store,
        tables: null,
        stale: true,
        watchers: 0,
        refreshed: [],
        linger: undefined
      }
      this.entries.set(key, entry)
    }
    const watched = entry
    watched.watchers++
    clearTimeout(watched.linger)
    if (watched.stale) this.wake()
    let released = false
    return () => {
      if (released) return
      released = true
      watched.watchers--
      if (watched.watchers === 0) this.linger(watched)
    }
  }

  private linger(entry: Entry): void {
    if (this.closedBy !== undefined) return
    entry.linger = setTimeout(() => {
      this.entries.delete(entry.key)
      this.remote?.end(entry.key)
    }, Limits.liveQueryLingerMs)
    // In Node a timer keeps the process alive; this one need not.
    if (typeof entry.linger === "object") (entry.linger as { unref?: () => void }).unref?.()
  }

  /** Ends all queries: each shows why, with its last rows. The first call counts. */
  close(error: LiveQueryError = new ClientClosed()): void {
    if (this.closedBy !== undefined) return
    this.closedBy = error
    for (const entry of this.entries.values()) {
      clearTimeout(entry.linger)
      fail(entry, error)
    }
  }

  /** The same object each time, as React asks of a store. */
  private closedState(error: LiveQueryError): LiveQueryState<never> {
    this.closed ??= { state: "error", rows: noRows, error }
    return this.closed
  }
}

const noRows: ReadonlyArray<never> = []
/** @internal What shows until a query has run. */
export const loadingState: LiveQueryState<never> = { state: "loading", rows: noRows, error: null }

/** Shows an entry's new rows. */
export const show = (entry: Entry, next: (before: ReadonlyArray<AnyRow>) => ReadonlyArray<AnyRow>): void => {
  const before = entry.store.get()
  const rows = next(before.rows)
  if (before.state !== "rows" || rows !== before.rows) entry.store.set({ state: "rows", rows, error: null })
  refreshed(entry)
}

/** Shows why an entry has no new rows. */
export const fail = (entry: Entry, error: LiveQueryError): void => {
  entry.store.set({ state: "error", rows: entry.store.get().rows, error: Cause.originalError(error) })
  refreshed(entry)
}

/** Tells those who asked for a refresh that it is done. */
const refreshed = (entry: Entry): void => {
  for (const resolve of entry.refreshed.splice(0)) resolve()
}
