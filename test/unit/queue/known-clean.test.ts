// What another gateway found clean is not looked at again, and nothing else is believed: real Redis, real clamd.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { Redis } from 'ioredis'
import { createKnownClean } from '../../../gateway/queue/known-clean.ts'
import { PREFIX } from '../../../gateway/queue/redis.ts'
import { createSeal, type Seal } from '../../../gateway/queue/seal.ts'
import { clamavSettings, createClamav } from '../../../scanners/clamav/clamav.ts'
import type { Probe } from '../../../scanners/scanner.ts'
import { createVerdictCache, KEPT_MS } from '../../../scanners/verdict-cache.ts'
import { EICAR } from '../../support/eicar.ts'
import { type Folder, temporaryFolder, until } from '../../support/process.ts'
import { type Clamd, startClamd } from '../../support/servers/clamd.ts'
import { startRedis, type TestRedis } from '../../support/servers/redis.ts'
import { type VersionedClamd, versionedClamd } from '../../support/servers/versioned-clamd.ts'
import { type Messages, messages } from '../scanners/fixtures.ts'
import { attached } from '../scanners/mime/building.ts'

let redis: TestRedis
let looker: Redis
let clamd: Clamd
let proxy: VersionedClamd
let folder: Folder
let spool: Messages
let seal: Seal
before(async () => {
  ;[redis, clamd, folder, spool] = await Promise.all([
    startRedis({ unix: true }),
    startClamd(),
    temporaryFolder('known'),
    messages(),
  ])
  looker = new Redis(redis.connection as { path: string })
  seal = await createSeal(folder.path)
  proxy = await versionedClamd(clamd.socket, path.join(folder.path, 'versioned.sock'))
})
after(async () => {
  looker.disconnect()
  await proxy[Symbol.asyncDispose]()
  await Promise.all([redis, clamd, folder, spool].map(each => each[Symbol.asyncDispose]()))
})
beforeEach(() => looker.flushall())

const patient = new AbortController().signal
const entries = () => looker.keys(`${PREFIX}:clean:*`)
const entryBecomes = (count: number) =>
  until('entries in Redis', async () => (await entries()).length === count)

/** As another process, maybe on another machine, is connected; `told` are the results of its questions. */
async function connected(by: Seal = seal) {
  const told: string[] = []
  const known = createKnownClean({
    ...{ redis: redis.url, seal: by },
    told: ({ result }) => told.push(result),
  })
  await until('Redis to answer', async () => {
    await known.leftMs('anything')
    return told.at(-1) === 'unknown'
  })
  told.length = 0
  return { ...known, told }
}

/** A gateway of its own, which shares nothing with another but Redis, the spool's key and clamd. */
async function gateway(addresses = [proxy.address]) {
  const known = await connected()
  const scanner = await createClamav(clamavSettings.parse({ addresses }), known)
  await scanner.version?.()
  return {
    scanner,
    told: known.told,
    async looksFor(data: Buffer, kind = 'clean', probe?: Probe): Promise<number> {
      const earlier = proxy.looks()
      const { verdict } = await scanner.scan(await spool.write(attached(data)), patient, probe)
      assert.equal(verdict.kind, kind)
      return proxy.looks() - earlier
    },
    async [Symbol.asyncDispose]() {
      await scanner[Symbol.asyncDispose]()
      known[Symbol.dispose]()
    },
  }
}

test('a large attachment that another gateway found clean is not looked at again, a small one is', async () => {
  await using one = await gateway()
  await using other = await gateway()
  const [large, small] = [randomBytes(200_000), randomBytes(50_000)]
  assert.equal(await one.looksFor(large), 2)
  assert.equal(await one.looksFor(small), 2)
  await entryBecomes(1)
  assert.ok((await looker.pttl((await entries())[0] ?? '')) <= KEPT_MS)
  assert.equal(await other.looksFor(large), 1, 'the message without it')
  assert.equal(await other.looksFor(small), 2)
  assert.deepEqual([one.told, other.told], [['unknown'], ['known']])
  assert.equal(await other.looksFor(large), 1)
  assert.equal(other.told.length, 1, 'and Redis is not asked again')
})

test('a canary is looked at, whatever is known of it', async () => {
  await using one = await gateway()
  await using other = await gateway()
  const data = randomBytes(200_000)
  assert.equal(await one.looksFor(data), 2)
  await entryBecomes(1)
  assert.equal(await other.looksFor(data, 'clean', {}), 2)
  assert.deepEqual(other.told, [])
})

test('a virus is never remembered, nor is what stands beside it', async () => {
  await using one = await gateway()
  await using other = await gateway()
  const infected = Buffer.concat([randomBytes(200_000), Buffer.from(EICAR)])
  await one.looksFor(infected, 'infected')
  await one.looksFor(infected, 'infected')
  assert.equal(await other.looksFor(infected, 'infected'), 1)
  assert.deepEqual([await entries(), other.told], [[], ['unknown']])
})

test('an entry that was planted, moved or kept for longer is not believed, and forgeries are told', async () => {
  using ours = await connected()
  await using other = await gateway()
  ours.keep('one', KEPT_MS)
  await entryBecomes(1)
  const [place = ''] = await entries()
  const entry = (await looker.get(place)) ?? ''
  ours.keep('two', KEPT_MS)
  await entryBecomes(2)
  const second = (await entries()).find(each => each !== place) ?? ''
  assert.ok((await ours.leftMs('two')) > 0)
  const text = `${Date.now() + KEPT_MS} two`
  const planted = [entry, text, `x.${text}`, seal.close('scan', text), '', '.']
  for (const each of planted) {
    await looker.set(second, each)
    assert.equal(await ours.leftMs('two'), 0, each)
  }
  assert.deepEqual(ours.told, ['known', ...planted.map(() => 'forged')])
  const data = randomBytes(200_000)
  await using one = await gateway()
  await one.looksFor(data)
  await entryBecomes(3)
  for (const each of await entries()) await looker.set(each, entry)
  assert.equal(await other.looksFor(data), 2)
  ours.keep('short', 30)
  await until('it to be there', async () => {
    for (const each of await entries()) await looker.persist(each)
    return (await entries()).length === 4
  })
  await until('its time to be over', async () => (await ours.leftMs('short')) === 0)
  assert.equal((await entries()).length, 4, 'although Redis still has it')
})

