// The time one scan may take, and what its end says of the engine.

export type Deadline = { signal: AbortSignal; remainingMs(): number }

/** Ends after `deadlineMs`, or with the first of `outer`. */
export function deadlineOf(deadlineMs: number, ...outer: AbortSignal[]): Deadline {
  const end = Date.now() + deadlineMs
  return {
    signal: AbortSignal.any([...outer, AbortSignal.timeout(deadlineMs)]),
    remainingMs: () => Math.max(1, end - Date.now()),
  }
}

/** Nobody wants the verdict any more; that says nothing of the engine, as a passed deadline would. */
export const calledOff = (signal: AbortSignal): boolean =>
  signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError'
