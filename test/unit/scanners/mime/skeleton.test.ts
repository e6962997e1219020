// What an engine is given instead of a message: by the book everything but clean base64 it has already, else all.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../../scanners/mime/limits.ts'
import { createScratch, inMemory } from '../../../../scanners/mime/octets.ts'
import { readLeaves } from '../../../../scanners/mime/reader.ts'
import type { Range } from '../../../../scanners/mime/session.ts'
import { rest, skeletonOf } from '../../../../scanners/mime/skeleton.ts'
import { EICAR } from '../../../support/eicar.ts'
import { attached, BASE64, b64, CRLF, FILE, mail, mixed, TOP, uu } from './building.ts'
import { variants } from './variants.ts'

type Reading = { cuts: Range[]; skeleton: Buffer | undefined; leaves: Buffer[] }

async function readingOf(message: Buffer): Promise<Reading> {
  using scratch = createScratch(tmpdir())
  const [cuts, leaves]: [Range[], Buffer[]] = [[], []]
  const { signal } = new AbortController()
  for await (const { octets } of readLeaves(
    inMemory(message),
    scratch,
    signal,
    LIMITS,
    undefined,
    cuts,
  ))
    leaves.push(octets.slice(0, octets.sizeBytes))
  const skeleton = cuts.length > 0 ? skeletonOf(inMemory(message), cuts) : undefined
  return { cuts, leaves, skeleton: skeleton?.slice(0, skeleton.sizeBytes) }
}

const digest = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex')

/** Each octet of the message is in the skeleton, in its place, or in base64 to the letter of which the rest is a leaf. */
function assertCovered(message: Buffer, { cuts, skeleton, leaves }: Reading): void {
  assert.ok(skeleton)
  const inOrder = cuts.toSorted((a, b) => a.from - b.from)
  const kept = rest(inOrder, message.length) ?? []
  const pieces = kept.map(({ from, to }) => message.subarray(from, to))
  assert.deepEqual(skeleton, Buffer.concat(pieces))
  const given = new Set(leaves.map(digest))
  for (const { from, to } of cuts) {
    const text = message.toString('latin1', from, to)
    assert.match(text, /^(?:[A-Za-z0-9+/]{4,76}\r\n)*[A-Za-z0-9+/]{2,76}={0,2}(?:\r\n)*$/)
    assert.ok(text.split(CRLF).every(line => line.length % 4 === 0))
    assert.ok(given.has(digest(Buffer.from(text, 'base64'))))
  }
}

const data = randomBytes(30_000)
const LARGE = b64(data)
const PART = [FILE, BASE64, '', LARGE]

test('a message by the book is given without the attachment that is given as a file', async () => {
  const message = attached(data)
  const reading = await readingOf(message)
  assertCovered(message, reading)
  assert.ok(reading.skeleton && reading.skeleton.length < 1_000)
  assert.ok(reading.leaves.some(leaf => leaf.equals(data)))
})

/** Written in these ways by usual programs. */
const USUAL: Record<string, Buffer> = {
  'the only body': mail(FILE, BASE64, '', LARGE),
  'lines of 60': mixed([FILE, BASE64, '', b64(data, 60)]),
  'an empty line behind': mixed([FILE, BASE64, '', LARGE, '']),
  'field names in lower case': mixed([FILE.toLowerCase(), BASE64.toLowerCase(), '', LARGE]),
  'an unusual boundary': mixed(PART, 'multipart/mixed; boundary="=_(x):y/z?"', '=_(x):y/z?'),
  'folded fields': mixed([
    'Content-Type: application/pdf;',
    "\tname*0*=UTF-8''%C3%A4;",
    ' x="y"',
    BASE64,
    '',
    LARGE,
  ]),
  'a name in an encoded-word': mixed([
    'Content-Type: application/pdf; name="=?utf-8?B?w6QucGRm?="',
    BASE64,
    '',
    LARGE,
  ]),
  'a signature in the text': mixed([
    'Content-Type: text/plain',
    '',
    'Hello',
    '-- ',
    'Bob',
    '--bb',
    ...PART,
  ]),
  'the same twice': mixed([...PART, '--bb', ...PART]),
  'within another multipart': mixed([
    'Content-Type: multipart/related; boundary=cc',
    '',
    '--cc',
    ...PART,
    '--cc--',
  ]),
}
for (const [name, message] of Object.entries(USUAL))
  test(`by the book: ${name}`, async () => {
    const reading = await readingOf(message)
    assertCovered(message, reading)
    assert.ok(reading.skeleton && reading.skeleton.length < 2_000)
  })

