/** Virtual time for people: milliseconds since the beginning, in the two units that matter. */

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** `250 ms`, `1.2 s`, `3 min 5 s`, `6 h 2 min`, `2 d 3 h`. */
export const short = (ms: number): string => {
  if (ms < 0) return `−${short(-ms)}`
  if (ms < second) return `${Math.round(ms)} ms`
  if (ms < minute) return `${Number((ms / second).toFixed(1))} s`
  if (ms < hour) return pair(ms, { unit: minute, name: "min" }, { unit: second, name: "s" })
  if (ms < day) return pair(ms, { unit: hour, name: "h" }, { unit: minute, name: "min" })
  return pair(ms, { unit: day, name: "d" }, { unit: hour, name: "h" })
}

/** With its sign, as for a clock that is ahead or behind. */
export const signed = (ms: number): string => `${ms > 0 ? "+" : ""}${short(ms)}`

interface Unit {
  readonly unit: number
  readonly name: string
}

const pair = (ms: number, large: Unit, small: Unit): string => {
  const rest = Math.floor((ms % large.unit) / small.unit)
  const whole = `${Math.floor(ms / large.unit)} ${large.name}`
  return rest === 0 ? whole : `${whole} ${rest} ${small.name}`
}

/** `2 d 03:04:05.678`, without the days when there are none. */
export const exact = (ms: number): string => {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0")
  const sign = ms < 0 ? "−" : ""
  const left = Math.abs(Math.round(ms))
  const days = Math.floor(left / day)
  const time = `${two((left % day) / hour)}:${two((left % hour) / minute)}:${two((left % minute) / second)}`
  return `${sign}${days > 0 ? `${days} d ` : ""}${time}.${String(left % second).padStart(3, "0")}`
}
