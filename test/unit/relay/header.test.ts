// Our fields on top, forged ones gone, every other octet in its place however the content is cut.
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { createHeaderFilter, ourFields, receivedField } from '../../../gateway/relay/header.ts'
import { envelopeOf } from '../../support/order.ts'

function filtered(content: Buffer, sizes: readonly number[]): Buffer {
  const filter = createHeaderFilter()
  const kept: Buffer[] = []
  for (let at = 0, i = 0; at < content.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    kept.push(...filter.push(content.subarray(at, at + size)))
    at += size
  }
  kept.push(...filter.flush())
  return Buffer.concat(kept)
}

/** The same by lines and regular expressions, on the whole. */
function filteredAtOnce(content: Buffer): Buffer {
  const text = content.toString('latin1')
  const blank = /^\r?\n|\n\r?\n/.exec(text)
  const at = blank
    ? blank.index + (text[blank.index] === '\n' && blank[0] !== '\n' ? 1 : 0)
    : text.length
  const fields = text
    .slice(0, at)
    .replace(/(?<=^|\n)x-sallyport-[^\n]*(?:\n[ \t][^\n]*)*(?:\n|$)/gi, '')
  return Buffer.from(fields + text.slice(at), 'latin1')
}

test('removes forged fields wherever the content is cut', () => {
  const line = fc.constantFrom(
    ...['X-Sallyport-A: 1\r\n', 'x-sallyport-\r\n', 'X-SALLYPORT-B : 2\r\n', 'X-Sallyport: no\r\n'],
    ...[
      ' folded\r\n',
      '\tX-Sallyport-C: folded\r\n',
      'From: a\r\n',
      'X-Sally',
      '\r\n',
      'é: \xff\r\n',
    ],
    ...['A: X-Sallyport-D: 1\r\n', 'x-sallyport-E', '\r', '\n'],
  )
  const content = fc
    .array(line, { maxLength: 12 })
    .map(lines => Buffer.from(lines.join(''), 'latin1'))
  const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(content, sizes, (octets, cuts) => {
      assert.equal(
        filtered(octets, cuts).toString('latin1'),
        filteredAtOnce(octets).toString('latin1'),
      )
    }),
    { numRuns: 2000 },
  )
})

test('leaves a body alone, and says whether what is kept of the header section is 8-bit', () => {
  const filter = createHeaderFilter()
  const body = Buffer.from('\r\nX-Sallyport-A: é\r\n')
  const kept = [...filter.push(Buffer.from('X-Sallyport-A: é\r\nA: b\r\n')), ...filter.push(body)]
  assert.equal(Buffer.concat(kept).toString(), `A: b\r\n${body}`)
  assert.deepEqual([filter.done, filter.eightBit], [true, false])
  const other = createHeaderFilter()
  other.push(Buffer.from('A: é\r\n'))
  assert.deepEqual([other.done, other.eightBit], [false, true])
})

test('Received names client, protocol, id and a single recipient', () => {
  const envelope = envelopeOf({
    client: {
      address: '2001:db8::1',
      port: 1,
      helo: 'evil)\r\nX: y é',
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    },
    smtpUtf8: true,
  })
  assert.equal(
    receivedField(envelope, 'mx1.example.org', ['a@example.org']),
    'Received: from evil???X:?y?? ([IPv6:2001:db8::1])\r\n' +
      '\tby mx1.example.org with UTF8SMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id ' +
      'm01kb3q7x9abcdefghjkmnp\r\n\tfor <a@example.org>; Tue, 24 Nov 2026 14:03:31 +0000',
  )
  assert.doesNotMatch(receivedField(envelope, 'mx1', ['a@x', 'b@x']), /for/)
  assert.doesNotMatch(receivedField(envelope, 'mx1', ['é@x']), /for/)
  const ours = receivedField(envelopeOf({ kind: 'notification' }), 'mx1', ['a@x'])
  assert.match(ours, /^Received: by mx1 id m\w+\r\n\tfor <a@x>; Tue/)
})

test('a result field can neither start a new line nor be 8-bit nor too long', () => {
  const fields = [
    'X-Sallyport-A: a\r\nBcc: x',
    'X-Sallyport-B: é',
    `X-Sallyport-C: ${'c'.repeat(2000)}`,
  ]
  const lines = ourFields(envelopeOf(), 'mx1', [], fields).toString('latin1').split('\r\n')
  assert.equal(lines.length, 2 + 3 + 1)
  assert.deepEqual(lines.slice(2, 4), ['X-Sallyport-A: a Bcc: x', 'X-Sallyport-B: ?'])
  assert.equal(lines[4]?.length, 998)
})
