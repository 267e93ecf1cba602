export * as Connectivity from "./Connectivity.ts"
export { createSyncClient } from "./createSyncClient.ts"
export * from "./Errors.ts"
export type { BatchResult, BatchResults, ExecuteError, Execution, Results } from "./Execute.ts"
export * as Limits from "./Limits.ts"
export type { Listener, LivePath } from "./LivePath.ts"
export type { LiveQueryError, LiveQueryState } from "./LiveQuery.ts"
export * as LiveShape from "./LiveShape.ts"
export type { Observable } from "./Observable.ts"
export type {
  ExecutionError,
  ExecutionPromise,
  LiveQueryHandle,
  LiveQueryOptions,
  OpeningClient,
  PromiseClient,
  QueryOptions
} from "./PromiseClient.ts"
export * as Session from "./Session.ts"
export * as SessionState from "./SessionState.ts"
export type { Load, Phase, Status, StatusError, Storage } from "./Status.ts"
export * as SyncClient from "./SyncClient.ts"
export type { SyncFailure } from "./SyncFailure.ts"
export { destroyStore } from "./store/destroy.ts"
export { Transport, type TransportError } from "./Transport.ts"
export * as TransportDuplex from "./TransportDuplex.ts"
export * as TransportHttp from "./TransportHttp.ts"
export { createSharedClient, type SharedOptions } from "./tabs/createSharedClient.ts"
