// Content that passes nodemailer's data stream by our shorter way comes out as it does by nodemailer's own.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, type Transform } from 'node:stream'
import test from 'node:test'
import fc from 'fast-check'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { leaveAlone, needsNoChange } from '../../../gateway/relay/transparency.ts'

/** nodemailer's data stream isn't exported: one as it makes it for its socket. */
function dataStream(): Transform & { outByteCount: number; inByteCount: number } {
  const smtp = new SMTPConnection({ lmtp: true }) as unknown as {
    _envelope: { accepted: string[] }
    _socket: object
    _createSendStream(callback: () => void): ReturnType<typeof dataStream>
  }
  smtp._envelope = { accepted: [] }
  const socket = new PassThrough()
  smtp._socket = socket
  const stream = smtp._createSendStream(() => undefined)
  stream.unpipe(socket)
  return stream
}

async function through(pieces: readonly Buffer[], stream = dataStream()) {
  const out: Buffer[] = []
  stream.on('data', (piece: Buffer) => out.push(piece))
  stream.resume()
  for (const piece of pieces) stream.write(piece)
  stream.end()
  await once(stream, 'end')
  const { inByteCount, outByteCount } = stream
  return { out, text: Buffer.concat(out).toString('latin1'), inByteCount, outByteCount }
}

function ourWay(pieces: readonly Buffer[]) {
  const stream = dataStream()
  leaveAlone(stream)
  return through(pieces, stream)
}

test('the same octets as by nodemailer alone, wherever lines and pieces end', async () => {
  const bit = fc.constantFrom(
    ...['\r\n', '\r\n', '\r\n.', '.', '..', '\r', '\n', 'a', 'text', '\0', '\xff', '\x0b\x0c'],
  )
  const piece = fc
    .array(bit, { minLength: 1, maxLength: 12 })
    .map(bits => Buffer.from(bits.join(''), 'latin1'))
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 4 }), async pieces => {
      const [ours, theirs] = [await ourWay(pieces), await through(pieces)]
      assert.equal(ours.text, theirs.text)
      assert.equal(ours.inByteCount, theirs.inByteCount)
      assert.equal(ours.outByteCount, theirs.outByteCount)
    }),
    { numRuns: 1000 },
  )
})

test('what needs no change is passed on without being copied', async () => {
  const pieces = ['A: b\r\n\r\nHello.\r\n', 'more, cut here', ' and there\r\n'].map(t =>
    Buffer.from(t),
  )
  const { out } = await ourWay(pieces)
  assert.equal(out.length, 4)
  for (const [i, piece] of pieces.entries()) assert.equal(out[i], piece)
  assert.equal(out[3]?.toString(), '.\r\n')
})

for (const [text, before] of [
  ['.', false],
  ['.a', 0x0a],
  ['\n', 0x61],
  ['\na', false],
  ['a', 0x0d],
  ['a\r\n.', 0x0a],
  ['a\nb', 0x0a],
  ['a\rb', 0x0a],
  ['a\r.', 0x0a],
] as const)
  test(`${JSON.stringify(text)} behind ${before} is not left alone`, () => {
    assert.equal(needsNoChange(Buffer.from(text), before), false)
  })
