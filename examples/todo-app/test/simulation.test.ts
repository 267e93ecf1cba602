/** The app in simulation: three devices, a server, and everything that goes wrong between them. */
import { simulationTests } from "@synchrotron/sync-testing/vitest"
import scenario from "../scenario.ts"

simulationTests(scenario, { seeds: 3, clients: 3, actions: 20, determinism: { actions: 30 } })
