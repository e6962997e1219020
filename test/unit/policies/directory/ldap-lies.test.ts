// What the LDAP directory makes of a server that stalls, hangs up, refers to others, or talks nonsense.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLdapDirectory, ldapSettings } from '../../../../policies/directory/ldap.ts'
import { until } from '../../../support/process.ts'
import { type Asked, say, startLyingLdap } from '../../../support/servers/lying-ldap.ts'

const AD = 'ldap://DomainDnsZones.example.org/DC=DomainDnsZones,DC=example,DC=org'
const CHILD = 'ldap://child.example.org/DC=child,DC=example,DC=org'

const settings = (url: string) =>
  ldapSettings.parse({ urls: [url], base: 'dc=example,dc=org', deadlineMs: 300, connections: 1 })

const write = (asked: Asked, ...messages: Buffer[]) => asked.socket.write(Buffer.concat(messages))
const nobody = (asked: Asked) =>
  asked.base
    ? write(asked, say.entry(asked.id), say.done(asked.id))
    : write(asked, say.done(asked.id))

const CASES: [string, (asked: Asked) => void, 'exists' | 'unknown' | 'unavailable', RegExp?][] = [
  ['nobody found, base readable', nobody, 'unknown'],
  ['nobody found, base not shown', a => write(a, say.done(a.id)), 'unavailable', /base cannot/],
  ['nobody found, then silence', a => !a.base && nobody(a), 'unavailable', /no answer within/],
  ['nobody found, then gone', a => (a.base ? a.socket.destroy() : nobody(a)), 'unavailable'],
  ['an entry, then silence', a => write(a, say.entry(a.id)), 'exists'],
  ['an entry, then gone', a => a.socket.end(say.entry(a.id)), 'exists'],
  ['silence', () => {}, 'unavailable', /no answer within 300 ms|no answer within/],
  ['gone at once', a => a.socket.destroy(), 'unavailable'],
  ['reset', a => a.socket.resetAndDestroy(), 'unavailable'],
  ['two entries and over the size limit', a => tooMany(a), 'exists'],
  [
    'over the size limit without an entry',
    a => (a.base ? nobody(a) : write(a, say.done(a.id, 4))),
    'unavailable',
    /SizeLimit/,
  ],
  ['a referral', a => write(a, say.done(a.id, 10)), 'unavailable', /Referral/],
  ['busy', a => write(a, say.done(a.id, 51)), 'unavailable', /Busy/],
  [
    'too slow for this one search',
    a => (a.base ? nobody(a) : write(a, say.done(a.id, 3))),
    'unavailable',
    /TimeLimit/,
  ],
  ['the partitions of Active Directory', a => refer(a, AD), 'unknown'],
  ['a part on another server', a => refer(a, CHILD), 'unavailable', /another server.*child/],
  ['an answer to somebody else', a => write(a, say.done(a.id + 40)), 'unavailable'],
  ['a bind response to a search', a => write(a, say.bound(a.id)), 'unavailable'],
  ['no LDAP at all', a => a.socket.write('220 mail ESMTP\r\n'.repeat(50)), 'unavailable'],
  ['half a message', a => a.socket.write(say.done(a.id).subarray(0, 9)), 'unavailable'],
  [
    'a length without end',
    a => a.socket.write(Buffer.from('30847fffffff02', 'hex')),
    'unavailable',
  ],
  ['one octet at a time', a => trickle(a), 'unknown'],
]

function tooMany(a: Asked) {
  write(a, say.entry(a.id), say.entry(a.id), say.done(a.id, 4))
}
function refer(a: Asked, uri: string) {
  if (a.base) nobody(a)
  else write(a, say.reference(a.id, uri), say.done(a.id))
}
function trickle(a: Asked) {
  const message = a.base ? [say.entry(a.id), say.done(a.id)] : [say.done(a.id)]
  for (const octet of Buffer.concat(message)) a.socket.write(Buffer.from([octet]))
}

for (const [name, answer, expected, cause] of CASES) {
  test(`${name}: ${expected}`, async () => {
    await using server = await startLyingLdap(answer)
    await using directory = await createLdapDirectory('d', settings(server.url))
    const started = Date.now()
    const lookup = await directory.lookup('anna@example.org')
    assert.equal(lookup.existence, expected, lookup.cause)
    assert.ok(Date.now() - started < 1000, 'longer than the deadline')
    if (expected === 'unavailable') assert.match(lookup.cause ?? '', cause ?? /./)
  })
}

test('an entry and then silence costs the connection, not the next lookup', async () => {
  let stall = true
  await using server = await startLyingLdap(asked => {
    if (stall) write(asked, say.entry(asked.id))
    else nobody(asked)
  })
  await using directory = await createLdapDirectory('d', settings(server.url))
  assert.equal((await directory.lookup('anna@example.org')).existence, 'exists')
  stall = false
  assert.equal((await directory.lookup('nobody@example.org')).existence, 'unknown')
  assert.equal(server.connections, 1)
  await until('a new connection is made for the one that was dropped', async () => {
    await directory.lookup('nobody@example.org')
    return server.connections === 2
  })
})

test('a server that hangs up when it is dialled is unavailable, and rests', async () => {
  await using server = await startLyingLdap(nobody, socket => socket.destroy())
  const bound = ldapSettings.parse({
    ...settings(server.url),
    bindDn: 'cn=x',
    bindPassword: 'x',
  })
  await using directory = await createLdapDirectory('d', bound)
  for (let i = 0; i < 5; i++) {
    assert.equal((await directory.lookup('anna@example.org')).existence, 'unavailable')
  }
  assert.equal(server.connections, 1)
})

test('a bind that is never answered ends with the deadline', async () => {
  await using server = await startLyingLdap(nobody)
  const bound = ldapSettings.parse({ ...settings(server.url), bindDn: 'cn=x', bindPassword: 'x' })
  await using directory = await createLdapDirectory('d', bound)
  const lookup = await directory.lookup('anna@example.org')
  assert.equal(lookup.existence, 'unavailable')
  assert.match(lookup.cause ?? '', /not connected and bound within 300 ms|not connected in time/)
})

test('a connection the server closed while idle is replaced without a lookup failing', async () => {
  const sockets: Asked['socket'][] = []
  await using server = await startLyingLdap(nobody, socket => sockets.push(socket))
  await using directory = await createLdapDirectory('d', settings(server.url))
  for (let i = 0; i < 5; i++) {
    assert.equal((await directory.lookup('anna@example.org')).existence, 'unknown')
    sockets.at(-1)?.[i % 2 === 0 ? 'end' : 'resetAndDestroy']()
  }
})

test('more than a connection may carry is unavailable at once, not queued', async () => {
  await using server = await startLyingLdap(() => {})
  await using directory = await createLdapDirectory('d', settings(server.url))
  const lookups = Array.from({ length: 400 }, (_, i) => directory.lookup(`u${i}@example.org`))
  const causes = (await Promise.all(lookups)).map(lookup => lookup.cause ?? '')
  assert.equal(causes.filter(cause => cause.includes('too many lookups')).length, 150)
})
