// Writes down what became of recipients, before the claim is given up.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogLine } from '../spool/outcome-log.ts'
import type { Run } from './relay.ts'

/** What could not be written is tried again after this. */
const WRITE_AGAIN_MS = 1000

/**
 * Appends to the outcome log, as often as it takes (disk full, say): whoever got the claim before it is written down
 * would do the same once more.
 */
export async function writeDown(
  { options, envelope, claim }: Run,
  lines: readonly LogLine[],
): Promise<void> {
  const told = { name: 'outcome-not-written' }
  for (let warned = false; ; warned = true) {
    try {
      await options.spool.append(envelope.id, lines)
      if (warned) options.events.warned({ ...told, text: envelope.id, over: true })
      return
    } catch (error) {
      // What can't be asked is not given up either.
      if (!(await claim.stillHeld().catch(() => true))) throw error
      const text = `${envelope.id}: ${(error as Error).message}`
      if (!warned) options.events.warned({ ...told, text })
    }
    await sleep(WRITE_AGAIN_MS)
  }
}
