// Each limit ends the reading with its reason; and what is near a limit, or built to cost much, stays cheap.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import type { Ending, Limits } from '../../../../scanners/mime/limits.ts'
import { createScratch, inMemory } from '../../../../scanners/mime/octets.ts'
import { readLeaves } from '../../../../scanners/mime/reader.ts'
import { EICAR, plainMessage } from '../../../support/eicar.ts'
import { attached, BASE64, b64, CRLF, FILE, file, mail, mixed } from './building.ts'
import { read } from './reading.ts'
import { structures } from './structure-variants.ts'

const parts = (count: number): Buffer =>
  mail(
    'Content-Type: multipart/mixed; boundary=bb',
    '',
    ...Array.from({ length: count }, (_, n) =>
      ['--bb', FILE, BASE64, '', b64(`part ${n} of many`)].join(CRLF),
    ),
    '--bb--',
  )

const forwards = (depth: number): Buffer => {
  let message = file('base64', b64(EICAR))
  for (let n = 0; n < depth; n++)
    message = mail('Content-Type: message/rfc822', '', message.toString('latin1'))
  return message
}

const beyond: [string, Ending, Partial<Limits>, Buffer][] = [
  ['parts', 'too-many', { parts: 3 }, parts(4)],
  ['depth of forwards', 'too-deep', { depth: 5 }, forwards(7)],
  [
    'depth of encodings',
    'too-deep',
    { depth: 1 },
    mixed(['Content-Type: message/rfc822', BASE64, '', b64(file('base64', b64(EICAR)))]),
  ],
  [
    'header octets',
    'too-large',
    { headerBytes: 4_000 },
    mail(...Array.from({ length: 300 }, (_, n) => `X-${n}: 0123456789`), FILE, '', 'x'),
  ],
  ['delimiter lines', 'too-many', { delimiterLines: 50 }, mail('', '', `--x${CRLF}`.repeat(60))],
  [
    'readings of a part',
    'ambiguous',
    { readings: 1 },
    mixed([FILE, BASE64, 'Content-Transfer-Encoding: 7bit', '', b64(EICAR)]),
  ],
  ['octets of a leaf', 'too-large', { leafBytes: 1_000 }, file('base64', b64('x'.repeat(1_001)))],
  ['octets decoded', 'too-large', { decodedBytes: 4_000 }, file('base64', b64('x'.repeat(5_000)))],
  [
    'expansion',
    'too-large',
    { expansionRatio: 2, decodedFloorBytes: 10_000 },
    attached(deflateSync(Buffer.alloc(50_000, 'abc'))),
  ],
  ['time', 'too-slow', { timeMs: 1 }, file('base64', b64(randomBytes(4_000_000)))],
]

for (const [what, reason, limits, message] of beyond)
  test(`${what}: ${reason}`, async () => {
    assert.equal((await read(message, { limits })).reason, reason)
    assert.equal((await read(message)).reason, undefined)
  })

test('60 layers: found, and fast', async () => {
  for (const [name, build] of Object.entries(structures).filter(([key]) => key.includes('60'))) {
    const startedAt = performance.now()
    const { leaves } = await read(build(EICAR))
    assert.ok(
      leaves.some(leaf => leaf.includes(EICAR)),
      name,
    )
    assert.ok(performance.now() - startedAt < 1_000, name)
  }
})

/** Milliseconds of the processor; the least of three, since other tests may keep its caches busy. */
async function costMs(message: Buffer): Promise<number> {
  const costs: number[] = []
  while (costs.length < 3 && Math.min(...costs) > 1_000) {
    const startedAt = process.cpuUsage()
    await read(message, { onDisk: true })
    const used = process.cpuUsage(startedAt)
    costs.push((used.user + used.system) / 1_000)
  }
  return Math.min(...costs)
}

test('10,000 parts, and a bomb of 42 KB: under 2 s and 100 MB', async () => {
  const bomb = attached(deflateSync(Buffer.alloc(42 * 1024 * 1024)))
  assert.ok(bomb.length < 70_000)
  for (const message of [parts(9_990), bomb]) {
    const before = process.memoryUsage.rss()
    const { leaves, reason } = await read(message, { onDisk: true })
    assert.ok(process.memoryUsage.rss() - before < 100 * 1024 * 1024)
    assert.ok(message === bomb ? reason === 'too-large' : leaves.length === 9_990)
    const cost = await costMs(message)
    assert.ok(cost < 2_000, `${cost} ms`)
  }
})

test('a large leaf goes through a file, octet by octet, and the event loop is not held', async () => {
  const content = randomBytes(32 * 1024 * 1024)
  const message = file('base64', b64(content))
  using scratch = createScratch(tmpdir())
  const signal = new AbortController().signal
  let [turns, last, longestMs] = [0, performance.now(), 0]
  const clock = setInterval(() => {
    turns++
    longestMs = Math.max(longestMs, performance.now() - last)
    last = performance.now()
  }, 1)
  const reading = readLeaves(inMemory(message), scratch, signal)
  const first = await reading.next()
  clearInterval(clock)
  assert.ok(!first.done)
  assert.equal(first.value.sha256, createHash('sha256').update(content).digest('hex'))
  assert.ok(turns > 3 && longestMs < 500, `${turns} turns, ${longestMs} ms`)
})

test('plain text has no leaves; an abort ends the reading', async () => {
  const body = `Nothing but text.${CRLF}`.repeat(250)
  assert.deepEqual(await read(plainMessage({ body })), {
    leaves: [],
    reason: undefined,
    endings: [],
  })
  using scratch = createScratch(tmpdir())
  const reading = readLeaves(inMemory(parts(50)), scratch, AbortSignal.abort())
  assert.equal((await reading.next()).done, true)
})
