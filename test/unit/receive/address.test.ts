// Which addresses are addresses, and which domain they are held to be in.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  asksForRouting,
  decodeUtf8,
  normalizeDomain,
  parseMailbox,
  withoutSourceRoute,
} from '../../../gateway/receive/address.ts'

const VALID: [address: string, domain: string][] = [
  ['user@example.org', 'example.org'],
  ['USER@Example.ORG', 'example.org'],
  ["!#$%&'*+-/=?^_`{|}~.x@example.org", 'example.org'],
  ['"a b"@example.org', 'example.org'],
  ['"a@b"@example.org', 'example.org'],
  ['"a\\"b"@example.org', 'example.org'],
  ['""@example.org', 'example.org'],
  ['"user@example.org"@elsewhere.test', 'elsewhere.test'],
  ['a@localhost', 'localhost'],
  ['a@xn--mnchen-3ya.de', 'xn--mnchen-3ya.de'],
  ['a@XN--MNCHEN-3YA.de', 'xn--mnchen-3ya.de'],
  ['jürgen@münchen.de', 'xn--mnchen-3ya.de'],
  ['a@[127.0.0.1]', '[127.0.0.1]'],
  ['a@[IPv6:2001:DB8::1]', '[ipv6:2001:db8::1]'],
  [`${'a'.repeat(100)}@example.org`, 'example.org'],
  [`a@${'b'.repeat(63)}.org`, `${'b'.repeat(63)}.org`],
]

const INVALID = [
  '',
  '@',
  'user',
  '@example.org',
  'user@',
  'a@b@example.org',
  '.a@example.org',
  'a.@example.org',
  'a..b@example.org',
  'a b@example.org',
  'a,b@example.org',
  'a(b)@example.org',
  '"a@example.org',
  'a"@example.org',
  '"a"b@example.org',
  '"a"b"@example.org',
  '"a\\"@example.org',
  '"é\u0000"@example.org',
  'a@example.org.',
  'a@.example.org',
  'a@example..org',
  'a@-example.org',
  'a@example-.org',
  'a@exa_mple.org',
  'a@exam ple.org',
  'a@example.org"',
  'a@[127.0.0]',
  'a@[::1]',
  'a@[IPv6:127.0.0.1]',
  'a@[IPv6:fe80::1%eth0]',
  'a@127.0.0.1]',
  // Other writings of a name of ours: full width, ligature, Kelvin sign, long s, upper-case U-label
  'a@ｅxample.org',
  'a@example。org',
  'a@ﬁle.org',
  'a@boo\u212a.org',
  'a@example.or\u0261\u017f',
  'a@MÜNCHEN.de',
  // Invisible characters
  'a\u200b@example.org',
  'a@exam\u2060ple.org',
  'a\u0085@example.org',
  'a\ufffd@example.org',
  `a@${'b'.repeat(64)}.org`,
  `${'a'.repeat(250)}@example.org`,
]

describe('addresses', () => {
  for (const [address, domain] of VALID) {
    it(`takes ${address}`, () => {
      const mailbox = parseMailbox(address)
      assert.equal(mailbox?.address, address)
      assert.equal(mailbox?.domain, domain)
    })
  }
  for (const address of INVALID) {
    it(`refuses ${JSON.stringify(address)}`, () => assert.equal(parseMailbox(address), undefined))
  }

  it('never takes a domain for ours that is not what follows the last @', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '@', '"', '\\', ' ', '.', '%', '!', 'é') })
    fc.assert(
      fc.property(part, part, (left, right) => {
        const text = `${left}@example.org${right}`
        const mailbox = parseMailbox(text)
        if (mailbox?.domain !== 'example.org') return
        assert.ok(text.endsWith('@example.org'))
        assert.equal(mailbox.address, text)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes source routes away, and only those', () => {
    assert.equal(withoutSourceRoute('@a.test,@b.test:c@d.test'), 'c@d.test')
    assert.equal(withoutSourceRoute('@a.test:c@d.test'), 'c@d.test')
    assert.equal(withoutSourceRoute('"@a:b"@d.test'), '"@a:b"@d.test')
    assert.equal(withoutSourceRoute('c@d.test'), 'c@d.test')
  })

  it('recognises what a next hop might send on', () => {
    const asks = ['a%b@c.test', 'b!a@c.test', '"a@b"@c.test']
    for (const address of asks) assert.equal(asksForRouting(must(address)), true)
    assert.equal(asksForRouting(must('a.b+c@d.test')), false)
  })

  it('decodes UTF-8 and nothing that only looks like it', () => {
    assert.equal(decodeUtf8(Buffer.from('é')), 'é')
    for (const hex of ['e9', 'c0ae', 'eda080', 'f4908080', 'c3']) {
      assert.equal(decodeUtf8(Buffer.from(hex, 'hex')), undefined)
    }
  })

  it('leaves numbers alone that a URL would read as an address', () => {
    assert.equal(normalizeDomain('0x7f.1'), '0x7f.1')
  })
})

function must(address: string) {
  const mailbox = parseMailbox(address)
  assert.ok(mailbox)
  return mailbox
}