test('gateways with another key neither believe one another nor get in their way', async () => {
  await using elsewhere = await temporaryFolder('known')
  using ours = await connected()
  using theirs = await connected(await createSeal(elsewhere.path))
  ours.keep('one', KEPT_MS)
  await entryBecomes(1)
  assert.equal(await theirs.leftMs('one'), 0)
  theirs.keep('one', KEPT_MS)
  await entryBecomes(2)
  assert.ok((await ours.leftMs('one')) > 0)
})

test('other signatures, and everything is looked at again', async () => {
  await using one = await gateway()
  const data = randomBytes(200_000)
  await one.looksFor(data)
  await entryBecomes(1)
  proxy.signaturesAre('27451')
  await using other = await gateway()
  assert.equal(await other.looksFor(data), 2, 'by who starts with them')
  await one.scanner.version?.()
  assert.equal(await one.looksFor(data), 1, 'the other one looked with the same')
  proxy.signaturesAre('27452')
  await one.scanner.version?.()
  assert.equal(await one.looksFor(data), 2, 'by who gets them')
})

test('signatures replaced while it was looked at: not kept, here or elsewhere', async () => {
  const kept: string[] = []
  const cache = createVerdictCache('engine', {
    leftMs: async () => 0,
    keep: what => kept.push(what),
  })
  const leaf = { sha256: 'a'.repeat(64), octets: { sizeBytes: 100_000 } }
  cache.versionIs('1', '1')
  const early = cache.keeper()
  cache.versionIs('2', '2')
  early(leaf)
  assert.equal(cache.isClean(leaf), false)
  cache.versionIs('1', '1')
  early(leaf)
  assert.deepEqual([cache.isClean(leaf), kept], [false, []])
  cache.keeper()(leaf)
  assert.deepEqual([cache.isClean(leaf), kept], [true, [`engine 1 ${leaf.sha256}`]])
})

test('an engine found wrong by its canary: nothing found before is believed, of itself or of others', async () => {
  await using one = await gateway()
  await using other = await gateway()
  const data = randomBytes(200_000)
  await other.looksFor(data)
  await one.looksFor(data)
  await entryBecomes(1)
  one.scanner.trust?.(proxy.address, false)
  await one.scanner.version?.()
  one.scanner.trust?.(proxy.address, true)
  await one.scanner.version?.()
  assert.equal(await one.looksFor(data), 2)
  assert.deepEqual(one.told, ['known', 'known'], 'although Redis has it still')
  const next = randomBytes(200_000)
  await other.looksFor(next)
  await entryBecomes(2)
  assert.equal(await one.looksFor(next), 1, 'what is found from then on is')
})

test('nothing is shared while a clamd of the pool is away, or calls clean what exceeds its limits', async () => {
  const away = `unix:${folder.path}/nobody.sock`
  await using half = await gateway([proxy.address, away])
  await half.looksFor(randomBytes(200_000))
  await using lenient = await startClamd({ config: { AlertExceedsMax: 'no' } })
  await using hides = await versionedClamd(lenient.socket, path.join(folder.path, 'hides.sock'))
  await using silent = await gateway([hides.address])
  await silent.looksFor(randomBytes(200_000))
  assert.deepEqual([half.told, silent.told, await entries()], [[], [], []])
})

test('Redis that hangs, or is gone, costs one short wait and nothing else', async () => {
  using known = await connected()
  known.keep('one', KEPT_MS)
  await entryBecomes(1)
  redis.freeze()
  const began = performance.now()
  for (let n = 0; n < 400; n++) assert.equal(await known.leftMs('one'), 0)
  // Each on its own would be 2,000 ms; only the first is waited for.
  assert.ok(performance.now() - began < 1_000)
  redis.thaw()
  await until('it to be asked again', async () => (await known.leftMs('one')) > 0)
  await using one = await gateway()
  await redis.kill()
  await until('it to be seen gone', async () => {
    await known.leftMs('one')
    return known.told.at(-1) === 'unanswered'
  })
  assert.equal(await one.looksFor(randomBytes(200_000)), 2)
  await redis.restart({ empty: true })
  await until('it to be asked again', async () => {
    await known.leftMs('one')
    return known.told.at(-1) === 'unknown'
  })
})

test('one process adds 10,000 entries in five minutes at most, of less than 400 octets', async () => {
  await until('Redis', async () => (await looker.ping().catch(() => '')) === 'PONG')
  const used = async () => Number(/used_memory:(\d+)/.exec(await looker.info('memory'))?.[1])
  using known = await connected()
  const before = await used()
  for (let batch = 0; batch < 102; batch++) {
    for (let n = 0; n < 100; n++) known.keep(`clamav 27450 ${batch}/${n}`.padEnd(100), KEPT_MS)
    await until('them to be on their way', async () => {
      await known.leftMs('barrier')
      return known.told.at(-1) === 'unknown'
    })
  }
  const count = await looker.dbsize()
  assert.ok(count > 5_000 && count <= 10_000, `${count} entries`)
  assert.ok(((await used()) - before) / count < 400)
})
