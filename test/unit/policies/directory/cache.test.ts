// What is remembered, for how long, and what never is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CACHE_LIMITS, withCache } from '../../../../policies/directory/cache.ts'
import type { Directory, Existence } from '../../../../policies/directory/directory.ts'

const SETTINGS = { positiveTtl: 1000, negativeTtl: 100, cacheEntries: 10 }

/** A directory that says what it is told to, and counts how often it was asked. */
function told(existence: Existence) {
  const asked: string[] = []
  const state = { existence, asked, disposed: false }
  const directory: Directory = {
    name: 'd',
    async lookup(address) {
      asked.push(address)
      return { existence: state.existence, cached: false }
    },
    async [Symbol.asyncDispose]() {
      state.disposed = true
    },
  }
  return { state, directory }
}

function cached(existence: Existence, settings = SETTINGS) {
  const { state, directory } = told(existence)
  const clock = { now: 1_000_000 }
  return { state, clock, cache: withCache(directory, settings, () => clock.now) }
}

test('found and not found are believed for their own times, whatever the case', async () => {
  const { state, clock, cache } = cached('exists')
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'exists', cached: false })
  assert.deepEqual(await cache.lookup('A@B'), { existence: 'exists', cached: true })
  clock.now += 999
  assert.equal((await cache.lookup('a@b')).cached, true)
  clock.now += 1
  state.existence = 'unknown'
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'unknown', cached: false })
  clock.now += 99
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'unknown', cached: true })
  clock.now += 1
  state.existence = 'exists'
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'exists', cached: false })
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'exists', cached: true })
})

test('unavailable is not remembered', async () => {
  const { state, cache } = cached('unavailable')
  assert.equal((await cache.lookup('a@b')).existence, 'unavailable')
  state.existence = 'exists'
  assert.equal((await cache.lookup('a@b')).existence, 'exists')
})

test('while unavailable, who was found still exists, for a day', async () => {
  const { state, clock, cache } = cached('exists')
  await cache.lookup('a@b')
  clock.now += SETTINGS.positiveTtl
  state.existence = 'unavailable'
  assert.deepEqual(await cache.lookup('a@b'), { existence: 'exists', cached: true })
  assert.equal((await cache.lookup('other@b')).existence, 'unavailable')
  clock.now += CACHE_LIMITS.staleMs - SETTINGS.positiveTtl
  assert.equal((await cache.lookup('a@b')).existence, 'unavailable')
})

test('who was not found is unavailable with the directory, however lately', async () => {
  const { state, clock, cache } = cached('unknown')
  await cache.lookup('a@b')
  clock.now += SETTINGS.negativeTtl
  state.existence = 'unavailable'
  assert.equal((await cache.lookup('a@b')).existence, 'unavailable')
})

test('who was found and then not is no longer found during an outage', async () => {
  const { state, clock, cache } = cached('exists')
  await cache.lookup('a@b')
  clock.now += SETTINGS.positiveTtl
  state.existence = 'unknown'
  await cache.lookup('a@b')
  clock.now += SETTINGS.negativeTtl
  state.existence = 'unavailable'
  assert.equal((await cache.lookup('a@b')).existence, 'unavailable')
})

test('equal lookups at once are one', async () => {
  const { state, cache } = cached('exists')
  const lookups = await Promise.all(['a@b', 'A@b', 'a@B', 'c@d'].map(a => cache.lookup(a)))
  assert.ok(lookups.every(lookup => lookup.existence === 'exists'))
  assert.deepEqual(state.asked, ['a@b', 'c@d'])
})

test('guessed addresses displace each other, never those found', async () => {
  const { state, cache } = cached('exists')
  await cache.lookup('anna@b')
  state.existence = 'unknown'
  for (let i = 0; i < 100; i++) await cache.lookup(`guess${i}@b`)
  assert.equal((await cache.lookup('guess99@b')).cached, true)
  assert.equal((await cache.lookup('guess0@b')).cached, false)
  assert.deepEqual(await cache.lookup('anna@b'), { existence: 'exists', cached: true })
})

test('nothing is kept with 0 entries, nor of overlong addresses', async () => {
  const none = cached('exists', { ...SETTINGS, cacheEntries: 0 })
  await none.cache.lookup('a@b')
  assert.equal((await none.cache.lookup('a@b')).cached, false)
  const some = cached('exists')
  const long = `${'a'.repeat(CACHE_LIMITS.addressLength)}@b`
  await some.cache.lookup(long)
  assert.equal((await some.cache.lookup(long)).cached, false)
})

test('disposing of the cache disposes of the directory', async () => {
  const { state, cache } = cached('exists')
  await cache[Symbol.asyncDispose]()
  assert.equal(state.disposed, true)
})
