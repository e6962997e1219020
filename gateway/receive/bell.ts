// Wakes one waiter: by a ring, or by the clock.

export type Bell = {
  ring(): void
  /** Resolves at the next ring, at once if it rang since the last wait, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<void>
}

export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      if (wake) wake()
      else rung = true
    },
    wait(timeoutMs) {
      if (rung) {
        rung = false
        return Promise.resolve()
      }
      return new Promise(resolve => {
        const timer = setTimeout(() => wake?.(), Math.max(0, timeoutMs))
        wake = () => {
          wake = undefined
          clearTimeout(timer)
          resolve()
        }
      })
    },
  }
}
