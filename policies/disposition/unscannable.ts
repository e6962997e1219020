// A message that no asking again will make scannable (encrypted, say): the matrix's `limit` entry decides.
import type { Policy } from '../policy.ts'
import { decideGap, gapsOf } from './matrix.ts'

export const unscannable: Policy = {
  name: 'unscannable',
  decide(reports, _envelope, _recipient, settings) {
    const [strictest] = gapsOf(reports, 'unscannable', settings)
    return strictest && decideGap(strictest, 'unscannable', 'Message cannot be scanned')
  },
}
