// How the canaries go: known test messages that every engine has to judge rightly.
import { z } from 'zod'

export const canary = z.strictObject({
  everySeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(300)
    .describe(
      'Seconds between two looks; 0 sends none, and trusts every engine. A clamd without EICAR in its ' +
        'signatures or with `ScanArchive no`, or an ICAP service or command that does not look into zip ' +
        'archives, counts as `down`. A command runs six times or more for each look and process: raise this ' +
        'where that is dear.',
    ),
  gtube: z
    .boolean()
    .default(true)
    .describe(
      'Whether rspamd and SpamAssassin must know GTUBE, or count as `down`: false where that is switched off.',
    ),
})
