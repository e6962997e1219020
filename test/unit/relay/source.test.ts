// Large content on its way to a slow next hop: buffers are read into again, and never before what was in them has left.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createFeed, type Pieces } from '../../../gateway/relay/feed.ts'
import { openSource } from '../../../gateway/relay/source.ts'
import { temporaryFolder } from '../../support/process.ts'

const FIELDS = Buffer.from('Received: x\r\n')
const HEAD = 'Subject: x\r\nX-Sallyport-Removed: forged\r\n\r\n'

/** What arrives, each piece looked at only when the socket is about to say that it is written; and in which memory it was. */
async function relayed(source: Pieces, slowness: number) {
  const arrived: Buffer[] = []
  const memory = new Set<ArrayBufferLike>()
  let writes = 0
  const socket = new Writable({
    async write(piece: Buffer, _encoding, written) {
      if (piece.length > 1000) memory.add(piece.buffer)
      const turns = writes++ % slowness
      for (let i = 0; i < turns; i++) await turn()
      arrived.push(Buffer.from(piece))
      written()
    },
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stream = new PassThrough()
  stream.pipe(socket).on('finish', resolve)
  const feed = createFeed(source, {
    refusal: () => undefined,
    progress: () => undefined,
    unsentBytes: () => socket.writableLength,
    finish: async () => true,
    failed: (_, detail) => reject(new Error(detail)),
  })
  feed.message.pipe(stream)
  await promise
  return { octets: Buffer.concat(arrived), buffers: memory.size }
}

/** 3 MB, no two lines alike. */
async function content(folder: string) {
  const lines = Array.from({ length: 40_000 }, () => randomBytes(57).toString('base64'))
  const body = `${lines.join('\r\n')}\r\n`
  const file = path.join(folder, 'm.eml')
  await writeFile(file, HEAD + body)
  return { body, content: { path: file, sizeBytes: HEAD.length + body.length } }
}

for (const slowness of [1, 2, 7, 40])
  test(`octet by octet to a socket that takes up to ${slowness} turns, in few buffers`, async () => {
    await using folder = await temporaryFolder('source')
    const made = await content(folder.path)
    await using source = await openSource(made.content, FIELDS)
    for (let time = 0; time < 2; time++) {
      const { octets, buffers } = await relayed(source, slowness)
      assert.ok(octets.equals(Buffer.from(`${FIELDS}Subject: x\r\n\r\n${made.body}`)))
      assert.ok(buffers <= 6, `${buffers} buffers`)
    }
  })

test('with parts cut out in many places', async () => {
  await using folder = await temporaryFolder('source')
  const made = await content(folder.path)
  const notice = Buffer.from('cut\r\n')
  const cuts = Array.from({ length: 30 }, (_, i) => {
    const from = HEAD.length + 78 * (1000 * i + 10)
    return { from, to: from + 78 * 30 * i, notice }
  })
  await using source = await openSource(made.content, FIELDS, cuts)
  let expected = `${FIELDS}Subject: x\r\n\r\n`
  let at = 0
  for (const { from, to } of cuts) {
    expected += `${made.body.slice(at, from - HEAD.length)}${notice}`
    at = to - HEAD.length
  }
  const { octets, buffers } = await relayed(source, 7)
  assert.ok(octets.equals(Buffer.from(expected + made.body.slice(at))))
  assert.ok(buffers <= 6, `${buffers} buffers`)
})

test('whoever does not say what it has sent keeps all pieces as they are', async () => {
  await using folder = await temporaryFolder('source')
  const made = await content(folder.path)
  await using source = await openSource(made.content, FIELDS)
  const pieces: Buffer[] = []
  for await (const piece of source.pieces()) pieces.push(piece)
  assert.ok(Buffer.concat(pieces).equals(Buffer.from(`${FIELDS}Subject: x\r\n\r\n${made.body}`)))
})

test('a header section longer than what is read of it at once, with a forged field at its end', async () => {
  await using folder = await temporaryFolder('source')
  const fields = 'X-Long: y\r\n'.repeat(20_000)
  const body = 'line of text\r\n'.repeat(20_000)
  const file = path.join(folder.path, 'm.eml')
  await writeFile(file, `${fields}${HEAD}${body}`)
  const sizeBytes = fields.length + HEAD.length + body.length
  await using source = await openSource({ path: file, sizeBytes }, FIELDS)
  const { octets } = await relayed(source, 2)
  const expected = Buffer.from(`${FIELDS}${fields}Subject: x\r\n\r\n${body}`)
  assert.ok(octets.equals(expected))
  assert.equal(source.sizeBytes, expected.length)
})
