// What is to become of mail that nobody can look into whole, one setting for each reason.
import { z } from 'zod'
import { unscannableDefaults } from '../../policies/disposition/unscannable.ts'

const action = z.enum(['reject', 'quarantine', 'relayMarked', 'relay'])

const reasons = {
  'too-many': 'More parts, archive entries or readings than we look at.',
  'too-deep': 'Packed deeper than we look.',
  'too-large': 'Something in it is larger than we look at, or grows out of all proportion.',
  ambiguous: 'It can be read in more ways than are tried.',
  'message-partial': 'A piece of a message (RFC 2046 §5.2.2); the others come by themselves.',
  'message-external-body': 'What it shows lies somewhere else (RFC 2046 §5.2.3).',
  'encrypted-mail': 'S/MIME or PGP: only its addressee can read it.',
  'encrypted-archive': 'An archive with a password.',
  'encrypted-document': 'A document with a password.',
  'unsupported-archive': 'Packed in a way that neither we nor the engine can open.',
} satisfies Record<keyof typeof unscannableDefaults, string>

type Reasons = keyof typeof reasons
const names = Object.keys(reasons) as Reasons[]
const shapeOf = <S extends z.ZodType>(setting: (reason: Reasons) => S): Record<Reasons, S> =>
  Object.fromEntries(names.map(reason => [reason, setting(reason)])) as Record<Reasons, S>

export const unscannable = z.strictObject(
  shapeOf(reason => action.default(unscannableDefaults[reason]).describe(reasons[reason])),
)

/** Not `unscannable.partial()`: that fills in defaults where the general setting must show through. */
export const unscannableOverride = z.strictObject(
  shapeOf(reason => action.optional().describe(reasons[reason])),
)
