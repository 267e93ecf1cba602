#!/usr/bin/env node
import { Runtime } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Effect } from "effect"
import * as Engine from "./cli/engine.ts"
import { exitCodeOf, main } from "./cli/main.ts"

const stop = new AbortController()

// A signal lets the run that goes on come to its end, so that there is something to report. SIGTERM may come many times;
// a second SIGINT is meant.
const runMain = Runtime.makeRunMain(({ fiber }) => {
  process.on("SIGTERM", () => stop.abort())
  process.on("SIGINT", () => (stop.signal.aborted ? process.exit(130) : stop.abort()))
  fiber.addObserver((exit) => process.exit(exitCodeOf(exit)))
})

main(process.argv).pipe(
  Effect.provide(Engine.layer(stop.signal)),
  Effect.provide(NodeContext.layer),
  runMain({ disableErrorReporting: true, disablePrettyLogger: true })
)
