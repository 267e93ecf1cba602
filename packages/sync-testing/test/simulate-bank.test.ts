import bank from "../src/scenarios/bank.ts"
import { simulated } from "./simulated.ts"

// Nobody is hidden a row in the bank.
simulated(bank, ["I6"])
