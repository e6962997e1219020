// Content on its way to the store: in whatever order client and disk come to an end, nothing half is ever received.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import type { IncomingStore } from '../../../gateway/receive/answer.ts'
import { receiveContent } from '../../../gateway/receive/content.ts'
import type { ContentLimits } from '../../../gateway/receive/data.ts'
import { temporaryFolder, until } from '../../support/process.ts'
import { folderStore, slowStore } from '../../support/receive.ts'

const MiB = 1024 * 1024
const LIMITS: ContentLimits = {
  sizeBytes: 20 * MiB,
  hops: 3,
  headerSectionBytes: 200,
  headerFields: 8,
  headerFolds: 4,
}
const PACE = { deadlineMs: 20_000, minRate: 0, windowMs: 60_000 }
const LINES = Buffer.from(`${'x'.repeat(62)}\r\n`.repeat(1024))

describe('content', { concurrency: 4 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let plain: IncomingStore
  before(async () => {
    folder = await temporaryFolder('content')
    plain = folderStore(folder.path)
  })
  after(() => folder[Symbol.asyncDispose]())

  const kept = async (id: string) =>
    (await readdir(folder.path)).filter(name => name.startsWith(id)).length

  it('that is small is written in one piece of work, and is what was sent', async () => {
    const told = { writes: 0 }
    const store = slowStore(plain, 0, told)
    const id = plain.newId()
    const source = new PassThrough()
    const received = receiveContent(id, source, store, LIMITS, PACE)
    source.end('a: b\r\n\r\nhello\r\n')
    const sha256 = createHash('sha256').update('a: b\r\n\r\nhello\r\n').digest('hex')
    assert.deepEqual(await received, { kind: 'received', sizeBytes: 15, eightBit: false, sha256 })
    assert.equal(await readFile(plain.contentPath(id), 'utf8'), 'a: b\r\n\r\nhello\r\n')
    assert.equal(told.writes, 1)
  })

  it('waits for a slow disk with little in memory, and is what was sent', async () => {
    const told = { writes: 0 }
    const id = plain.newId()
    const source = new PassThrough()
    const received = receiveContent(id, source, slowStore(plain, 20, told), LIMITS, PACE)
    const hash = createHash('sha256')
    let sent = 0
    for (const chunk of [Buffer.from('a: b\r\n\r\n'), ...Array(64).fill(LINES)]) {
      hash.update(chunk)
      sent += chunk.length
      if (!source.write(chunk)) await new Promise(resolve => source.once('drain', resolve))
      // Two rounds of 128 KiB in the file's hands, the stream's own two, and the pieces at their edges.
      assert.ok(sent - (await size(id)) < 8 * LINES.length, 'held in memory')
    }
    source.end()
    const end = await received
    assert.ok(end.kind === 'received')
    assert.equal(end.sha256, hash.digest('hex'))
    assert.equal(
      createHash('sha256')
        .update(await readFile(plain.contentPath(id)))
        .digest('hex'),
      end.sha256,
    )
  })
  const size = async (id: string) => (await readFile(plain.contentPath(id)).catch(() => '')).length

  it('gives back each piece once it is written, and not before', async () => {
    const id = plain.newId()
    const sizes: [free: number, written: number][] = []
    let freed = 0
    const source = Object.assign(new PassThrough(), {
      free(piece: Buffer) {
        freed += piece.length
        sizes.push([freed, statSync(plain.contentPath(id)).size])
      },
    })
    const received = receiveContent(id, source, slowStore(plain, 5), LIMITS, PACE)
    source.write('a: b\r\n\r\n')
    for (let i = 0; i < 8; i++) source.write(LINES)
    source.end()
    assert.equal((await received).kind, 'received')
    assert.equal(freed, 8 + 8 * LINES.length)
    for (const [free, written] of sizes) assert.ok(free <= written, `${free} of ${written}`)
  })

  it('gives back what is refused, too', async () => {
    const pieces: Buffer[] = []
    const source = Object.assign(new PassThrough(), {
      free: (piece: Buffer) => void pieces.push(piece),
    })
    const received = receiveContent(plain.newId(), source, slowStore(plain, 5), LIMITS, PACE)
    for (const chunk of [Buffer.from('a: b\r\n\r\n'), LINES, LINES, Buffer.from('\n'), LINES])
      source.write(chunk)
    source.end()
    assert.equal((await received).kind, 'refused')
    assert.equal(Buffer.concat(pieces).length, 9 + 3 * LINES.length)
  })

  const ends: [what: string, end: (source: PassThrough) => void][] = [
    ['without a word', source => source.destroy()],
    ['with an error', source => source.destroy(new Error('gone'))],
  ]
  for (const [what, end] of ends) {
    it(`is lost when its stream is destroyed ${what}, even in front of a slow disk`, async () => {
      const told = { writes: 0 }
      const id = plain.newId()
      const source = new PassThrough()
      const received = receiveContent(id, source, slowStore(plain, 50, told), LIMITS, PACE)
      source.write('a: b\r\n\r\n')
      for (let i = 0; i < 4; i++) source.write(LINES)
      await until('a write', () => told.writes > 0)
      end(source)
      assert.deepEqual(await received, { kind: 'lost' })
      assert.equal(await kept(id), 0)
    })

    it(`is lost when its stream is destroyed ${what} before the store has opened`, async () => {
      const id = plain.newId()
      const source = new PassThrough()
      const opening = Promise.withResolvers<void>()
      const store: IncomingStore = {
        ...plain,
        async openContent(which) {
          await opening.promise
          return await plain.openContent(which)
        },
      }
      const received = receiveContent(id, source, store, LIMITS, PACE)
      end(source)
      setImmediate(opening.resolve)
      assert.deepEqual(await received, { kind: 'lost' })
      assert.equal(await kept(id), 0)
    })
  }

  it('is lost when its stream was destroyed before', async () => {
    const id = plain.newId()
    const source = new PassThrough()
    source.destroy()
    await new Promise(resolve => source.once('close', resolve))
    assert.deepEqual(await receiveContent(id, source, plain, LIMITS, PACE), { kind: 'lost' })
    assert.equal(await kept(id), 0)
  })

  it('is refused at its end where the store is full only when it closes', async () => {
    const id = plain.newId()
    const source = new PassThrough()
    const store: IncomingStore = {
      ...plain,
      async openContent(which) {
        const file = await plain.openContent(which)
        const close = file.close.bind(file)
        file.close = async () => {
          await close()
          throw Object.assign(new Error('told so'), { code: 'EDQUOT' })
        }
        return file
      },
    }
    const received = receiveContent(id, source, store, LIMITS, PACE)
    source.end('a: b\r\n\r\n')
    const end = await received
    assert.ok(end.kind === 'refused')
    assert.equal(end.refusal.reply.code, 452)
    assert.equal(end.hangUp, false)
    assert.equal(await kept(id), 0)
  })

  it('is swallowed up to a bound once refused, and then its stream is destroyed', async () => {
    const limits = { ...LIMITS, sizeBytes: 2 * MiB }
    const short = new PassThrough()
    const politely = receiveContent(plain.newId(), short, plain, limits, PACE)
    short.write('a\nb')
    for (let i = 0; i < 20; i++) short.write(LINES)
    short.end()
    const told = await politely
    assert.ok(told.kind === 'refused')
    assert.deepEqual([told.refusal.reason, told.hangUp], ['bare-newline', false])

    const endless = new PassThrough()
    const hangUp = receiveContent(plain.newId(), endless, plain, limits, PACE)
    endless.write('a\nb')
    let sent = 0
    while (!endless.destroyed) {
      endless.write(LINES)
      sent += LINES.length
      await new Promise(setImmediate)
    }
    const end = await hangUp
    assert.ok(end.kind === 'refused')
    assert.deepEqual([end.refusal.reason, end.hangUp], ['bare-newline', true])
    assert.ok(sent >= 2 * MiB && sent < 3 * MiB, `${sent} octets swallowed`)
  })

  it('does not make a client pay for a slow disk', async () => {
    const told = { writes: 0 }
    const pace = { deadlineMs: 20_000, minRate: 1, windowMs: 20 }
    const source = new PassThrough()
    const received = receiveContent(
      plain.newId(),
      source,
      slowStore(plain, 150, told),
      LIMITS,
      pace,
    )
    source.write('a: b\r\n\r\n')
    for (let i = 0; i < 4; i++) source.write(LINES)
    await until('two writes', () => told.writes > 1)
    source.end()
    assert.equal((await received).kind, 'received')
  })
})
