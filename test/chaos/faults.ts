// What goes wrong in a run, by name, and how it is started at random moments.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Doing, Faults } from './fault.ts'
import { gatewayFaults } from './gateway-faults.ts'
import { serverFaults } from './server-faults.ts'
import { spoolFaults } from './spool-faults.ts'

export const FAULTS: Faults = { ...gatewayFaults, ...serverFaults, ...spoolFaults }

/** Starts a fault at random moments until it has had enough, several at once; resolves when all are mended. */
export async function misbehave(
  doing: Doing,
  names: readonly string[],
  longestPauseMs: number,
  enough: AbortSignal,
): Promise<void> {
  const busy = new Set<string>()
  const running = new Set<Promise<void>>()
  while (!enough.aborted) {
    const pauseMs = doing.random.between(100, longestPauseMs)
    await sleep(pauseMs, undefined, { signal: enough }).catch(() => {})
    if (names.length === 0) continue
    const name = doing.random.pick(names)
    const fault = FAULTS[name]
    if (enough.aborted || !fault || busy.has(fault.of)) continue
    busy.add(fault.of)
    const noted = { at: Date.now(), name }
    doing.record.faults.push(noted)
    const done = fault
      .run(doing)
      .then(text => void Object.assign(noted, text === undefined ? {} : { text }))
      .catch((error: Error) =>
        doing.record.violations.push(`${name} itself failed: ${error.message}`),
      )
      .then(() => {
        busy.delete(fault.of)
        running.delete(done)
      })
    running.add(done)
  }
  await Promise.all(running)
}
