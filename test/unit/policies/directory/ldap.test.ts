// What the LDAP directory says of real servers in every state they can be in, and of one that lies.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Directory } from '../../../../policies/directory/directory.ts'
import {
  createLdapDirectory,
  ldapSettings,
  type ServerChange,
} from '../../../../policies/directory/ldap.ts'
import { signedCertificate } from '../../../support/authority.ts'
import { freePort, temporaryFolder, until } from '../../../support/process.ts'
import { person, type Slapd, startSlapd } from '../../../support/servers/slapd.ts'

const ENTRIES = [
  person('anna', ['anna@example.org', 'anna.b@example.org']),
  person('john', 'john.doe@example.org'),
  person('space', '"john doe"@example.org'),
  person('odd', ['a*b@example.org', 'x(y)z@example.org', 'back\\slash@example.org']),
]

const settings = (slapd: Slapd, more: object = {}) =>
  ldapSettings.parse({
    urls: [slapd.url],
    base: slapd.base,
    bindDn: slapd.bindDn,
    bindPassword: slapd.bindPassword,
    deadlineMs: 2000,
    ...more,
  })

const existence = async (directory: Directory, address: string) =>
  (await directory.lookup(address)).existence

describe('a directory with an LDAP server that works', () => {
  let slapd: Slapd
  let directory: Directory
  before(async () => {
    slapd = await startSlapd({ entries: ENTRIES, bindRequired: true })
    directory = await createLdapDirectory('staff', settings(slapd))
  })
  after(async () => {
    await directory[Symbol.asyncDispose]()
    await slapd[Symbol.asyncDispose]()
  })

  test('knows who exists and who does not', async () => {
    assert.deepEqual(await directory.lookup('anna@example.org'), {
      existence: 'exists',
      cached: false,
    })
    assert.deepEqual(await directory.lookup('nobody@example.org'), {
      existence: 'unknown',
      cached: false,
    })
  })

  test('ignores case, and quotes that change nothing', async () => {
    assert.equal(await existence(directory, 'ANNA.B@Example.ORG'), 'exists')
    assert.equal(await existence(directory, '"john.doe"@example.org'), 'exists')
    assert.equal(await existence(directory, '"john\\.doe"@example.org'), 'exists')
    assert.equal(await existence(directory, '"john doe"@example.org'), 'exists')
  })

  for (const address of [
    '*',
    '*@example.org',
    '*)(mail=*',
    'anna@example.org)(mail=*',
    'nobody@example.org)(|(mail=*',
    'a*a@example.org',
    '\\2a@example.org',
    '(@example.org',
    ')@example.org',
    'back\\@example.org',
    'trailing@example.org\\',
    'trailing@example.org\\2',
    'nul\0@example.org',
    'anna@example.org\0',
    ' anna@example.org',
    'anna@example.org ',
    '" anna"@example.org',
    'ann\u00e4@example.org',
    '\ud83d\ude00@example.org',
    '\ud800@example.org',
    '%a@example.org',
    '%%@example.org',
    '',
    '@',
    '""@example.org',
    `${'a'.repeat(20_000)}@example.org`,
  ]) {
    test(`finds nobody for ${JSON.stringify(address).slice(0, 40)}, and stays well`, async () => {
      assert.equal(await existence(directory, address), 'unknown')
      assert.equal(await existence(directory, 'anna@example.org'), 'exists')
    })
  }

  test('takes special characters for themselves where a mailbox has them', async () => {
    assert.equal(await existence(directory, 'a*b@example.org'), 'exists')
    assert.equal(await existence(directory, 'x(y)z@example.org'), 'exists')
    assert.equal(await existence(directory, 'back\\slash@example.org'), 'exists')
  })

  test('answers a thousand lookups, two hundred at once', async () => {
    let next = 0
    const asker = async () => {
      while (next < 1000) {
        const known = next++ % 2 === 0
        const address = known ? 'anna@example.org' : `nobody${next}@example.org`
        assert.equal(await existence(directory, address), known ? 'exists' : 'unknown')
      }
    }
    await Promise.all(Array.from({ length: 200 }, asker))
  })
})

const BROKEN: [string, (slapd: Slapd) => object, RegExp][] = [
  ['a wrong password', () => ({ bindPassword: 'wrong' }), /InvalidCredentials/],
  ['a wrong bind DN', () => ({ bindDn: 'cn=nobody,dc=example,dc=org' }), /InvalidCredentials/],
  ['a base that is not there', s => ({ base: `ou=none,${s.base}` }), /NoSuchObject/],
  ['a base of another tree', () => ({ base: 'dc=elsewhere' }), /NoSuchObject|Referral/],
  ['no bind where one is needed', () => ({ bindDn: undefined, bindPassword: undefined }), /Access/],
]
for (const [name, wrong, cause] of BROKEN) {
  test(`${name} makes it unavailable, never "unknown"`, async () => {
    await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: true })
    const changes: ServerChange[] = []
    await using directory = await createLdapDirectory('d', settings(slapd, wrong(slapd)), c =>
      changes.push(c),
    )
    const first = await directory.lookup('nobody@example.org')
    assert.equal(first.existence, 'unavailable')
    assert.match(first.cause ?? '', cause)
    const second = await directory.lookup('anna@example.org')
    assert.equal(second.existence, 'unavailable')
    assert.match(second.cause ?? '', /rests after/)
    assert.deepEqual(
      changes.map(c => [c.address, c.up]),
      [[`127.0.0.1:${slapd.port}`, false]],
    )
  })
}