const swap = (from: string | RegExp, to: string): Buffer =>
  Buffer.from(mixed(PART).toString('latin1').replace(from, to), 'latin1')

/** Somebody could find something in the missing octets that is not in what they decode to. */
const DOUBTFUL: Record<string, Buffer> = {
  'two encodings': mixed([FILE, BASE64, 'Content-Transfer-Encoding: 7bit', '', LARGE]),
  'an encoding with a comment': mixed([FILE, `${BASE64} (really)`, '', LARGE]),
  'an encoding misspelt': mixed([FILE, 'Content-Transfer-Encoding: base-64', '', LARGE]),
  'an encoding with white space before its colon': mixed([
    FILE,
    'Content-Transfer-Encoding : base64',
    '',
    LARGE,
  ]),
  'two types': mixed([FILE, 'Content-Type: text/html', BASE64, '', LARGE]),
  'a type with a comment': mixed(['Content-Type: application/(x)pdf', BASE64, '', LARGE]),
  'an encoded-word that is a boundary': mixed([
    'Content-Type: application/pdf; name="=?us-ascii?q?a=22;_boundary=3D=22cc?="',
    BASE64,
    '',
    LARGE,
  ]),
  'no blank line': mixed([FILE, BASE64, LARGE]),
  'white space for a blank line': mixed([FILE, BASE64, ' ', '', LARGE]),
  'a junk line in the fields': mixed([FILE, 'junk', BASE64, '', LARGE]),
  'a long line': mixed([FILE, BASE64, '', b64(data, 80)]),
  'lines of odd length': mixed([FILE, BASE64, '', b64(data, 75)]),
  'a comma in it': mixed([FILE, BASE64, '', LARGE.replace(/.{40}/, '$&,')]),
  'the URL alphabet': mixed([FILE, BASE64, '', LARGE.replaceAll('+', '-')]),
  'padding in the middle': mixed([FILE, BASE64, '', `${b64('ab')}${CRLF}${LARGE}`]),
  'a space at the end of a line': mixed([FILE, BASE64, '', LARGE.replace(CRLF, ` ${CRLF}`)]),
  'an empty line in the middle': mixed([FILE, BASE64, '', LARGE.replace(CRLF, CRLF + CRLF)]),
  'missing padding': mixed([FILE, BASE64, '', b64(data.subarray(1)).replace(/=+$/, '')]),
  'a footer': mixed([...PART, '', '_____', 'A list']),
  'text behind the padding': mixed([...PART, 'QUJD']),
  'the boundary twice': mixed(PART, 'multipart/mixed; boundary=bb; boundary=cc'),
  'the boundary in pieces': mixed(PART, 'multipart/mixed; boundary*0=b; boundary*1=b'),
  'the boundary encoded': mixed(PART, "multipart/mixed; boundary*=us-ascii''bb"),
  'the boundary in a comment': mixed(PART, 'multipart/mixed; (boundary=cc) boundary=bb'),
  'the boundary without its final quote': mixed(PART, 'multipart/mixed; boundary="bb'),
  'the boundary without a semicolon': mixed(PART, 'multipart/mixed boundary=bb'),
  'white space around its sign': mixed(PART, 'multipart/mixed; boundary = bb'),
  'no boundary': mixed(PART, 'multipart/mixed'),
  'a boundary of no multipart': mixed(PART, 'application/x; boundary=bb'),
  'the multipart encoded': Buffer.from(
    mixed(PART)
      .toString('latin1')
      .replace('boundary="bb"', `boundary="bb"${CRLF}Content-Transfer-Encoding: quoted-printable`),
    'latin1',
  ),
  'no final boundary': swap('--bb--', ''),
  'white space behind a delimiter': swap(/--bb\r\n/g, `--bb \t${CRLF}`),
  'an inner boundary that begins as the outer': mixed([
    'Content-Type: multipart/mixed; boundary=bbb',
    '',
    '--bbb',
    ...PART,
    '--bbb--',
  ]),
  'an inner boundary that is never closed': mixed([
    'Content-Type: multipart/mixed; boundary=cc',
    '',
    '--cc',
    ...PART,
  ]),
  'behind the end': mixed(['Content-Type: text/plain', '', 'x', '--bb--', '--bb', ...PART]),
  'in the preamble': swap('Preamble.', `--cc${CRLF}${PART.join(CRLF)}${CRLF}--cc`),
  'fields in a text': mixed([
    'Content-Type: text/plain',
    '',
    'Content-Type: text/html',
    '',
    '--bb',
    ...PART,
  ]),
  'uuencode that begins in a text': mixed([
    'Content-Type: text/plain',
    '',
    uu(EICAR).split(CRLF)[0] ?? '',
    '--bb',
    ...PART,
  ]),
  'yEnc that begins in a preamble': swap('Preamble.', '=ybegin line=128 size=1 name=a'),
  'a forward': mixed(['Content-Type: message/rfc822', '', mail(...PART).toString('latin1')]),
  'no MIME-Version': Buffer.from(
    mixed(PART)
      .toString('latin1')
      .replace(/MIME-Version.*\r\n/, ''),
    'latin1',
  ),
  'an mbox line in front': Buffer.concat([Buffer.from(`From alice${CRLF}`), mixed(PART)]),
  'a NUL': swap('Preamble.', 'a\0b'),
  'a bare line feed': swap('Preamble.', 'a\nb'),
  'as HTML': mixed(['Content-Type: text/html; name=a.html', BASE64, '', LARGE]),
  'named like HTML': mixed([
    'Content-Type: application/pdf',
    'Content-Disposition: attachment; filename="a.html"',
    BASE64,
    '',
    LARGE,
  ]),
  'a field folded with nothing': mixed([FILE, 'X: y', '  ', BASE64, '', LARGE]),
  'a name without anything': Buffer.from(`${TOP.join(CRLF)}${CRLF}${CRLF}${LARGE}`),
}
for (const [name, message] of Object.entries(DOUBTFUL))
  test(`not by the book: ${name}`, async () => {
    const { skeleton } = await readingOf(message)
    assert.ok(skeleton === undefined || skeleton.length === message.length)
  })

