// A message that a scanner could not look at now: the failure matrix decides, the strictest entry first.
import type { Policy } from '../policy.ts'
import { decideGap, failedGaps } from './matrix.ts'

export const unscanned: Policy = {
  name: 'unscanned',
  decide(reports, _envelope, _recipient, settings) {
    const [strictest] = failedGaps(reports, settings)
    return strictest && decideGap(strictest, 'unscanned', 'Message could not be scanned')
  },
}
