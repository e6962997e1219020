// What is in a message, by its octets and names, in archives too; bounded; and where it can be cut out.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createAttachments } from '../../../../scanners/attachments/attachments.ts'
import type { Attachment, Verdict } from '../../../../scanners/scanner.ts'
import { attachment, plainMessage } from '../../../support/eicar.ts'
import { type Messages, messages } from '../fixtures.ts'
import { b64, CRLF, mail, uu } from '../mime/building.ts'
import { FILES, HARMLESS, PE, tarOf, zipOf } from './files.ts'

let folder: Messages
const scanner = createAttachments({ deadlineMs: 25_000, spans: true })
before(async () => {
  folder = await messages()
})
after(() => folder[Symbol.asyncDispose]())

async function scan(content: Buffer): Promise<Verdict> {
  const { verdict } = await scanner.scan(await folder.write(content), new AbortController().signal)
  return verdict
}
async function found(content: Buffer): Promise<Attachment[]> {
  const verdict = await scan(content)
  if (verdict.kind === 'clean') return []
  assert.ok(verdict.kind === 'attachments', JSON.stringify(verdict))
  // Some are so small that nobody can open them.
  const unread = verdict.unread?.filter(reason => reason !== 'unsupported-archive') ?? []
  assert.deepEqual(unread, [])
  return verdict.found
}
const kindsIn = async (content: Buffer): Promise<string[]> => [
  ...new Set((await found(content)).flatMap(file => file.kinds)),
]
const namesIn = async (content: Buffer): Promise<string[]> =>
  (await found(content)).flatMap(file => file.names)

for (const [kind, files] of Object.entries(FILES))
  for (const [i, file] of files.entries())
    test(`${kind} ${i + 1}, whatever it is called`, async () => {
      const kinds = await kindsIn(attachment({}, 'holiday.dat', file))
      assert.ok(kinds.includes(kind), kinds.join())
      const others = kinds.filter(k => k !== kind && !/macro/.test(k))
      assert.deepEqual(others, [])
    })

for (const [what, file] of Object.entries(HARMLESS))
  test(`nothing: ${what}`, async () => {
    assert.deepEqual(await kindsIn(attachment({}, 'holiday.dat', file)), [])
  })

test('a message without files is clean, whatever it speaks of', async () => {
  const body = 'Write to command.com@example.org, run setup.exe, filename="evil.exe"'
  assert.deepEqual(await scan(plainMessage({ body })), { kind: 'clean' })
})

test('a program that calls itself a picture is a mismatch', async () => {
  const kinds = await kindsIn(attachment({}, 'holiday.jpg', PE))
  assert.deepEqual(kinds, ['windows-executable', 'mismatch'])
})

test('names and kinds are seen in archives in archives', async () => {
  const inner = zipOf({ 'docs/invoice.pdf.exe': PE, 'note.txt': 'x' })
  const archives: Record<string, Buffer> = {
    'zip in zip': zipOf({ 'inner.zip': inner }),
    'zip in stored zip': zipOf({ 'inner.dat': inner }, 'stored'),
    'zip in tar.gz': gzipSync(tarOf({ 'inner.zip': inner })),
    'zip behind a picture': Buffer.concat([Buffer.from('\x89PNG\r\n'), inner]),
  }
  for (const [what, archive] of Object.entries(archives)) {
    const files = await found(attachment({}, 'a.dat', archive))
    const file = files.find(each => each.names.includes('invoice.pdf.exe'))
    assert.ok(file?.packed, what)
    for (const kind of ['windows-executable', 'double-extension'])
      assert.ok((file.kinds as string[]).includes(kind), `${what}: ${file.kinds}`)
  }
})

test('a name is seen that only the directory of a zip has, or only the local header', async () => {
  const archive = zipOf({ 'aaaa.exe': 'x' })
  for (const at of [archive.indexOf('aaaa.exe'), archive.lastIndexOf('aaaa.exe')]) {
    const lying = Buffer.from(archive)
    lying.write('aaaa.txt', at)
    const names = await namesIn(attachment({}, 'a.zip', lying))
    assert.ok(names.includes('aaaa.exe') && names.includes('aaaa.txt'), names.join())
  }
})

test('what a document is made of is not told, but what does not belong in it', async () => {
  const inside = { '[Content_Types].xml': 'x', 'word/document.xml': 'x', 'word/evil.js': 'x' }
  const names = await namesIn(attachment({}, 'a.docx', zipOf(inside)))
  assert.deepEqual(names.sort(), ['a.docx', 'evil.js'])
})

