// Names of files as mail programs read them: every trick to hide an extension, and names that hide nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kindsOfNames } from '../../../../scanners/attachments/kinds.ts'
import { namesOf, onDisk, typesOf } from '../../../../scanners/attachments/names.ts'

const b64 = (text: string): string => Buffer.from(text).toString('base64')
const disposition = (...values: string[]) =>
  namesOf(values.map(value => ({ name: 'content-disposition', value })))

/** Values of Content-Disposition that some mail program saves as `evil.exe`. */
const EVIL: Record<string, string> = {
  plain: 'attachment; filename=evil.exe',
  quoted: 'attachment; filename="evil.exe"',
  'case and spaces': 'ATTACHMENT ; FileName = "evil.exe" ; size=1',
  'encoded-word in quotes': `attachment; filename="=?utf-8?B?${b64('evil.exe')}?="`,
  'encoded-word in two': 'attachment; filename="=?utf-8?Q?ev?= =?utf-8?Q?il=2Eexe?="',
  'octets of base64 over two words': `attachment; filename="=?utf-8?B?${b64('evil')}?= =?utf-8?B?${b64('.exe')}?="`,
  'encoded-word in UTF-16': `attachment; filename="=?utf-16le?B?${Buffer.from('evil.exe', 'utf16le').toString('base64')}?="`,
  'encoded-word in UTF-7': 'attachment; filename="=?utf-7?Q?evil+AC4-exe?="',
  'encoded-word with a language': 'attachment; filename="=?utf-8*en?Q?evil.exe?="',
  'RFC 2231': "attachment; filename*=utf-8''evil%2Eexe",
  'RFC 2231 without its charset': 'attachment; filename*=evil%2Eexe',
  continuations: 'attachment; filename*0="ev"; filename*1="il.exe"',
  'continuations in disorder': 'attachment; filename*1=il.exe; filename*0=ev',
  'continuations, some decoded':
    'attachment; filename*0*=utf-8\'\'ev%69l; filename*1=".e"; filename*2*=x%65',
  'continuations of encoded-words': `attachment; filename*0="=?utf-8?B?${b64('evil').slice(0, 4)}"; filename*1="${b64('evil.exe').slice(4)}?="`,
  'harmless name first': 'attachment; filename="a.txt"; filename="evil.exe"',
  'without its last mark': 'attachment; filename="evil.exe',
  'broken marks': 'attachment; filename="evil".exe',
  'single marks': "attachment; filename='evil.exe'",
  'escaped letters': 'attachment; filename="evil\\.exe"',
  comment: 'attachment; filename=(x)"evil.exe"(y)',
  'a folder': 'attachment; filename="C:\\temp\\evil.exe"',
  'a folder of Unix': 'attachment; filename="../../evil.exe"',
  'dots and spaces at the end': 'attachment; filename="evil.exe. . "',
  'NTFS stream': 'attachment; filename="evil.exe::$DATA"',
  NUL: "attachment; filename*=utf-8''evil.exe%00.txt",
  'full-width dot': "attachment; filename*=utf-8''evil%EF%BC%8Eexe",
  'zero-width space': "attachment; filename*=utf-8''evil.%E2%80%8Bexe",
  'percent signs where they mean nothing': 'attachment; filename="evil%2Eexe"',
}
for (const [what, value] of Object.entries(EVIL))
  test(`evil.exe: ${what}`, () => {
    const { names, tooMany } = disposition(value)
    assert.ok(names.includes('evil.exe'), JSON.stringify(names))
    assert.ok(!tooMany)
  })

test('both fields count, and each of several', () => {
  const fields = [
    { name: 'content-type', value: 'image/png; name="a.png"' },
    { name: 'content-type', value: 'application/pdf; name="b.pdf"' },
    { name: 'content-disposition', value: 'attachment; filename=c.doc' },
    { name: 'content-disposition', value: 'attachment; filename=d.xls' },
  ]
  assert.deepEqual(namesOf(fields).names.sort(), ['a.png', 'b.pdf', 'c.doc', 'd.xls'])
  assert.deepEqual(typesOf(fields), ['image/png', 'application/pdf'])
})

test('an ordinary name has one reading, in any writing system', () => {
  const long =
    encodeURIComponent('отчёт за третий квартал и ещё кое-что.pdf').match(/.{1,60}/g) ?? []
  const pieces = long.map((piece, i) => `filename*${i}*=${i === 0 ? "utf-8''" : ''}${piece}`)
  const ordinary: [string, string][] = [
    ['attachment; filename="report.2024.final.pdf"; size=1; x="y"', 'report.2024.final.pdf'],
    ["inline; filename*=utf-8''%D7%93%D7%95%D7%97.pdf", 'דוח.pdf'],
    [`attachment; ${pieces.join('; ')}`, 'отчёт за третий квартал и ещё кое-что.pdf'],
    [`attachment; filename="=?utf-8?B?${b64('Übersicht.xlsx')}?="`, 'Übersicht.xlsx'],
  ]
  for (const [value, name] of ordinary) {
    assert.deepEqual(disposition(value), { names: [name], turned: false, tooMany: false })
    assert.deepEqual(kindsOfNames([name], ['application/pdf'], []), [])
  }
})

test('letters turned round are told; writing from right to left is not', () => {
  assert.ok(disposition("attachment; filename*=utf-8''invoice%E2%80%AEfdp.exe").turned)
  assert.ok(!disposition("attachment; filename*=utf-8''%E2%80%AB%D7%93.pdf%E2%80%AC").turned)
})

test('double extensions, and what only looks like one', () => {
  const is = (name: string) => kindsOfNames([name], [], []).includes('double-extension')
  for (const name of [
    'invoice.pdf.exe',
    'a.doc .js',
    'a.jpg_.scr',
    `photo.png${' '.repeat(90)}.exe`,
    `photo${' '.repeat(90)}.exe`,
  ])
    assert.ok(is(name), name)
  for (const name of [
    'report.2024.final.pdf',
    'setup.exe',
    'archive.tar.gz',
    'a.min.js',
    'v1.2.3.zip',
  ])
    assert.ok(!is(name), name)
})

test('a name beyond all measure is bounded, and keeps its extension', () => {
  const [name = ''] = onDisk(`${'a'.repeat(100_000)}.exe`)
  assert.ok(name.length < 300 && name.endsWith('.exe'))
})

test('thousands of parameters cost little, and are too many', () => {
  const startedAt = process.cpuUsage()
  const many = Array.from({ length: 2000 }, (_, i) => `filename="${i}.txt"`).join('; ')
  const { names, tooMany } = disposition(`attachment; ${many}`)
  assert.ok(tooMany && names.length <= 100)
  const hostile = [
    '='.repeat(9e4),
    '"\\'.repeat(4e4),
    '=?a?q?'.repeat(1e4),
    '('.repeat(9e4),
    "filename*1*='".repeat(5e3),
    '. '.repeat(4e4),
  ]
  for (const text of hostile) disposition(`attachment; filename="${text}`)
  assert.ok(process.cpuUsage(startedAt).user < 3e6)
})
