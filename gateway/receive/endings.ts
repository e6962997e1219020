// Tells of the end of what many messages wait under: one listener for each signal, however many come and go under it.

/** Calls `ended` when the signal aborts, until the returned function is called; never for one that has aborted before. */
export type OnEnd = (signal: AbortSignal, ended: () => void) => () => void

/** For signals that outlive what waits: to add and remove a listener of an AbortSignal for each message is dear. */
export function createEndings(): OnEnd {
  const waiting = new WeakMap<AbortSignal, Set<() => void>>()
  const begin = (signal: AbortSignal) => {
    const all = new Set<() => void>()
    waiting.set(signal, all)
    const tell = () => {
      for (const ended of all) ended()
    }
    signal.addEventListener('abort', tell, { once: true })
    return all
  }
  return (signal, ended) => {
    const all = waiting.get(signal) ?? begin(signal)
    all.add(ended)
    return () => void all.delete(ended)
  }
}
