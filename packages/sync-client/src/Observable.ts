/** A value that changes: read it at any time, hear of every change. What React calls an external store. */

export interface Observable<A> {
  /** The value now. The same reference until it changes. */
  readonly get: () => A
  /** Calls `listener` after each change, not now; returns the function that ends it. */
  readonly subscribe: (listener: (value: A) => void) => () => void
}

export interface Store<A> extends Observable<A> {
  /** Sets the value; nobody is told when it is equal to the one before. */
  readonly set: (value: A) => void
}

/** A store whose values are told apart by `same`. A listener that throws does not keep the others from hearing. */
export const make = <A>(initial: A, same: (a: A, b: A) => boolean = Object.is): Store<A> => {
  const listeners = new Set<(value: A) => void>()
  let current = initial
  return {
    get: () => current,
    subscribe: (listener) => {
      // Wrapped, so that one function may subscribe twice.
      const entry = (value: A) => listener(value)
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    set: (value) => {
      if (same(current, value)) return
      current = value
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          reportError(error)
        }
      }
    }
  }
}

const reportError = (error: unknown): void => {
  // As an event listener's error: seen by the page's error handling, without stopping the engine.
  queueMicrotask(() => {
    throw error
  })
}