test('a server that shows an anonymous client nothing is unavailable', async () => {
  await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: 'silently' })
  const anonymous = settings(slapd, { bindDn: undefined, bindPassword: undefined })
  await using directory = await createLdapDirectory('d', anonymous)
  const lookup = await directory.lookup('anna@example.org')
  assert.equal(lookup.existence, 'unavailable')
  assert.match(lookup.cause ?? '', /base cannot be read/)
})

test('is bound again after the server was restarted, and after it came back empty', async () => {
  await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: 'silently' })
  await using directory = await createLdapDirectory('d', settings(slapd))
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  await slapd.restart()
  assert.equal(await existence(directory, 'nobody@example.org'), 'unknown')
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  await slapd.restart({ empty: true })
  assert.equal(await existence(directory, 'anna@example.org'), 'unavailable')
})

test('a server that is away fails fast, and is used again when it is back', async () => {
  await using slapd = await startSlapd({ entries: ENTRIES })
  const changes: ServerChange[] = []
  await using directory = await createLdapDirectory('d', settings(slapd), c => changes.push(c))
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  await slapd.kill()
  const started = Date.now()
  for (let i = 0; i < 20; i++) {
    assert.equal(await existence(directory, 'anna@example.org'), 'unavailable')
  }
  assert.ok(Date.now() - started < 1000, 'took as long as deadlines')
  await slapd.restart()
  await until('the server is asked again', async () => {
    const found = await existence(directory, 'anna@example.org')
    return found === 'exists'
  })
  assert.deepEqual(
    changes.map(c => c.up),
    [true, false, true],
  )
})

test('a server killed under fifty lookups leaves each with an answer', async () => {
  await using slapd = await startSlapd({ entries: ENTRIES })
  await using directory = await createLdapDirectory('d', settings(slapd))
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  slapd.signal('SIGSTOP')
  const lookups = Array.from({ length: 50 }, (_, i) => existence(directory, `u${i}@example.org`))
  await new Promise(resolve => setImmediate(resolve))
  await slapd.kill()
  for (const answer of await Promise.all(lookups)) assert.equal(answer, 'unavailable')
})

test('a hung server costs one deadline, and nothing is taken from what it says later', async () => {
  await using slapd = await startSlapd({ entries: ENTRIES })
  await using directory = await createLdapDirectory('d', settings(slapd, { deadlineMs: 400 }))
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  slapd.signal('SIGSTOP')
  const started = Date.now()
  const lookup = await directory.lookup('nobody@example.org')
  assert.equal(lookup.existence, 'unavailable')
  assert.match(lookup.cause ?? '', /within|lost/)
  assert.ok(Date.now() - started < 1500)
  slapd.signal('SIGCONT')
  await until('it answers again', async () => {
    return (await existence(directory, 'anna@example.org')) === 'exists'
  })
})

test('two servers: the second answers while the first is away, hung, or will not have us', async () => {
  await using first = await startSlapd({ entries: ENTRIES })
  await using second = await startSlapd({ entries: ENTRIES })
  const both = settings(first, { urls: [first.url, second.url], deadlineMs: 1000 })
  const changes: ServerChange[] = []
  await using directory = await createLdapDirectory('d', both, c => changes.push(c))
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  first.signal('SIGSTOP')
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  assert.equal(await existence(directory, 'nobody@example.org'), 'unknown')
  await first.kill()
  assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  assert.equal(await existence(directory, 'nobody@example.org'), 'unknown')
  assert.deepEqual(changes, [
    { address: `127.0.0.1:${first.port}`, up: true },
    { address: `127.0.0.1:${first.port}`, up: false, cause: changes[1]?.cause },
    { address: `127.0.0.1:${second.port}`, up: true },
  ])
})

test('a port where nothing listens makes it unavailable at once', async () => {
  const urls = [`ldap://127.0.0.1:${await freePort()}`, `ldap://[::1]:${await freePort()}`]
  const nowhere = ldapSettings.parse({ urls, base: 'dc=x' })
  await using directory = await createLdapDirectory('d', nowhere)
  const lookup = await directory.lookup('a@b')
  assert.equal(lookup.existence, 'unavailable')
  assert.match(lookup.cause ?? '', /127\.0\.0\.1:\d+: .*ECONNREFUSED.*\[::1\]:\d+: .*ECONNREFUSED/)
})

