/**
 * Makes a failing script small: delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input", IEEE TSE 2002) over its steps, and simplifications of everything else that it says.
 */
import type { Device, Script, Step } from "./Script.ts"

export interface ShrinkOptions {
  /** When to stop with the best so far. A run that has begun is waited for. */
  readonly budgetMs: number
  readonly signal?: AbortSignal | undefined
  /** Called after each run: how many there were, and the steps of the smallest script that fails. */
  readonly onProgress?: ((progress: { readonly tried: number; readonly steps: number }) => void) | undefined
}

/**
 * A script that still fails, and of which no part can be left out or simplified without `fails` becoming false, unless
 * the budget ended before.
 *
 * @param script a script for which `fails` is true; this is not verified again
 * @param fails whether a script fails in the same way: the same check, not just any
 */
export const shrink = async (
  script: Script,
  fails: (script: Script) => Promise<boolean>,
  { budgetMs, onProgress, signal }: ShrinkOptions
): Promise<Script> => {
  const deadline = performance.now() + budgetMs
  const tried = new Set<string>([JSON.stringify(script)])
  let best = script

  /** Takes the candidate for the best when it fails. What was tried once is not tried again. */
  const accept = async (candidate: Script): Promise<boolean> => {
    const text = JSON.stringify(candidate)
    if (tried.has(text) || performance.now() >= deadline || signal?.aborted) return false
    tried.add(text)
    const accepted = await fails(candidate)
    if (accepted) best = candidate
    onProgress?.({ tried: tried.size - 1, steps: best.steps.length })
    return accepted
  }

  // Each round can make room for the one before it. Every candidate is smaller than the best, so this ends; and a
  // round that changes nothing has shown that nothing can be left out.
  for (let before: Script | undefined; before !== best; ) {
    before = best
    for (const kind of new Set(best.steps.map((step) => step.kind))) {
      await accept({ ...best, steps: best.steps.filter((step) => step.kind !== kind) })
    }
    for (let client = best.devices.length - 1; client >= 0; client--) {
      if (best.devices.length > 1) await accept(withoutDevice(best, client))
    }
    await withoutSteps(() => best, accept)
    for (const simplify of simplifications(best)) await firstAccepted(simplify(best), accept)
    for (let index = 0; index < best.steps.length; index++) {
      await firstAccepted(simplerSteps(best, index), accept)
    }
  }
  return best
}

type Accept = (candidate: Script) => Promise<boolean>

/** Candidates are in order, the simplest first. */
const firstAccepted = async (candidates: ReadonlyArray<Script>, accept: Accept): Promise<void> => {
  for (const candidate of candidates) if (await accept(candidate)) return
}

/**
 * Leaves out chunks of steps, from halves down to single steps, and ends when no single step can be left out. From the
 * end, since what is after the failure goes first.
 */
const withoutSteps = async (best: () => Script, accept: Accept): Promise<void> => {
  let size = best().steps.length
  while (size > 0) {
    let removed = false
    for (let end = best().steps.length; end > 0; end -= size) {
      const { steps } = best()
      const rest = [...steps.slice(0, Math.max(0, end - size)), ...steps.slice(end)]
      if (await accept({ ...best(), steps: rest })) removed = true
    }
    if (size === 1 && !removed) return
    size = Math.max(1, Math.floor(size / 2))
  }
}

const withoutDevice = (script: Script, client: number): Script => ({
  ...script,
  devices: script.devices.filter((_, index) => index !== client),
  steps: script.steps.flatMap((step): ReadonlyArray<Step> => {
    if (!("client" in step)) return [step]
    if (step.client === client) return []
    return [step.client > client ? { ...step, client: step.client - 1 } : step]
  })
})

/** What can be simplified besides steps: each gives its candidates for the script that is the best then. */
const simplifications = (script: Script): ReadonlyArray<(script: Script) => ReadonlyArray<Script>> => [
  ...(["loss", "duplication", "lostResponse", "slow", "latencyMsMax"] as const).map(
    (field) =>
      ({ network, ...rest }: Script) =>
        network[field] === 0 ? [] : [{ ...rest, network: { ...network, [field]: 0 } }]
  ),
  withOneServer,
  (script) => changed(script, { serverSkewsMs: script.serverSkewsMs.map(() => 0) }),
  (script) => changed(script, { reorderWindowMs: null }),
  (script) => changed(script, { reorderWindowRecords: null }),
  withoutCompaction,
  (script) => changed(script, { chunkRowsMax: null }),
  (script) => changed(script, { tickMs: 1 }),
  ...script.devices.flatMap((_, index) => [
    (script: Script) => withDevice(script, index, { skewMs: 0 }),
    (script: Script) => withDevice(script, index, { lacks: null }),
    (script: Script) => (script.feed === undefined ? [] : withDevice(script, index, { follows: false }))
  ]),
  withShortPauses
]

/** Without it, or in batches of many rows. */
const withoutCompaction = ({ compaction, ...rest }: Script): ReadonlyArray<Script> =>
  compaction === undefined ? [] : [rest, { ...rest, compaction: { ...compaction, batchRows: 1000 } }]

const changed = (script: Script, change: Partial<Script>): ReadonlyArray<Script> => [{ ...script, ...change }]

const withDevice = (script: Script, index: number, change: Partial<Device>): ReadonlyArray<Script> =>
  changed(script, {
    devices: script.devices.map((device, at) => (at === index ? { ...device, ...change } : device))
  })

const withOneServer = (script: Script): ReadonlyArray<Script> =>
  script.serverSkewsMs.length === 1
    ? []
    : script.serverSkewsMs.map((skewMs) => ({
        ...script,
        serverSkewsMs: [skewMs],
        steps: script.steps.map((step) => ("server" in step ? { ...step, server: 0 } : step))
      }))

const pausesMs = [0, 100, 1000, 60_000]

/** No pause between two steps longer than this. */
const withShortPauses = (script: Script): ReadonlyArray<Script> =>
  pausesMs.map((pauseMs) => {
    let before = 0
    let at = 0
    const steps = script.steps.map((step) => {
      at += Math.min(step.at - before, pauseMs)
      before = step.at
      return { ...step, at }
    })
    return { ...script, steps }
  })

const numbers = ["forMs", "downMs", "jumpMs", "after"] as const

/** One step with smaller numbers, or earlier, with all that come after it. */
const simplerSteps = (script: Script, index: number): ReadonlyArray<Script> => {
  const step = script.steps[index]!
  const replaced = (simpler: Step) => ({
    ...script,
    steps: script.steps.map((other, at) => (at === index ? simpler : other))
  })
  const pauseMs = step.at - (script.steps[index - 1]?.at ?? 0)
  const earlier = [0, 100, 1000, 10_000]
    .filter((ms) => ms < pauseMs)
    .map((ms) => ({
      ...script,
      steps: script.steps.map((other, at) => (at < index ? other : { ...other, at: other.at - pauseMs + ms }))
    }))
  const smaller = numbers.flatMap((field) => {
    const value = (step as Partial<Record<typeof field, number>>)[field]
    if (value === undefined) return []
    return [1, 10, 100, 1000, 10_000, 60_000, 3_600_000]
      .filter((candidate) => candidate < Math.abs(value))
      .map((candidate) => replaced({ ...step, [field]: Math.sign(value) * candidate } as Step))
  })
  return [...earlier, ...smaller]
}
