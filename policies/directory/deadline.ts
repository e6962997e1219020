// Waits for something, but not longer than it may take.

/** What `promise` resolves with, or `late` once `timeoutMs` have passed. The timer is cleared either way. */
export async function within<T, Late>(
  promise: Promise<T>,
  timeoutMs: number,
  late: Late,
): Promise<T | Late> {
  const { promise: tooLate, resolve } = Promise.withResolvers<Late>()
  const timer = setTimeout(() => resolve(late), timeoutMs)
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
