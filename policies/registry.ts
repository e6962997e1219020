// The disposition policies in the order they are asked; the first opinion wins.
import { keptAttachment, refusedAttachment } from './disposition/attachment.ts'
import { infected } from './disposition/infected.ts'
import { relay } from './disposition/relay.ts'
import { spam } from './disposition/spam.ts'
import { unscannable } from './disposition/unscannable.ts'
import { unscanned } from './disposition/unscanned.ts'
import type { Policy } from './policy.ts'

export const policies: readonly Policy[] = [
  infected,
  refusedAttachment,
  unscannable,
  unscanned,
  spam,
  keptAttachment,
  relay,
]
