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
  const shares = {
    kind: sharesOf(streamOf(seed, 'kinds')),
    size: sharesOf(streamOf(seed, 'sizes')),
    recipients: sharesOf(streamOf(seed, 'recipients')),
  }
  for (let sequence = 0; ; sequence++) {
    const first = 1 + (sequence % USERS)
    yield size === 'mix'
      ? mixed(sequence, first, random, shares)
      : {
          sequence,
          sizeBytes: size,
          recipients: [{ address: userAddress(first), exists: true }],
          infected: false,
          repeated: undefined,
        }
  }
}

type Shares = { [of in 'kind' | 'size' | 'recipients']: Iterator<number, never> }

function mixed(sequence: number, first: number, random: Random, shares: Shares): Plan {
  const kind = shares.kind.next().value
  const infected = kind < MIX.infected
  const isRepeated = !infected && kind < MIX.infected + MIX.repeated
  const repeated = isRepeated ? random.between(0, MIX.attachments - 1) : undefined
  const several = shares.recipients.next().value < MIX.several
  const recipients = Array.from({ length: several ? random.between(2, 5) : 1 }, (_, i) => {
    const number = 1 + ((first - 1 + i * 37) % USERS)
    const exists = !random.chance(MIX.unknown)
    return { exists, address: exists ? userAddress(number) : `nobody${number}@${DOMAIN}` }
  })
  // The same attachment has the same size wherever it is.
  const share =
    repeated === undefined ? shares.size.next().value : (repeated + 0.5) / MIX.attachments
  const sizeBytes = sizeAt(share)
  return { sequence, sizeBytes, recipients, infected, repeated }
}

/**
 * Every hundred of them has each hundredth from 0 to 1 once, in an order of its own: chance would otherwise
 * send one peer a giant or a virus more than another, since the slower get fewer of the same messages.
 */
function* sharesOf(random: Random): Generator<number, never> {
  for (;;) {
    const order = Array.from({ length: 100 }, (_, i) => ({ i, at: random.next() }))
    for (const { i } of order.sort((a, b) => a.at - b.at)) yield (i + 0.5) / 100
  }
}

/** The size that this share of messages does not exceed. */
function sizeAt(share: number): number {
  const size = MIX.medianBytes * Math.exp(MIX.sigma * normalQuantile(share))
  return Math.round(Math.min(MIX.mostBytes, Math.max(MIX.leastBytes, size)))
}

/** Hastings' approximation (Abramowitz and Stegun, 26.2.23): off by less than 0.00045. */
function normalQuantile(share: number): number {
  if (share > 0.5) return -normalQuantile(1 - share)
  const t = Math.sqrt(-2 * Math.log(share))
  const above = 2.515517 + t * (0.802853 + t * 0.010328)
  const below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
  return above / below - t
}
