// Whoever else can write to Redis can't make us relay: jobs and hints that none of us sealed count for nothing.
import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { createConsumer } from '../../../gateway/queue/consumer.ts'
import type { RelayJob } from '../../../gateway/queue/jobs.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal } from '../../../gateway/queue/seal.ts'
import { type Held, startHeld } from '../../support/held.ts'
import { temporaryFolder, until } from '../../support/process.ts'

let held: Held
before(async () => {
  held = await startHeld()
})
after(() => held[Symbol.asyncDispose]())
const socket = () => ({ path: held.redis.url.slice('unix:'.length) })

test('a forged job, and one sealed for another queue, are refused; ours is done', async () => {
  const { envelope } = await held.message()
  const forged = { ...envelope, kind: 'notification', recipients: [{ address: 'x@y.test' }] }
  const theirs = new Queue('relay', { connection: socket(), prefix: PREFIX })
  const seal = await createSeal(held.config.spool)
  const scan = seal.close('scan', JSON.stringify({ envelope: forged, attempt: 1 }))
  for (const data of [{ envelope: forged, attempt: 1 }, { sealed: `x.${scan}` }, { sealed: scan }])
    await theirs.add('relay', data)
  await theirs.add('relay', null)
  const plan = { recipients: [] }
  await held.queue.relay({ envelope, attempt: 1, plan })
  const done: RelayJob[] = []
  const refused: unknown[] = []
  await using _consumer = createConsumer<RelayJob>({
    ...{ redis: held.config.redis, queue: 'relay', concurrency: 5, seal },
    run: async job => void done.push(job),
    fault: error => refused.push(error),
  })
  await until('all jobs to be looked at', () => done.length + refused.length === 5)
  assert.deepEqual(done, [{ envelope, attempt: 1, plan }])
  for (const error of refused) assert.match(String(error), /none of us made/)
  await theirs.close()
})

test('a forged or garbled hint is not heard, and harms nobody; ours is', async () => {
  const { hints } = held
  const heard: unknown[] = []
  hints.listen('m1', hint => heard.push(hint))
  const theirs = new Redis(socket())
  using _ = { [Symbol.dispose]: () => theirs.disconnect() }
  const channel = `${PREFIX}:hint:${hints.address}`
  const reject = { id: 'm1', kind: 'reject', reply: { code: 250, enhanced: '2.0.0', text: 'ok' } }
  const nobody = async () => (await theirs.publish(channel, 'garbage')) === 1
  await until('somebody to listen', nobody)
  await theirs.publish(channel, JSON.stringify(reject))
  hints.tell(hints.address, { id: 'm1', kind: 'settled' })
  await until('the hint', () => heard.length > 0)
  assert.deepEqual(heard, [{ id: 'm1', kind: 'settled' }])
})

test('one key for a spool, for its owner alone; what is none is not taken for one', async () => {
  await using folder = await temporaryFolder()
  const seals = await Promise.all(Array.from({ length: 8 }, () => createSeal(folder.path)))
  const [first] = seals
  for (const seal of seals) assert.equal(seal.open('a', first?.close('a', 'x.y')), 'x.y')
  for (const wrong of ['', '.', 'x', undefined, first?.close('b', 'x.y')])
    assert.equal(first?.open('a', wrong), undefined)
  const file = path.join(folder.path, 'queue.key')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await writeFile(file, '')
  await assert.rejects(createSeal(folder.path), /is not a key/)
})
