// A DSN is sent only to a reverse-path that is proven; otherwise the mail is kept as undeliverable.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { type NextHop, startNextHop } from '../support/servers/next-hop.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
let wayOut: NextHop
before(async () => {
  wayOut = await startNextHop()
  world = await startWorld({
    rspamd: true,
    zone: {
      'sender.test': { txt: ['v=spf1 ip4:127.0.0.1 -all'] },
      'forged.test': { txt: ['v=spf1 ip4:192.0.2.1 ~all'] },
    },
    nextHop: {
      behaviour: {
        rcpt: address => (address.startsWith('carol') ? '550 5.1.1 No such user' : undefined),
      },
    },
    config: { notifications: { nextHop: wayOut.url } },
  })
})
after(async () => {
  await world[Symbol.asyncDispose]()
  await wayOut[Symbol.asyncDispose]()
})

const toBoth = { to: ['bob@example.org', 'carol@example.org'] }

test('SPF passed: one DSN, from the null reverse-path, with header fields only', async () => {
  const content = plainMessage({ id: 'dsn@sender.test', body: 'the secret body' })
  const sent = await world.send({ ...toBoth, content })
  assert.match(ending(sent), /^250/)
  const dsn = await until('a DSN', () => wayOut.received[0], 30_000)
  await world.settled()
  assert.equal(wayOut.received.length, 1)
  assert.equal(dsn.mailFrom, '')
  assert.deepEqual(dsn.rcptTo, ['alice@sender.test'])
  const text = dsn.content.toString('latin1')
  assert.match(text, /^Content-Type: multipart\/report;[\s\S]*?report-type="?delivery-status/im)
  assert.match(text, /^Final-Recipient: rfc822; ?carol@example\.org/im)
  assert.match(text, /^Action: failed/im)
  assert.match(text, /^Status: 5\.1\.1/im)
  assert.match(text, /dsn@sender\.test/)
  assert.doesNotMatch(text, /the secret body/)
  const ledger = await ledgerOf(world.gateway)
  assert.deepEqual([ledger.notified, ledger.missing], [1, 0], JSON.stringify(ledger))
})

test('SPF did not pass: no DSN; the mail is kept as undeliverable', async () => {
  const before = wayOut.received.length
  const sent = await world.send({ ...toBoth, from: 'alice@forged.test' })
  assert.match(ending(sent), /^250/)
  await world.settled()
  assert.equal(wayOut.received.length, before)
  await until('the log to say so', () =>
    world.gateway.log('undeliverable').some(line => line.id === sent.dot?.id),
  )
  const ledger = await ledgerOf(world.gateway)
  assert.deepEqual([ledger.quarantined, ledger.missing], [1, 0], JSON.stringify(ledger))
})

test('the null reverse-path never gets one', async () => {
  const before = wayOut.received.length
  const sent = await world.send({ ...toBoth, from: '' })
  assert.match(ending(sent), /^250/)
  await world.settled()
  assert.equal(wayOut.received.length, before)
})
