// Content held in memory for all scanners of a message: the same octets, or none at all.
import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, test } from 'node:test'
import { held, octetsOf, piecesOf } from '../../../scanners/content.ts'
import { createScratch } from '../../../scanners/mime/octets.ts'
import { temporaryFolder } from '../../support/process.ts'

const folder = await temporaryFolder('content')
after(() => folder[Symbol.asyncDispose]())

async function write(octets: Buffer) {
  const file = path.join(folder.path, `${octets.length}.eml`)
  await writeFile(file, octets)
  return { path: file, sizeBytes: octets.length }
}

async function collected(content: Parameters<typeof piecesOf>[0]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(piecesOf(content)))
}

test('small content is read once: what the file becomes later changes nothing', async () => {
  const octets = Buffer.alloc(100_000, 'Subject: small\r\n')
  const content = held(await write(octets))
  await truncate(content.path)
  assert.deepEqual(await collected(content), octets)
  using scratch = createScratch(folder.path)
  const whole = octetsOf(content, scratch)
  assert.deepEqual(whole.slice(0, whole.sizeBytes), octets)
  assert.equal(held(content), content)
})

test('large content stays in its file', async () => {
  const octets = Buffer.alloc(262_145, 'x')
  const content = await write(octets)
  assert.equal(held(content), content)
  assert.deepEqual(await collected(content), octets)
})

test('a file that is gone, shorter or longer than it should be is not held', async () => {
  const content = await write(Buffer.from('Subject: changed\r\n'))
  for (const sizeBytes of [content.sizeBytes - 1, content.sizeBytes + 1]) {
    const other = { ...content, sizeBytes }
    assert.equal(held(other), other)
  }
  const gone = { path: path.join(folder.path, 'gone'), sizeBytes: 1 }
  assert.equal(held(gone), gone)
})