describe('over TLS', () => {
  test('LDAPS and StartTLS are verified', async () => {
    await using folder = await temporaryFolder()
    await using other = await temporaryFolder()
    const tls = await signedCertificate(folder.path)
    const stranger = await signedCertificate(other.path)
    await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: true, tls })
    const ways = [{ urls: [slapd.secureUrl] }, { urls: [slapd.url], startTls: true }]
    for (const way of ways) {
      const right = settings(slapd, { ...way, caFile: tls.caFile })
      await using directory = await createLdapDirectory('d', right)
      assert.equal(await existence(directory, 'anna@example.org'), 'exists')
      assert.equal(await existence(directory, 'nobody@example.org'), 'unknown')
      for (const caFile of [undefined, stranger.caFile]) {
        await using wrong = await createLdapDirectory('d', settings(slapd, { ...way, caFile }))
        const lookup = await wrong.lookup('anna@example.org')
        assert.equal(lookup.existence, 'unavailable')
        assert.match(lookup.cause ?? '', /certificate|self-signed/i)
      }
    }
  })

  test('a certificate for another name is refused', async () => {
    await using folder = await temporaryFolder()
    const tls = await signedCertificate(folder.path, ['DNS:other.example'])
    await using slapd = await startSlapd({ entries: ENTRIES, tls })
    for (const way of [{ urls: [slapd.secureUrl] }, { urls: [slapd.url], startTls: true }]) {
      const named = settings(slapd, { ...way, caFile: tls.caFile })
      await using directory = await createLdapDirectory('d', named)
      const lookup = await directory.lookup('anna@example.org')
      assert.equal(lookup.existence, 'unavailable')
      assert.match(lookup.cause ?? '', /ALTNAME/i)
    }
  })

  test('StartTLS that the server will not do is no reason to go on in the clear', async () => {
    await using slapd = await startSlapd({ entries: ENTRIES })
    await using directory = await createLdapDirectory('d', settings(slapd, { startTls: true }))
    assert.equal(await existence(directory, 'anna@example.org'), 'unavailable')
  })

  test('a server killed and restarted under StartTLS is used again', async () => {
    await using folder = await temporaryFolder()
    const tls = await signedCertificate(folder.path)
    await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: 'silently', tls })
    const secured = settings(slapd, { startTls: true, caFile: tls.caFile })
    await using directory = await createLdapDirectory('d', secured)
    assert.equal(await existence(directory, 'anna@example.org'), 'exists')
    slapd.signal('SIGSTOP')
    const lookups = Array.from({ length: 20 }, (_, i) => existence(directory, `u${i}@example.org`))
    await slapd.kill()
    for (const answer of await Promise.all(lookups)) assert.equal(answer, 'unavailable')
    await slapd.restart()
    await until('it answers again', async () => {
      return (await existence(directory, 'nobody@example.org')) === 'unknown'
    })
  })
})

describe('settings', () => {
  test('a password file is read at each connect, its line end not counted', async () => {
    await using folder = await temporaryFolder()
    await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: true })
    const bindPasswordFile = path.join(folder.path, 'password')
    await writeFile(bindPasswordFile, 'wrong\n')
    const fromFile = settings(slapd, { bindPassword: undefined, bindPasswordFile })
    await using directory = await createLdapDirectory('d', fromFile)
    assert.equal(await existence(directory, 'anna@example.org'), 'unavailable')
    await writeFile(bindPasswordFile, `${slapd.bindPassword}\n`)
    await until('the new password is used', async () => {
      return (await existence(directory, 'anna@example.org')) === 'exists'
    })
  })

  test('a password file that cannot be read any more leaves the password it held', async () => {
    await using slapd = await startSlapd({ entries: ENTRIES, bindRequired: true })
    const dropped = settings(slapd, { bindPasswordFile: '/nonexistent' })
    await using directory = await createLdapDirectory('d', dropped)
    assert.equal(await existence(directory, 'anna@example.org'), 'exists')
  })

  test('what can never work is refused at once', async () => {
    const good = { urls: ['ldap://127.0.0.1:1'], base: 'dc=example,dc=org' }
    const make = (more: object) =>
      createLdapDirectory('d', ldapSettings.parse({ ...good, ...more }))
    await assert.rejects(make({ bindDn: 'cn=x' }), /no password/)
    await assert.rejects(make({ bindDn: 'cn=x', bindPassword: '' }), /no password/)
    await assert.rejects(make({ bindDn: 'cn=x', bindPasswordFile: '/nonexistent' }), /ENOENT/)
    await assert.rejects(make({ caFile: '/nonexistent' }), /ENOENT/)
    await assert.rejects(make({ base: 'no dn' }))
    assert.throws(() => ldapSettings.parse({ ...good, filter: '(mail=%a' }), /RFC 4515/)
  })
})
