// A message that a scanner could not look at now: the failure matrix decides, the strictest entry first.
import type { Policy } from '../policy.ts'
import { decideGap, gapsOf } from './matrix.ts'

export const unscanned: Policy = {
  name: 'unscanned',
  decide(reports, _envelope, _recipient, settings) {
    const [strictest] = gapsOf(reports, 'failed', settings)
    return strictest && decideGap(strictest, 'unscanned', 'Message could not be scanned')
  },
}
