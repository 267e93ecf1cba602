/** What can go wrong in a simulation. */

export const faultNames = [
  /** Requests and answers take up to a minute. */
  "latency",
  /** Requests are lost. */
  "loss",
  /** Requests arrive twice, the second time possibly much later. */
  "duplication",
  /** Answers are lost after the server has committed. */
  "lost-response",
  /** A client reaches no server for a while, and is not told. */
  "partition",
  /** A device is offline for hours or days. */
  "offline",
  /** A client's process ends at any statement; what was committed stays. */
  "client-crash",
  /** A server process ends between any two statements. */
  "server-crash",
  /** Several server processes on one database, each with a clock of its own. */
  "servers",
  /** Devices' clocks are wrong, and jump in both directions. */
  "clock",
  /** Users are granted and revoked memberships. */
  "membership",
  /** Writes on the server that are no actions. */
  "external",
  /** Actions that throw on the server only. */
  "throwing",
  /** Clients on an older version of the application, which lacks an action, or on a newer one than the server. */
  "versions",
  /** Forged and malformed requests. */
  "forgery",
  /** A reorder window so short that late arrivals are clamped. */
  "window",
  /** Servers compact the log and forget tombstones, sooner than a server would: also what clients still need. */
  "compaction",
  /** Answers hold so few rows that they come in chunks. */
  "chunks",
  /** Clients follow commits live, over a path that loses, delays, doubles and reorders what it tells. */
  "live"
] as const

export type FaultName = (typeof faultNames)[number]

export type Faults = ReadonlySet<FaultName>

/** `all`, `none`, or a list of names. */
export const faultsOf = (faults: "all" | "none" | Iterable<FaultName> = "all"): Faults =>
  faults === "all" ? new Set(faultNames) : faults === "none" ? new Set() : new Set(faults)
