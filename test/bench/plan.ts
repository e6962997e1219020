// What each message of a cell is: its size, its recipients, its attachment; the same for every peer.
import { type Random, streamOf } from '../chaos/random.ts'
import type { Cell } from './arguments.ts'

export type Recipient = { address: string; exists: boolean }

export type Plan = {
  sequence: number
  sizeBytes: number
  recipients: Recipient[]
  infected: boolean
  /** The number of an attachment that others have too. */
  repeated: number | undefined
}

export const DOMAIN = 'example.test'
export const USERS = 1000

/** What a site's mail looks like, as far as it matters to a gateway. */
const MIX = {
  medianBytes: 20_000,
  /** 1 % above 5 MB: ln(5,000,000 / 20,000) / 2.326, the 99th percentile of the normal distribution. */
  sigma: Math.log(250) / 2.326,
  leastBytes: 1000,
  mostBytes: 20_000_000,
  several: 0.1,
  unknown: 0.05,
  infected: 0.02,
  repeated: 0.2,
  attachments: 20,
}

export const userAddress = (number: number): string => `user${number}@${DOMAIN}`

/** Endless; the same seed gives the same messages. */
export function* plansOf(size: Cell['size'], seed: number): Generator<Plan, never> {
  const random = streamOf(seed, `plan of ${size}`)
  for (let sequence = 0; ; sequence++) {
    const first = 1 + (sequence % USERS)
    yield size === 'mix'
      ? mixed(sequence, first, random, seed)
      : {
          sequence,
          sizeBytes: size,
          recipients: [{ address: userAddress(first), exists: true }],
          infected: false,
          repeated: undefined,
        }
  }
}

function mixed(sequence: number, first: number, random: Random, seed: number): Plan {
  const infected = random.chance(MIX.infected)
  const isRepeated = random.chance(MIX.repeated) && !infected
  const repeated = isRepeated ? random.between(0, MIX.attachments - 1) : undefined
  // The same attachment has the same size wherever it is.
  const sizes = repeated === undefined ? random : streamOf(seed, `attachment ${repeated}`)
  const recipients = Array.from(
    { length: random.chance(MIX.several) ? random.between(2, 5) : 1 },
    (_, i) => {
      const number = 1 + ((first - 1 + i * 37) % USERS)
      const exists = !random.chance(MIX.unknown)
      return { exists, address: exists ? userAddress(number) : `nobody${number}@${DOMAIN}` }
    },
  )
  return { sequence, sizeBytes: logNormal(sizes), recipients, infected, repeated }
}

function logNormal(random: Random): number {
  // Box and Muller; 1 - next() is never 0.
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  const size = MIX.medianBytes * Math.exp(MIX.sigma * normal)
  return Math.round(Math.min(MIX.mostBytes, Math.max(MIX.leastBytes, size)))
}
