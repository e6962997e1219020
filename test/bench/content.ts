// Makes messages from slices of two pools: cheap, and every one different, so that no cache knows it.
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createRandom, type Random } from '../chaos/random.ts'
import { EICAR } from '../support/eicar.ts'
import type { Plan } from './plan.ts'

export type Content = {
  /** In order, the header first; ends with CRLF, and no line begins with a dot. */
  pieces: Buffer[]
  sizeBytes: number
}

/** Lines of equal length, CRLF included. */
type Pool = { octets: Buffer; lineBytes: number; lines: number }

const BASE64 = { lines: 120_000, lineBytes: 78 }
const WORDS = { lines: 40_000, lineBytes: 74 }
/** Up to here a message is one text; above it has 2 KB of text and an attachment. */
const LARGEST_TEXT = 8192
const TEXT_BEFORE_ATTACHMENT = 2000
/** Above, one copy costs more than several pieces. */
const SMALL = 65_536

export type Maker = (plan: Plan) => Content

/** Makes the messages of one run; `run` is a name without spaces, unique to it. */
export function createMaker(pools: Pools, run: string, seed: number): Maker {
  const random = createRandom(seed)
  const shared = random.between(0, 2 ** 30)
  return plan => {
    const token = `${run}.${plan.sequence}.${random.between(0, 2 ** 31)}`
    const isText = plan.sizeBytes <= LARGEST_TEXT && !plan.infected && plan.repeated === undefined
    const body = isText
      ? [Buffer.from(`${token}\r\n`), ...slices(pools.words, plan.sizeBytes - 500, random)]
      : multipart(pools, plan, token, random, shared)
    const checksum = body.reduce((sum, piece) => crc32(piece, sum), 0).toString(16)
    const length = body.reduce((sum, piece) => sum + piece.length, 0)
    const head = Buffer.from(
      [
        'From: Load <sender@load.test>',
        `To: <${plan.recipients[0]?.address}>`,
        `Subject: message ${plan.sequence}`,
        `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
        `Message-ID: <${token}@load.test>`,
        `X-Bench: ${run} ${plan.sequence} ${checksum} ${length} ${plan.infected ? 1 : 0}`,
        'MIME-Version: 1.0',
        isText
          ? 'Content-Type: text/plain; charset=us-ascii'
          : `Content-Type: multipart/mixed; boundary="=_${token}"`,
        '\r\n',
      ].join('\r\n'),
    )
    const pieces = [head, ...body]
    const sizeBytes = head.length + length
    return { pieces: sizeBytes <= SMALL ? [Buffer.concat(pieces)] : pieces, sizeBytes }
  }
}

function multipart(pools: Pools, plan: Plan, token: string, random: Random, shared: number) {
  const part = (fields: string[]) =>
    Buffer.from(`--=_${token}\r\n${fields.join('\r\n')}\r\n\r\n`, 'latin1')
  const bytes = plan.sizeBytes - TEXT_BEFORE_ATTACHMENT - 1000
  const attachment = () => {
    if (plan.infected) return [Buffer.from(`${Buffer.from(EICAR).toString('base64')}\r\n`)]
    if (plan.repeated !== undefined)
      return slices(pools.base64, bytes, createRandom(shared + plan.repeated))
    const mark = Buffer.from(token.padEnd(57, '.').slice(0, 57)).toString('base64')
    return [Buffer.from(`${mark}\r\n`), ...slices(pools.base64, bytes, random)]
  }
  const name = plan.infected ? 'eicar.com' : `data${plan.repeated ?? token}.bin`
  return [
    part(['Content-Type: text/plain; charset=us-ascii']),
    Buffer.from(`${token}\r\n`),
    ...slices(pools.words, TEXT_BEFORE_ATTACHMENT, random),
    part([
      `Content-Type: application/octet-stream; name="${name}"`,
      `Content-Disposition: attachment; filename="${name}"`,
      'Content-Transfer-Encoding: base64',
    ]),
    ...attachment(),
    Buffer.from(`--=_${token}--\r\n`),
  ]
}

/** Whole lines from random places, about that many octets and at least one line. */
function slices(pool: Pool, bytes: number, random: Random): Buffer[] {
  const pieces: Buffer[] = []
  let left = Math.max(1, Math.round(bytes / pool.lineBytes))
  while (left > 0) {
    const lines = Math.min(left, pool.lines / 2)
    const from = random.between(0, pool.lines - lines) * pool.lineBytes
    pieces.push(pool.octets.subarray(from, from + lines * pool.lineBytes))
    left -= lines
  }
  return pieces
}

export type Pools = { base64: Pool; words: Pool }

export function createPools(): Pools {
  return { base64: base64Pool(), words: wordPool() }
}

function base64Pool(): Pool {
  const { lines, lineBytes } = BASE64
  const octets = Buffer.alloc(lines * lineBytes, '\r\n')
  const text = randomBytes(lines * 57).toString('base64')
  for (let i = 0; i < lines; i++)
    octets.write(text.slice(i * 76, i * 76 + 76), i * lineBytes, 'latin1')
  return { octets, lines, lineBytes }
}

function wordPool(): Pool {
  const { lines, lineBytes } = WORDS
  const random = createRandom(randomBytes(4).readUInt32LE())
  const vocabulary = Array.from({ length: 4000 }, () =>
    Array.from({ length: random.between(2, 9) }, (_, i) =>
      random.pick([...(i % 2 ? 'aeiou' : 'bcdfghklmnprstvw')]),
    ).join(''),
  )
  const octets = Buffer.alloc(lines * lineBytes)
  for (let i = 0; i < lines; i++) {
    let line = random.pick(vocabulary)
    while (line.length < lineBytes - 2) line += ` ${random.pick(vocabulary)}`
    octets.write(`${line.slice(0, lineBytes - 3)},\r\n`, i * lineBytes, 'latin1')
  }
  return { octets, lines, lineBytes }
}
