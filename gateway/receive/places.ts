// Counts the messages a receive process holds at once: what comes beyond is refused while that costs nothing.

/** Who had to refuse somebody this long ago still counts as busy: whoever looks looks seldom. */
const BUSY_MS = 2000

export type Places = {
  /** Whether the next message would find no place. */
  full(): boolean
  /** A place for one message until disposed of; undefined where there is none. */
  take(): Disposable | undefined
  /** Whether somebody found no place just now. */
  busy(): boolean
}

export function createPlaces(most: () => number): Places {
  let taken = 0
  let fullAt = Number.NEGATIVE_INFINITY
  const full = () => {
    if (taken < most()) return false
    fullAt = performance.now()
    return true
  }
  return {
    full,
    take() {
      if (full()) return undefined
      taken++
      return { [Symbol.dispose]: () => void taken-- }
    },
    busy: () => performance.now() - fullAt < BUSY_MS,
  }
}
