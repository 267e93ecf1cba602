/** Timing and the shape of a result. Preparation and checks of the output are never inside a timed region. */
import { Effect } from "effect"

export interface Measurement {
  readonly name: string
  readonly unit: string
  /** What Synchrotron took. */
  readonly value: number
  /** What the floor took in the same run, in the same unit. */
  readonly baseline: number
  /** `value / baseline`, or `baseline / value` for rates: how many times dearer than the floor. */
  readonly ratio: number
}

/** How much to do: full sizes for figures, tiny ones so that the tests keep the benchmarks working. */
export interface Scale {
  readonly size: (n: number) => number
  readonly runs: number
}

export const fullScale: Scale = { size: (n) => n, runs: 5 }
export const tinyScale: Scale = { size: (n) => Math.max(4, Math.ceil(n / 100)), runs: 1 }

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

/** Milliseconds that an effect takes. */
export const timed = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<readonly [ms: number, A], E, R> =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => [performance.now() - start, value] as const)
  })

export const percentile = (values: ReadonlyArray<number>, share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!

const round = (n: number) => Number(n.toPrecision(4))

export const measurement = (name: string, unit: string, value: number, baseline: number): Measurement => ({
  name,
  unit,
  value: round(value),
  baseline: round(baseline),
  ratio: round(value / baseline)
})

export const ofTimes = (
  name: string,
  unit: string,
  values: ReadonlyArray<number>,
  floors: ReadonlyArray<number>
): Measurement => {
  return measurement(name, unit, median(values), median(floors))
}

/** From milliseconds for `count` things to things per second. */
export const ofRates = (
  name: string,
  unit: string,
  count: number,
  values: ReadonlyArray<number>,
  floors: ReadonlyArray<number>
): Measurement => {
  const [value, baseline] = [median(values), median(floors)]
  return {
    name,
    unit,
    value: round((count / value) * 1000),
    baseline: round((count / baseline) * 1000),
    ratio: round(value / baseline)
  }
}

export const check = (condition: boolean, message: string): void => {
  if (!condition) throw new Error(`The benchmark's output is wrong: ${message}`)
}
