// A message that no asking again will make scannable (encrypted, say): the matrix's `limit` entry decides.
import type { Policy } from '../policy.ts'
import { decideGap, type Gap, gapsOf } from './matrix.ts'

export const unscannable: Policy = {
  name: 'unscannable',
  decide(reports, _envelope, _recipient, settings) {
    const [strictest] = gapsOf(reports, 'unscannable', settings)
    return strictest && decideGap(settled(strictest), 'unscannable', 'Message cannot be scanned')
  },
}

/** Trying again would only keep it with its sender for days, and end the same: somebody has to look at it. */
const settled = (gap: Gap): Gap =>
  gap.action === 'tempfail' || gap.action === 'hold' ? { ...gap, action: 'quarantine' } : gap
