export { type Canary, canaries } from "./canaries.ts"
export type { InvariantName, Verdict } from "./check/Checker.ts"
export {
  checkDeterminism,
  type DeterminismOptions,
  type DeterminismReport,
  type Finding
} from "./determinism/checkDeterminism.ts"
export type { Difference } from "./determinism/Difference.ts"
export { type PerturbationName, perturbationNames } from "./determinism/Perturbation.ts"
export { type FaultName, faultNames, faultsOf } from "./Faults.ts"
export { plan } from "./plan.ts"
export type { Random } from "./Random.ts"
export type { Failure, Report } from "./Report.ts"
export { type Arena, openArena } from "./run/Arena.ts"
export { type Actor, defineScenario, type Invariant, type Query, type Scenario } from "./Scenario.ts"
export { Script, type Step } from "./Script.ts"
export { type SimulateOptions, simulate } from "./simulate.ts"
export type { Event } from "./Trace.ts"
export { timelineHtml } from "./timeline/Timeline.ts"
