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
      rung = true
      wake?.()
    },
    async wait(timeoutMs) {
      if (!rung) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, Math.max(0, timeoutMs))
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      wake = undefined
      rung = false
    },
  }
}
