// The end of the content and the dots in front of its lines: as the library reads them, in whatever chunks they come.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { Dots } from '../../../gateway/receive/dots.ts'
import { dotStuffed } from '../../support/client.ts'

function take(chunks: Buffer[]) {
  const dots = new Dots()
  const contents: Buffer[] = []
  for (const [index, chunk] of chunks.entries()) {
    const { content, rest } = dots.take(chunk)
    contents.push(content)
    if (rest === undefined) continue
    const after = Buffer.concat([rest, ...chunks.slice(index + 1)])
    return { content: latin1(Buffer.concat(contents)), rest: latin1(after) }
  }
  return { content: latin1(Buffer.concat(contents)), rest: undefined }
}
const latin1 = (octets: Buffer) => octets.toString('latin1')
const one = (text: string) => take([Buffer.from(text, 'latin1')])

/** Each chunk in memory of its own, because it is changed there. */
function cut(text: string, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    chunks.push(Buffer.from(text.slice(at, at + size), 'latin1'))
    at += size
  }
  return chunks
}
const sizesOf = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })

const textOf = (...tokens: string[]) =>
  fc.array(fc.constantFrom(...tokens), { maxLength: 40 }).map(parts => parts.join(''))
const texts = textOf('\r\n', '\r\n', '\r\n.', '.', '.', '\r', '\n', 'x', '\r\n.\r', '\r\n..')
const properTexts = textOf('\r\n', '\r\n', '\r\n.', '.', '..', 'x')

async function library(chunks: Buffer[]): Promise<string> {
  const stream = new SMTPStream()
  const contents: Buffer[] = []
  stream.startDataMode().on('data', chunk => contents.push(chunk))
  stream.continue()
  for (const chunk of chunks) await new Promise(done => stream._feedDataStream(chunk, done))
  return latin1(Buffer.concat(contents))
}

describe('dots', () => {
  it('are the same in whatever chunks they come', () => {
    fc.assert(
      fc.property(texts, sizesOf, (text, sizes) => {
        const whole = one(text)
        const parts = take(cut(text, sizes))
        // What may be a final dot is kept back until it is known.
        if (whole.rest !== undefined) assert.deepEqual(parts, whole)
        else assert.deepEqual(take([...cut(text, sizes), Buffer.from('x')]), one(`${text}x`))
      }),
      { numRuns: 5000 },
    )
  })

  it('end the content at CRLF.CRLF, and nowhere else', () => {
    fc.assert(
      fc.property(texts, text => {
        const raw = `\r\n${text}`
        const end = raw.indexOf('\r\n.\r\n')
        const { content, rest } = one(end < 0 ? `${text}x` : text)
        assert.equal(rest, end < 0 ? undefined : raw.slice(end + 5))
        const before = end < 0 ? `${raw}x` : raw.slice(0, end + 2)
        assert.equal(content, before.replaceAll('\r\n..', '\r\n.').slice(2))
      }),
      { numRuns: 5000 },
    )
  })

  it('are taken out as the library does', async () => {
    await fc.assert(
      fc.asyncProperty(properTexts, sizesOf, async (text, sizes) => {
        const raw = `\r\n${text}`
        const end = raw.indexOf('\r\n.\r\n')
        // The library gives no end to a stream that nobody ends, and keeps four octets back.
        const whole = end < 0 ? `${text}xxxx` : raw.slice(2, end + 5)
        const kept = await library(cut(whole, sizes))
        const { content } = one(whole)
        assert.equal(end < 0 ? content.slice(0, -4) : content, kept)
      }),
      { numRuns: 500 },
    )
  })

  it('that a client added are gone, many or few', () => {
    for (const text of [
      '',
      '.',
      '.\r\n',
      '..\r\n',
      'a\r\n.\r\n.b\r\n...\r\n',
      '.\r\n'.repeat(9999),
    ]) {
      const { content, rest } = take([
        Buffer.concat([dotStuffed(Buffer.from(text)), Buffer.from('Q')]),
      ])
      assert.equal(content, text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
      assert.equal(rest, 'Q')
    }
  })
})
