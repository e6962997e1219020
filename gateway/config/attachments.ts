// Settings of `attachments`: which files are let in, for all domains and for one.
import { z } from 'zod'
import { ATTACHMENT_ACTIONS } from '../../policies/policy.ts'
import { deadlineSetting } from '../../scanners/attachments/attachments.ts'
import { ATTACHMENT_KINDS } from '../../scanners/scanner.ts'

const pattern = z.string().min(1).max(255)
const attachmentRule = z.strictObject({
  names: z
    .array(pattern)
    .min(1)
    .max(1000)
    .optional()
    .describe('File names with `*` and `?`, whatever the case: `*.exe`, `invoice-*.zip`.'),
  types: z
    .array(pattern)
    .min(1)
    .max(1000)
    .optional()
    .describe('Types the message claims: `application/x-msdownload`, `image/*`.'),
  kinds: z
    .array(z.enum(ATTACHMENT_KINDS))
    .min(1)
    .optional()
    .describe('What a file is by its octets, or does by its name, whatever it claims.'),
  action: z
    .enum(ATTACHMENT_ACTIONS)
    .describe(
      '`reject`, `quarantine`, `strip` (a notice in its place, the original in the quarantine), ' +
        '`relayMarked` or `relay`.',
    ),
})
const rules = z.array(attachmentRule).max(500)
const rulesAre =
  'Asked in order, for each file, in archives too; the first that fits decides. The strictest over all files counts.'
const standardIs =
  'After the rules, the list we ship: programs, scripts and disk images are rejected, macros that run by ' +
  'themselves and encrypted archives quarantined.'
export const attachments = z.strictObject({
  rules: rules.default([]).describe(rulesAre),
  standard: z.boolean().default(true).describe(standardIs),
  deadlineMs: deadlineSetting,
})
/** For one domain; what is absent shows the general setting. */
export const attachmentsOverride = z.strictObject({
  rules: rules.optional().describe(rulesAre),
  standard: z.boolean().optional().describe(standardIs),
})
