// SIGINT and SIGTERM as a rejection, so that what was started is ended, and what was mounted unmounted.

/** Does the work unless, and until, somebody interrupts; then rejects, and the work is left to fail by itself. */
export type Guard = <T>(work: () => Promise<T>) => Promise<T>

export function createGuard(): Guard {
  const controller = new AbortController()
  const { signal } = controller
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  aborted.catch(() => {})
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => controller.abort(new Error(`${name}: given up`)))
  return async work => {
    signal.throwIfAborted()
    return Promise.race([work(), aborted])
  }
}
