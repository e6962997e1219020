// The decision that lies beside each message in the quarantine: why it is there, and all that a release needs.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Envelope, Recipient } from '../message.ts'
import { isId } from '../spool/id.ts'

export type Decision = {
  /** Of the message's file and, with `.json`, of this one. */
  name: string
  id: string
  policy: string
  reason: string
  /** Milliseconds since the epoch. */
  keptAt: number
  /** For whom it was kept; the envelope names all recipients of the transaction. */
  recipients: Recipient[]
  envelope: Envelope
}

const LIMITS = { reasonLength: 500 }
const NAME = /^\d+\.[0-9a-z-]+\.[0-9a-f]{16}$/

/** Whether something may be a file name of ours; anything else is never joined to a path. */
export const isName = (text: string): boolean => NAME.test(text) && isId(text.split('.')[1] ?? '')

/**
 * The same for the same message and recipients, so that a retry after a crash makes no second copy. Begins with the
 * time in seconds, as Maildir programs like it, and holds nothing a client chose.
 */
export function nameOf(envelope: Envelope, recipients: readonly Recipient[]): string {
  if (!isId(envelope.id)) throw new Error('a message id that is not ours')
  const addresses = recipients.map(recipient => recipient.address).sort()
  const hash = createHash('sha256').update(JSON.stringify(addresses)).digest('hex').slice(0, 16)
  return `${Math.floor(envelope.receivedAt / 1000)}.${envelope.id}.${hash}`
}

/** One line of printable characters: it may quote what a scanner took from the message. */
export const sanitised = (reason: string): string =>
  reason
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, LIMITS.reasonLength)
    .trim()

/** A decision from its file; undefined where it is missing or not one. */
export async function readDecision(path: string): Promise<Decision | undefined> {
  try {
    const read: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isDecision(read) ? read : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function isDecision(read: unknown): read is Decision {
  if (typeof read !== 'object' || read === null) return false
  const { name, id, keptAt, recipients, envelope } = read as Partial<Decision>
  return (
    typeof name === 'string' &&
    typeof id === 'string' &&
    typeof keptAt === 'number' &&
    Array.isArray(recipients) &&
    envelope?.id === id
  )
}
