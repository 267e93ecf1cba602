/** How the page does while somebody types: what he notices, and how much is drawn. */
import { shown } from "./views.tsx"

export interface Watched {
  /** From each input event to the end of the frame that shows it. */
  readonly inputMs: ReadonlyArray<number>
  /** Tasks of the main thread that took more than 50 ms, as the browser counts them. */
  readonly longTasksMs: ReadonlyArray<number>
  readonly renders: number
}

/** Watches until the returned function is called. */
export const watchPage = (): (() => Watched) => {
  const inputMs: Array<number> = []
  const longTasksMs: Array<number> = []
  const rendersBefore = shown.renders
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasksMs.push(duration)
  })
  observer.observe({ type: "longtask" })
  shown.onInput = ({ timeStamp }) =>
    requestAnimationFrame(() => {
      const channel = new MessageChannel()
      channel.port1.onmessage = () => inputMs.push(performance.now() - timeStamp)
      channel.port2.postMessage(null)
    })
  return () => {
    observer.disconnect()
    shown.onInput = () => {}
    return { inputMs, longTasksMs, renders: shown.renders - rendersBefore }
  }
}