test('the same file twice is told twice', async () => {
  const part = (name: string) => [
    '--b',
    `Content-Type: application/octet-stream; name="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    b64(zipOf({ 'x.exe': PE })),
  ]
  const top = 'Content-Type: multipart/mixed; boundary=b'
  const files = await found(mail(top, '', ...part('a.zip'), ...part('b.zip'), '--b--'))
  assert.deepEqual(files.map(file => file.names[0]).sort(), ['a.zip', 'b.zip', 'x.exe', 'x.exe'])
})

test('uuencoded files have the name of their first line', async () => {
  const [file] = await found(mail('', 'Hello', uu(PE.toString('latin1'), 'evil.exe'), 'bye'))
  assert.deepEqual(file?.names, ['evil.exe'])
  assert.ok(file?.kinds.includes('windows-executable'))
})

test('a forwarded message is looked into, whatever its encoding; its subject is no program', async () => {
  const inner = attachment({}, 'evil.js', Buffer.from('var a'))
  const top = ['Content-Type: message/rfc822; name="Your order at example.com"']
  const encoded = [...top, 'Content-Transfer-Encoding: base64', '', b64(inner)]
  for (const lines of [[...top, '', inner.toString('latin1')], encoded]) {
    const names = await namesIn(
      mail('Content-Type: multipart/mixed; boundary=b', '', '--b', ...lines, '--b--'),
    )
    assert.ok(names.includes('evil.js'))
    assert.ok(names.includes('Your order at example.com.eml'), names.join())
  }
})

test('archives beyond depth and number are not silently passed over', async () => {
  let deep = zipOf({ 'evil.exe': PE })
  for (let i = 0; i < 12; i++) deep = zipOf({ 'a.zip': deep }, 'stored')
  const tooDeep = await scan(attachment({}, 'a.zip', deep))
  assert.ok(tooDeep.kind === 'attachments' && tooDeep.unread !== undefined)
  const many = Object.fromEntries(Array.from({ length: 21_000 }, (_, i) => [`${i}.txt`, '']))
  const startedAt = process.cpuUsage()
  const tooMany = await scan(attachment({}, 'a.zip', zipOf(many, 'stored')))
  assert.ok(process.cpuUsage(startedAt).user < 5e6)
  assert.ok(tooMany.kind === 'attachments' && tooMany.unread?.includes('too-many'))
})

test('a bomb ends at the limit, in little time', async () => {
  const startedAt = process.cpuUsage()
  const bomb = zipOf({ 'b.zip': Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(3e8)]) })
  const verdict = await scan(attachment({}, 'a.zip', bomb))
  assert.ok(
    verdict.kind === 'attachments' && verdict.unread?.includes('too-large'),
    JSON.stringify(verdict),
  )
  assert.ok(process.cpuUsage(startedAt).user < 4e6)
})

const CUT = 'Content-Type: application/octet-stream; name=a.exe'
const lines = (...all: string[]) => all.join(CRLF)
const spanText = async (content: Buffer): Promise<string | undefined> => {
  const file = (await found(content)).find(each => each.names.includes('a.exe'))
  assert.ok(file)
  return file.span && content.toString('latin1', file.span.from, file.span.to)
}

test('a part that stands where everybody sees it can be cut out', async () => {
  const part = lines(CUT, '', 'data')
  const inner = ['Content-Type: multipart/mixed; boundary="c"', '', '--c', part, '--c--']
  const message = ['Content-Type: message/rfc822', '', 'Subject: x', ...inner]
  for (const body of [[part], inner, message]) {
    const top = 'Content-Type: multipart/mixed; boundary="b"'
    assert.equal(await spanText(mail(top, '', '--b', ...body, '--b--', '')), part)
  }
})

test('a part whose place is disputed, signed or hidden cannot', async () => {
  const part = ['--b', CUT, '', 'data']
  const of = (type: string, ...body: string[]) => mail(`Content-Type: ${type}`, '', ...body)
  const whole = of('multipart/mixed; boundary="b"', ...part, '--b--').toString('latin1')
  const disputed: Record<string, Buffer> = {
    'two boundaries': of('multipart/mixed; boundary="b"; boundary="c"', ...part, '--b--'),
    'a comment': of('multipart/mixed; boundary="b" (x)', ...part, '--b--'),
    'two Content-Types': Buffer.from(
      whole.replace('Content-Type', 'Content-Type: text/plain\r\nContent-Type'),
      'latin1',
    ),
    'RFC 2231': of("multipart/mixed; boundary*=us-ascii''b", ...part, '--b--'),
    'no last delimiter': of('multipart/mixed; boundary="b"', ...part),
    signed: of('multipart/signed; boundary="b"; micalg=x', ...part, '--b--'),
    'the message itself': mail(CUT, '', 'data'),
    encoded: of(
      'multipart/mixed; boundary="x"',
      '--x',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: base64',
      '',
      b64(whole),
      '--x--',
    ),
  }
  for (const [what, content] of Object.entries(disputed))
    assert.equal(await spanText(content), undefined, what)
})

test('no verdict in time is a failure, not a clean message', async () => {
  const message = await folder.write(attachment({}, 'a.exe', PE))
  const { verdict } = await scanner.scan(message, AbortSignal.abort())
  assert.equal(verdict.kind, 'failed')
})
