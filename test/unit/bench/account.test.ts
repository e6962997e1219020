// The account of the bench sees everything that can go wrong with a message.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountOf, wrongsOf } from '../../bench/account.ts'
import type { Sent } from '../../bench/load.ts'
import type { Arrival } from '../../bench/sink.ts'

const sent = (change: Partial<Sent> = {}): Sent => ({
  ...{ sequence: 1, recipients: ['a', 'b'], infected: false, code: 250 },
  ...{ startedAt: 100, lateMs: 0, dotAt: 110, repliedAt: 120, ...change },
})
const arrival = (change: Partial<Arrival> = {}): Arrival => ({
  ...{ sequence: 1, recipients: ['a', 'b'], intact: true, infected: false, at: 130, ...change },
})
const wrongs = (messages: Sent[], arrivals: Arrival[], peer = { scans: true }) =>
  wrongsOf(accountOf(messages, arrivals), peer)

test('a message has arrived with its last recipient', () => {
  const arrivals = [arrival({ recipients: ['b'] }), arrival({ recipients: ['a'], at: 150 })]
  const account = accountOf([sent()], arrivals)
  assert.deepEqual([account.arrived, account.endedAt, account.endToEndMs], [1, 150, [50]])
  assert.deepEqual(wrongsOf(account, { scans: true }), [])
  assert.deepEqual(accountOf([sent({ lateMs: 7 })], arrivals).endToEndMs, [57])
})

test('lost, twice, altered, and what nobody was promised', () => {
  assert.deepEqual(wrongs([sent()], []), ['2 lost'])
  assert.deepEqual(wrongs([sent()], [arrival({ recipients: ['a'] })]), ['1 lost'])
  assert.deepEqual(wrongs([sent()], [arrival(), arrival({ recipients: ['a'] })]), ['1 twice'])
  assert.deepEqual(wrongs([sent()], [arrival({ intact: false })]), ['1 altered'])
  const unasked = '2 not acknowledged, yet arrived'
  assert.deepEqual(wrongs([sent({ code: 451 })], [arrival()]), [unasked])
  assert.deepEqual(wrongs([], [arrival()]), [unasked])
})

test('an infected message ends with its refusal, and comes in only where nobody scans', () => {
  const account = accountOf([sent({ infected: true, code: 550 })], [])
  assert.deepEqual([account.refused, account.arrived, account.endedAt], [1, 0, 120])
  assert.deepEqual(wrongsOf(account, { scans: true }), [])
  const through = [[sent({ infected: true })], [arrival({ infected: true })]] as const
  assert.deepEqual(wrongs([...through[0]], [...through[1]]), ['1 infected inside'])
  assert.deepEqual(wrongs([...through[0]], [...through[1]], { scans: false }), [])
})

test('who scans after the queue may throw away infected mail that was acknowledged, and nothing else', () => {
  const peer = { scans: true, discards: true }
  assert.deepEqual(wrongs([sent({ infected: true })], [], peer), [])
  assert.deepEqual(wrongs([sent({ infected: true })], []), ['2 lost'])
  assert.deepEqual(wrongs([sent()], [], peer), ['2 lost'])
})
