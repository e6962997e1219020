// A message in which any scanner found a virus is refused, whatever else was found or not.
import { reply } from '../../gateway/reply.ts'
import type { Policy } from '../policy.ts'
import { words } from './words.ts'

export const infected: Policy = {
  name: 'infected',
  decide(reports) {
    for (const { scanner, verdict } of reports)
      if (verdict.kind === 'infected')
        return {
          disposition: 'reject',
          policy: 'infected',
          reason: words(`${scanner}: ${verdict.name}`),
          reply: reply(550, '5.7.1', 'Message contains a virus'),
        }
    return undefined
  },
}
