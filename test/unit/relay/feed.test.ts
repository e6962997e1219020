// Content on its way into nodemailer: all of it or no end, a question before the last piece, nothing after a stop.
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import { createFeed, type Gate } from '../../../gateway/relay/feed.ts'
import { until } from '../../support/process.ts'

const text = (...pieces: string[]) => pieces.map(piece => Buffer.from(piece))

/** What happened, in order: pieces that came through once `flow` was called, `finish` asked, the end, a failure. */
function fed(pieces: Buffer[], sizeBytes: number, change: Partial<Gate> = {}) {
  const seen: string[] = []
  const to = new PassThrough({ highWaterMark: 1 })
  const flow = () => {
    to.on('data', (piece: Buffer) => seen.push(piece.toString()))
    to.on('end', () => seen.push('end'))
  }
  const feed = createFeed(
    { sizeBytes, pieces: () => pieces },
    {
      refusal: () => undefined,
      progress: () => undefined,
      unsentBytes: () => 0,
      async finish() {
        seen.push('finish?')
        return true
      },
      failed: (kind, detail) => void seen.push(`${kind}: ${detail}`),
      ...change,
    },
  )
  feed.message.pipe(to)
  return { seen, feed, to, flow }
}

test('the last piece waits for the answer, and leaves with the end', async () => {
  const { seen, flow } = fed(text('one', 'two', 'three'), 11)
  flow()
  await until('the end', () => seen.includes('end'))
  assert.deepEqual(seen, ['one', 'two', 'finish?', 'three', 'end'])
})

test('a single piece is not sent before the answer, nor after a no', async () => {
  const asked = Promise.withResolvers<boolean>()
  const { seen, to, flow } = fed(text('all'), 3, { finish: () => asked.promise })
  flow()
  await new Promise(setImmediate)
  assert.deepEqual(seen, [])
  asked.resolve(false)
  await new Promise(setImmediate)
  assert.deepEqual(seen, [])
  assert.equal(to.writableEnded, false)
})

test('waits until what came before was taken', async () => {
  let pieces = 0
  const progress = () => void pieces++
  const { seen, flow } = fed(text('a', 'b', 'c', 'd', 'e'), 5, { progress })
  await new Promise(setImmediate)
  assert.equal(seen.includes('finish?'), false)
  assert.ok(pieces < 5)
  flow()
  await until('the end', () => seen.includes('end'))
  assert.equal(pieces, 5)
})

for (const [what, pieces, size] of [
  ['too little', text('one', 'two'), 7],
  ['too much', text('one', 'two'), 5],
  ['nothing', [], 1],
] as const)
  test(`${what}: not finished, not asked, told`, async () => {
    const { seen, to, flow } = fed([...pieces], size)
    flow()
    await new Promise(setImmediate)
    assert.equal(seen.at(-1), `content: content changed: expected ${size} octets`)
    assert.equal(seen.includes('finish?'), false)
    assert.equal(to.writableEnded, false)
  })

test('refused: not read at all', async () => {
  const { seen, flow } = fed(text('one'), 3, { refusal: () => 'DATA answered with 250' })
  flow()
  await new Promise(setImmediate)
  assert.deepEqual(seen, ['lost: DATA answered with 250'])
})

test('stopped while nobody takes anything, or while the answer is awaited: nothing more', async () => {
  const { seen, feed, flow } = fed(text('a', 'b', 'c'), 3)
  await new Promise(setImmediate)
  feed.stop()
  flow()
  await new Promise(setImmediate)
  assert.equal(seen.includes('c') || seen.includes('finish?') || seen.includes('end'), false)

  const asked = Promise.withResolvers<boolean>()
  const other = fed(text('all'), 3, { finish: () => asked.promise })
  other.flow()
  await new Promise(setImmediate)
  other.feed.stop()
  asked.resolve(true)
  await new Promise(setImmediate)
  assert.deepEqual(other.seen, [])
})