test('every variant: the payload made large is never missing from skeleton and leaves', async () => {
  const payload = EICAR.padEnd(3_300, EICAR)
  let shorter = 0
  for (const { name, build } of variants) {
    const message = build(payload)
    const reading = await readingOf(message)
    if (!reading.skeleton) continue
    shorter++
    assertCovered(message, reading)
    assert.ok(
      reading.leaves.some(leaf => leaf.includes(EICAR) || leaf.indexOf('PK') === 0),
      name,
    )
  }
  assert.ok(shorter >= 5, `${shorter} of ${variants.length}`)
})

test('whatever is done to the text of a message, each octet is somewhere', async () => {
  const base = USUAL['within another multipart']?.toString('latin1') ?? ''
  const [head = '', tail = ''] = [base.slice(0, base.indexOf(LARGE)), base.slice(-40)]
  const scraps = ['--bb', '--cc--', CRLF, ' ', ';', '=', '"', FILE, BASE64, 'QUJD', '-', '\t', '\0']
  const place = fc.record({ at: fc.nat(1_000), scrap: fc.constantFrom(...scraps), cut: fc.nat(3) })
  let shorter = 0
  await fc.assert(
    fc.asyncProperty(fc.array(place, { maxLength: 3 }), fc.boolean(), async (changes, inTail) => {
      let [front, back] = [head, tail]
      const change = (text: string, { at, scrap, cut }: (typeof changes)[0]): string =>
        text.slice(0, at % text.length) + scrap + text.slice((at % text.length) + cut)
      for (const each of changes)
        if (inTail) back = change(back, each)
        else front = change(front, each)
      const middle = base.slice(head.length, base.length - tail.length)
      const message = Buffer.from(front + middle + back, 'latin1')
      const reading = await readingOf(message)
      if (reading.skeleton) shorter++
      if (reading.skeleton) assertCovered(message, reading)
    }),
    { numRuns: 400 },
  )
  assert.ok(shorter > 0)
})
