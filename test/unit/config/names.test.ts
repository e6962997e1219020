// Names, addresses, networks and next hops: what is taken, and what is not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filterProblem } from '../../../gateway/config/checks/directories.ts'
import {
  domainName,
  isNetwork,
  mailboxDomain,
  parseHostPort,
  parseListenAddress,
} from '../../../gateway/config/names.ts'
import { editDistance, nearestName } from '../../../gateway/config/nearest.ts'
import { parseNextHopUrl } from '../../../gateway/config/next-hop-url.ts'
import { parseNextHop } from '../../../gateway/relay/next-hop.ts'

test('domain names', () => {
  assert.equal(domainName('Example.ORG'), 'example.org')
  assert.equal(domainName('example.org.'), 'example.org')
  assert.equal(domainName('MÜNCHEN.example'), 'xn--mnchen-3ya.example')
  for (const bad of [
    '',
    '.',
    'a..b',
    '-a.org',
    'a_b.org',
    'a b.org',
    '192.0.2.1',
    '*.org',
    'a@b',
  ]) {
    assert.equal(domainName(bad), undefined, bad)
  }
  assert.equal(domainName(`${'a'.repeat(64)}.org`), undefined)
  assert.equal(domainName(`${'abc.'.repeat(70)}org`), undefined)
})

test('hosts and ports', () => {
  assert.deepEqual(parseHostPort('mail.internal:26', 25), { host: 'mail.internal', port: 26 })
  assert.deepEqual(parseHostPort('mail.internal', 25), { host: 'mail.internal', port: 25 })
  assert.deepEqual(parseHostPort('[2001:DB8::7]:25'), { host: '2001:db8::7', port: 25 })
  for (const bad of ['mail', ':25', 'mail:', 'mail:0', 'mail:65536', '2001:db8::7', '[mail]:25']) {
    assert.equal(parseHostPort(bad), undefined, bad)
  }
  assert.deepEqual(parseListenAddress('[::]:25'), { host: '::', port: 25 })
  assert.equal(parseListenAddress('mail.internal:25'), undefined)
})

test('networks', () => {
  for (const good of ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::/0'])
    assert.ok(isNetwork(good))
  for (const bad of ['10.0.0.0/33', '10/8', '::/129', '10.0.0.0/8/8', '10.0.0.0/', 'localhost']) {
    assert.equal(isNetwork(bad), false, bad)
  }
})

test('mailboxes', () => {
  assert.equal(mailboxDomain('post.master@Example.org'), 'example.org')
  assert.equal(mailboxDomain('"post master"@example.org'), 'example.org')
  for (const bad of ['postmaster', '@example.org', 'a..b@example.org', 'a b@example.org', 'a@']) {
    assert.equal(mailboxDomain(bad), undefined, bad)
  }
})

test('next hops with their default ports', () => {
  const hops: [string, string, number][] = [
    ['smtp://mail.internal', 'smtp', 25],
    ['smtp+tls://mail.internal', 'smtp+tls', 25],
    ['smtps://mail.internal', 'smtps', 465],
    ['LMTP://mail.internal/', 'lmtp', 24],
    ['smtp://mail.internal:2525', 'smtp', 2525],
  ]
  for (const [text, scheme, port] of hops) {
    assert.deepEqual(parseNextHopUrl(text), { scheme, host: 'mail.internal', port })
  }
  assert.deepEqual(parseNextHopUrl('mx:Example.org'), { scheme: 'mx', domain: 'example.org' })
  assert.deepEqual(parseNextHopUrl('mx:example.org:26'), { scheme: 'mx', domain: 'example.org' })
  assert.deepEqual(parseNextHopUrl('smtp://[::1]:25'), { scheme: 'smtp', host: '::1', port: 25 })
  for (const bad of ['mail', 'mx:', 'ftp://mail', 'smtp://', 'smtp://user@mail', 'smtp://mail/x']) {
    assert.ok('problem' in parseNextHopUrl(bad), bad)
  }
})

test('LDAP filters', () => {
  assert.equal(filterProblem('(|(mail=%a)(uid=%u))'), undefined)
  assert.equal(filterProblem('(mail=%a%%)'), undefined)
  assert.match(filterProblem('(domain=%d)') ?? '', /neither/)
  assert.match(filterProblem('(mail=%%a)') ?? '', /neither/)
  assert.match(filterProblem('(mail=%a)(uid=%s)') ?? '', /%s/)
})

test('the nearest name', () => {
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('ab', 'ba'), 1)
  assert.equal(editDistance('kitten', 'sitting'), 3)
  assert.equal(nearestName('nexthop', ['nextHop', 'directory']), 'nextHop')
  assert.equal(nearestName('banana', ['nextHop', 'directory']), undefined)
})

test('what the configuration takes for a next hop, the relay understands, and the other way round', () => {
  const hops = [
    ...[
      'smtp://mail',
      'smtp+tls://mail:26',
      'smtps://mail.internal',
      'lmtp://10.0.0.7',
      'LMTP://m/',
    ],
    ...['smtp://[::1]:25', 'smtp://mail_server:25', 'mx:example.org', 'mx:example.org:26', 'mail'],
    ...['mx://example.org', 'ftp://mail', 'smtp:mail', 'smtp://', 'smtp://mail:0', 'smtp://a@b'],
    ...['smtp://::1', 'smtp://mail:99999', 'mx:', 'mx:[::1]', 'smtp://mail/x', ''],
  ]
  for (const hop of hops) {
    assert.equal(!('problem' in parseNextHopUrl(hop)), parseNextHop(hop) !== undefined, hop)
  }
})
