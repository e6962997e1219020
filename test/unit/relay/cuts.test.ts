// Parts replaced by notices: however the content comes in pieces, all else is byte-identical and the size is right.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createCutter, growthOf, noticesFor } from '../../../gateway/relay/cuts.ts'
import { openSource } from '../../../gateway/relay/source.ts'
import { temporaryFolder } from '../../support/process.ts'

const replace = (from: number, to: number, notice: string) => ({
  from,
  to,
  notice: Buffer.from(notice),
})

test('any pieces, any cuts', () => {
  const content = Buffer.from('0123456789abcdef')
  const sets = [
    [replace(0, 3, 'X'), replace(3, 3, 'Y'), replace(10, 16, '')],
    [replace(4, 9, 'a longer notice')],
    [replace(15, 16, 'Z')],
    [replace(16, 16, 'end')].slice(1),
  ]
  for (const set of sets)
    for (let size = 1; size <= content.length; size++) {
      const cut = createCutter(set)
      const pieces: Buffer[] = []
      for (let at = 0; at < content.length; at += size)
        pieces.push(...cut(content.subarray(at, at + size)))
      const expected = set
        .toReversed()
        .reduce(
          (text, { from, to, notice }) => text.slice(0, from) + notice.toString() + text.slice(to),
          content.toString(),
        )
      assert.equal(Buffer.concat(pieces).toString(), expected, `${size}`)
      assert.equal(expected.length, content.length + growthOf(set, content.length))
    }
})

test('cuts out of order, or beyond the end, are a fault and nothing is sent', async () => {
  for (const set of [
    [replace(5, 4, '')],
    [replace(0, 17, '')],
    [replace(5, 9, ''), replace(8, 10, '')],
  ])
    assert.throws(() => growthOf(set, 16))
})

test('a notice is a part of plain short lines, whatever the name', () => {
  const cut = { from: 0, to: 1, name: `a\r\n--b--\r\n${'x'.repeat(500)}ö`, why: 'elf' }
  const [made] = noticesFor([cut], {
    id: 'id-1',
    hostname: 'mx1.example.org',
    postmaster: 'p@example.org',
  })
  const text = made?.notice.toString('latin1') ?? ''
  assert.match(text, /^([\x20-\x7e]{0,78}\r\n)*[\x20-\x7e]{1,78}$/)
  assert.doesNotMatch(text, /^--/m)
  assert.match(text, /\bid-1\b/)
})

for (const size of [1_000, 100_000, 1_000_000])
  test(`a message of ${size} octets, read twice, with a forged field removed`, async () => {
    await using folder = await temporaryFolder('cuts')
    const head = 'Subject: x\r\nX-Sallyport-Removed: forged\r\n\r\n'
    const body = 'line of text\r\n'.repeat(Math.ceil(size / 14))
    const file = path.join(folder.path, 'm.eml')
    await writeFile(file, head + body)
    const content = { path: file, sizeBytes: head.length + body.length }
    const [from, to] = [head.length + 14, head.length + size - 140]
    const fields = Buffer.from('Received: x\r\n')
    await using source = await openSource(content, fields, [replace(from, to, 'notice\r\n')])
    const expected = `Received: x\r\nSubject: x\r\n\r\n${body.slice(0, 14)}notice\r\n${body.slice(to - head.length)}`
    for (let time = 0; time < 2; time++) {
      const pieces: Buffer[] = []
      for await (const piece of source.pieces()) pieces.push(piece)
      assert.equal(Buffer.concat(pieces).toString(), expected)
    }
    assert.equal(source.sizeBytes, expected.length)
  })
