// The time one scan may take, and what its end says of the engine.

/** To be disposed of when the scan is over: nothing of it is left behind then, and its signal stays as it is. */
export type Deadline = Disposable & { signal: AbortSignal; remainingMs(): number }

/**
 * Ends after `deadlineMs`, or with the first of `outer`. One timer and one controller: what `AbortSignal.any` and
 * `AbortSignal.timeout` keep track of for signals that nobody disposes of costs ten times as much.
 */
export function deadlineOf(deadlineMs: number, ...outer: AbortSignal[]): Deadline {
  const end = Date.now() + deadlineMs
  const clock = new AbortController()
  const passOn = (): void => clock.abort(outer.find(each => each.aborted)?.reason)
  const timer = setTimeout(
    () => clock.abort(new DOMException('deadline passed', 'TimeoutError')),
    deadlineMs,
  )
  for (const each of outer) each.addEventListener('abort', passOn)
  if (outer.some(each => each.aborted)) passOn()
  return {
    signal: clock.signal,
    remainingMs: () => Math.max(1, end - Date.now()),
    [Symbol.dispose]() {
      clearTimeout(timer)
      for (const each of outer) each.removeEventListener('abort', passOn)
    },
  }
}

/** Nobody wants the verdict any more; that says nothing of the engine, as a passed deadline would. */
export const calledOff = (signal: AbortSignal): boolean =>
  signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError'
