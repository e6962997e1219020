// A domain's own settings go over the defaults, key by key, complete for every configured scanner.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { domainSettings } from '../../../gateway/config/domain-settings.ts'
import { unscannableDefaults } from '../../../policies/disposition/unscannable.ts'
import { type ConfigFolder, configFolder, leastConfig } from './fixtures.ts'

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
})
after(() => folder[Symbol.asyncDispose]())

async function settings(domain: string, own: string, ...more: string[]) {
  const text = leastConfig(...more).replace('smtp://mail.internal"', `smtp://mail.internal"${own}`)
  const read = await folder.read(text)
  if ('faults' in read) assert.fail(JSON.stringify(read.faults))
  return domainSettings(read.config, domain)
}
const row = { down: 'tempfail', slow: 'hold', limit: 'tempfail', garbled: 'tempfail' }

test('the defaults, for the scanners there are', async () => {
  assert.deepEqual(await settings('example.org', '', 'scanners: { clamav: embedded }'), {
    spam: { tag: 5, quarantine: 8, reject: 15 },
    failure: { clamav: row },
    unscannable: unscannableDefaults,
  })
  assert.deepEqual((await settings('example.org', '')).failure, {})
})

test('a threshold of the domain leaves the general ones in place', async () => {
  const { spam } = await settings('example.org', ', spam: { tag: 1 }', 'spam: { reject: 10 }')
  assert.deepEqual(spam, { tag: 1, quarantine: 8, reject: 10 })
})

test('a matrix entry of the domain leaves the general row in place', async () => {
  const general = 'failure: { clamav: { limit: reject } }'
  const own = ', failure: { clamav: { down: hold } }'
  const { failure } = await settings('example.org', own, 'scanners: { clamav: embedded }', general)
  assert.deepEqual(failure, { clamav: { ...row, limit: 'reject', down: 'hold' } })
})

test('a reason of the domain leaves the general ones in place', async () => {
  const own = ', unscannable: { encrypted-mail: reject }'
  const { unscannable } = await settings('example.org', own, 'unscannable: { too-deep: relay }')
  const expected = { 'encrypted-mail': 'reject', 'too-deep': 'relay' }
  assert.deepEqual(unscannable, { ...unscannableDefaults, ...expected })
})

test('a domain that is not ours gets the defaults', async () => {
  const own = ', spam: { tag: 1 }'
  assert.equal((await settings('example.com', own)).spam.tag, 5)
  assert.equal((await settings('__proto__', own)).spam.tag, 5)
})

test("a domain's attachment rules stand in for the general ones, and the shipped list stays", async () => {
  const general = 'attachments: { rules: [{ names: ["*.mp4"], action: strip }] }'
  const own = ', attachments: { rules: [{ names: ["*.exe"], action: relay }] }'
  const there = await settings('example.org', own, general)
  assert.deepEqual(there.attachments, {
    rules: [{ names: ['*.exe'], action: 'relay' }],
    standard: true,
  })
  assert.deepEqual(there.failure, { attachments: row })
  const elsewhere = await settings('example.net', own, general)
  assert.equal(elsewhere.attachments?.rules[0]?.action, 'strip')
  assert.equal((await settings('example.org', '')).attachments, undefined)
})
