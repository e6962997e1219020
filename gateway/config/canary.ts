// How the canaries go: known test messages that every engine has to judge rightly.
import { z } from 'zod'

export const canary = z.strictObject({
  everySeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(300)
    .describe('Seconds between two looks; 0 sends none, and trusts every engine.'),
  gtube: z
    .boolean()
    .default(true)
    .describe('Whether rspamd and SpamAssassin must know GTUBE: false where that is switched off.'),
})
