// The DNS double answers Node's own resolver like a real server.
import assert from 'node:assert/strict'
import { Resolver } from 'node:dns/promises'
import { test } from 'node:test'
import { startDns } from '../../support/servers/dns.ts'

test('every record type of the table, NXDOMAIN for the rest, SERVFAIL where asked to', async () => {
  const long = `v=spf1 ${'ip4:192.0.2.1 '.repeat(30)}-all`
  await using dns = await startDns({
    'example.org': { txt: ['v=spf1 -all', long], mx: ['5 mail.example.org'], a: ['192.0.2.7'] },
    'mail.example.org': { aaaa: ['2001:db8::25', '::1'] },
    '7.2.0.192.in-addr.arpa': { ptr: ['example.org'] },
    'broken.test': 'servfail',
    'silent.test': 'silent',
  })
  const resolver = new Resolver({ timeout: 300, tries: 1 })
  resolver.setServers([dns.address])
  const texts = await resolver.resolveTxt('Example.ORG')
  assert.deepEqual(texts.map(parts => parts.join('')).sort(), ['v=spf1 -all', long].sort())
  const [mx] = await resolver.resolveMx('example.org')
  assert.deepEqual([mx?.priority, mx?.exchange], [5, 'mail.example.org'])
  assert.deepEqual(await resolver.resolve4('example.org'), ['192.0.2.7'])
  assert.deepEqual(await resolver.resolve6('mail.example.org'), ['2001:db8::25', '::1'])
  assert.deepEqual(await resolver.reverse('192.0.2.7'), ['example.org'])
  await assert.rejects(resolver.resolve4('nowhere.test'), { code: 'ENOTFOUND' })
  await assert.rejects(resolver.resolve4('mail.example.org'), { code: 'ENODATA' })
  await assert.rejects(resolver.resolve4('broken.test'), { code: 'ESERVFAIL' })
  await assert.rejects(resolver.resolve4('silent.test'), { code: 'ETIMEOUT' })
  assert.ok(dns.asked.includes('MX example.org'))
})
