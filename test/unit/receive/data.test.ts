// The look at content: each fault, and that chunks make no difference.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ContentCheck, type ContentLimits } from '../../../gateway/receive/data.ts'

const LIMITS: ContentLimits = {
  sizeBytes: 400,
  hops: 3,
  headerSectionBytes: 200,
  headerFields: 8,
  headerFolds: 4,
}

function look(chunks: Buffer[], limits: Partial<ContentLimits> = {}) {
  const check = new ContentCheck({ ...LIMITS, ...limits })
  const kept: Buffer[] = []
  for (const chunk of chunks) if (check.push(chunk)) kept.push(chunk)
  check.end()
  const { refusal, sizeBytes, eightBit } = check
  const reason = refusal?.reason
  // What a refusal leaves behind is thrown away: only the reason counts then.
  if (reason !== undefined) return { reason }
  return { reason, sizeBytes, eightBit, sha256: check.sha256(), kept: Buffer.concat(kept) }
}

const reasonOf = (text: string, limits: Partial<ContentLimits> = {}) =>
  look([Buffer.from(text, 'latin1')], limits).reason

const TOKENS = [
  '\r\n',
  '\r\n',
  '\r\n',
  'Received:',
  'a: b\r\n',
  ' c',
  'x',
  '\r',
  '\n',
  '\0',
  '\xff',
]
const texts = fc
  .array(fc.constantFrom(...TOKENS), { maxLength: 120 })
  .map(parts => Buffer.from(parts.join(''), 'latin1'))
const cleanTexts = fc
  .array(fc.constantFrom(...TOKENS.slice(0, 7), '.\r\n'), { maxLength: 60 })
  .map(parts => Buffer.from(parts.join(''), 'latin1'))

function cut(text: Buffer, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    chunks.push(text.subarray(at, at + size))
    at += size
  }
  return chunks
}
const sizesOf = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 })

describe('content', () => {
  it('is the same in whatever chunks it comes', () => {
    fc.assert(
      fc.property(fc.oneof(texts, cleanTexts), sizesOf, (text, sizes) => {
        assert.deepEqual(look(cut(text, sizes)), look([text]))
      }),
      { numRuns: 3000 },
    )
  })

  it('is measured and hashed', () => {
    const text = Buffer.from('Subject: x\r\n\r\nbody\xe9\r\n', 'latin1')
    const seen = look([text])
    assert.deepEqual(seen, {
      reason: undefined,
      sizeBytes: text.length,
      eightBit: true,
      sha256: createHash('sha256').update(text).digest('hex'),
      kept: text,
    })
  })

  it('may be empty', () => assert.equal(look([]).reason, undefined))

  it('has proper line ends and no NUL', () => {
    assert.equal(reasonOf('a: b\nc'), 'bare-newline')
    assert.equal(reasonOf('\n'), 'bare-newline')
    assert.equal(reasonOf('a\rb\r\n'), 'bare-newline')
    assert.equal(reasonOf('a\r\r\n'), 'bare-newline')
    assert.equal(reasonOf('a\r'), 'bare-newline')
    assert.equal(reasonOf('a\r\0\n'), 'bare-newline')
    assert.equal(reasonOf('a\0\r\n'), 'nul')
    assert.equal(reasonOf('a: b\r\n\r\n\0'), 'nul')
  })

  it('is refused for the first fault in it', () => {
    assert.equal(reasonOf('\0\n'), 'nul')
    assert.equal(reasonOf('\n\0'), 'bare-newline')
    assert.equal(reasonOf(`\r\n${'x'.repeat(398)}\n`), 'size')
    assert.equal(reasonOf(`\r\n${'x'.repeat(397)}\n`), 'bare-newline')
  })

  it('is never kept beyond the limit', () => {
    const check = new ContentCheck(LIMITS)
    let kept = 0
    for (let i = 0; i < 100; i++) if (check.push(Buffer.from('\r\n\r\n'.repeat(9)))) kept += 36
    assert.equal(kept, 396)
    assert.equal(check.refusal?.reason, 'size')
  })

  it('may have as many hops, fields and folds as are allowed, not one more', () => {
    const hops = (n: number) => `${'Received: x\r\n'.repeat(n)}\r\nReceived: body\r\n`
    assert.equal(reasonOf(hops(3)), undefined)
    assert.equal(reasonOf(hops(4)), 'loop')
    const fields = (n: number) => `${'A: b\r\n'.repeat(n)}\r\n`
    assert.equal(reasonOf(fields(8)), undefined)
    assert.equal(reasonOf(fields(9)), 'header-fields')
    const folds = (n: number) => `A: b\r\n${' c\r\n'.repeat(n - 1)}D: e\r\n f\r\n\r\n`
    assert.equal(reasonOf(folds(4)), undefined)
    assert.equal(reasonOf(folds(5)), 'header-folds')
    const section = (n: number) => `A: ${'b'.repeat(n - 7)}\r\n\r\n${'c'.repeat(50)}`
    assert.equal(reasonOf(section(200)), undefined)
    assert.equal(reasonOf(section(201)), 'header-section')
  })

  it('has a header section as long as no empty line comes', () => {
    assert.equal(reasonOf('no header at all '.repeat(20)), 'header-section')
  })
})
