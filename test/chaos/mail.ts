// The messages of a run: each carries its number in its first header field, and is known by its hash from there on.
import { createHash } from 'node:crypto'
import { attachment, EICAR } from '../support/eicar.ts'
import { createRandom, type Random } from './random.ts'

/** How a client treats a message, beside retrying until it knows. */
export type Manner =
  | 'plain'
  /** Its first try ends in the middle of DATA. */
  | 'vanishes-in-data'
  /** Its first try ends after the final dot, without waiting for the reply. */
  | 'vanishes-after-dot'
  /** As before, and it never comes again. */
  | 'gives-up'
  /** Once acknowledged, it is sent once more on purpose. */
  | 'twice'

export type Mail = {
  number: number
  from: string
  to: string[]
  infected: boolean
  manner: Manner
  content: Buffer
  sha256: string
}

/** Its own first field; what the gateway adds stands above it. */
export const MARK = 'X-Chaos: '
const LARGEST_BYTES = 2 * 1024 * 1024
/** One in so many recipients is refused for good by the internal server. */
const REFUSED = 100

export const sha256 = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex')

/** Whether the internal server knows no such recipient, whatever else it does. */
export const isRefused = (address: string): boolean => address.startsWith('nobody')

const PEOPLE = 50
/** Everybody who is sent mail. */
export const ADDRESSES = ['user', 'nobody'].flatMap(name =>
  Array.from({ length: PEOPLE }, (_, i) => `${name}${i}@example.org`),
)

/** Text to cut bodies from: base64 would be scanned twice, and lines that begin with dots are what transparency is for. */
const TEXT = (() => {
  const random = createRandom(0x5a11)
  const line = () =>
    `${random.chance(0.05) ? '.'.repeat(random.between(1, 3)) : ''}${Array.from({ length: 9 }, () => random.next().toString(36).slice(2, 9)).join(' ')}`
  return Buffer.from(`${Array.from({ length: 4000 }, line).join('\r\n')}\r\n`.repeat(10), 'latin1')
})()

function body(random: Random): Buffer {
  const share = random.next()
  const most = share < 0.85 ? 10_000 : share < 0.98 ? 100_000 : LARGEST_BYTES
  const sizeBytes = random.between(1000, most)
  // Whole lines: cut between CR and LF it would be refused.
  const start = TEXT.indexOf('\n', random.between(0, 50_000)) + 1
  const end = TEXT.lastIndexOf('\r\n', Math.min(start + sizeBytes, TEXT.length))
  return TEXT.subarray(start, Math.max(start, end))
}

function recipients(random: Random, number: number): string[] {
  const count = random.chance(0.15) ? random.between(2, 5) : 1
  return Array.from({ length: count }, (_, i) => {
    const name = random.between(1, REFUSED) === 1 ? 'nobody' : 'user'
    return `${name}${(number * 7 + i) % PEOPLE}@example.org`
  }).filter((address, i, all) => all.indexOf(address) === i)
}

function manner(random: Random): Manner {
  const share = random.next()
  if (share < 0.03) return 'vanishes-in-data'
  if (share < 0.07) return 'vanishes-after-dot'
  if (share < 0.08) return 'gives-up'
  return share < 0.11 ? 'twice' : 'plain'
}

export function makeMail(number: number, random: Random): Mail {
  const infected = random.chance(0.02)
  const parts = { id: `chaos-${number}@sender.test`, subject: `Message ${number}` }
  const text = body(random)
  const rest = infected
    ? attachment(parts, 'eicar.com', Buffer.from(EICAR))
    : Buffer.concat([
        Buffer.from(`Message-ID: <${parts.id}>\r\nSubject: ${parts.subject}\r\n\r\n`),
        text,
        Buffer.from('\r\n'),
      ])
  const content = Buffer.concat([Buffer.from(`${MARK}${number}\r\n`), rest])
  return {
    number,
    from: `alice${number % 10}@sender.test`,
    to: recipients(random, number),
    infected,
    manner: manner(random),
    content,
    sha256: sha256(content),
  }
}

/** The number a message carries and the hash from there on; undefined where it is none of ours. */
export function recognise(octets: Buffer): { number: number; sha256: string } | undefined {
  const at = octets.indexOf(MARK)
  if (at < 0) return undefined
  const number = Number.parseInt(octets.toString('latin1', at + MARK.length, at + 40), 10)
  return Number.isNaN(number) ? undefined : { number, sha256: sha256(octets.subarray(at)) }
}
