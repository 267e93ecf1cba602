import bookings from "../src/scenarios/bookings.ts"
import { simulated } from "./simulated.ts"

simulated(bookings)
