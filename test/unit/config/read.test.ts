// A good configuration is read whole: defaults, paths, secrets, variables, normalised names, warnings.
import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { thisMachine } from '../../../gateway/config/machine.ts'
import { readConfig } from '../../../gateway/config/read.ts'
import type { Config } from '../../../gateway/config/schema.ts'
import { type ConfigFolder, configFolder, leastConfig } from './fixtures.ts'

let folder: ConfigFolder
before(async () => {
  folder = await configFolder()
})
after(() => folder[Symbol.asyncDispose]())

async function good(text: string, env?: NodeJS.ProcessEnv): Promise<Config> {
  const read = await folder.read(text, env)
  if ('faults' in read) assert.fail(JSON.stringify(read.faults))
  return read.config
}
async function warnings(text: string): Promise<string[]> {
  const read = await folder.read(text)
  assert.ok('config' in read)
  return read.warnings.map(w => `${w.line}: ${w.problem}`)
}

test('the least configuration gets every default', async () => {
  const config = await good(leastConfig())
  assert.equal(config.state, path.join(folder.path, 'state'))
  assert.equal(config.spool, path.join(folder.path, 'state/spool'))
  assert.equal(config.redis, 'embedded')
  assert.equal(config.maxMessageSize, 50 * 1024 * 1024)
  assert.equal(config.hold.seconds, 30)
  assert.deepEqual(config.retry, { first: 120_000, longest: 14_400_000, expire: 432_000_000 })
  assert.deepEqual(config.spam, { tag: 5, quarantine: 8, reject: 15 })
  assert.equal(config.limits.idle, 300_000)
  assert.equal(config.domains['example.org']?.deferred, 'custody')
})

test('relative paths start at the folder of the file', async () => {
  const config = await good(
    leastConfig('spool: ../spool', 'directory: { staff: { file: recipients.txt } }').replace(
      '[{ address: "127.0.0.1:2525" }]',
      '[{ address: "127.0.0.1:2525", tls: { cert: good.pem, key: good.key } }]',
    ),
  )
  assert.equal(config.spool, path.join(path.dirname(folder.path), 'spool'))
  assert.deepEqual(config.listen[0]?.tls, {
    cert: path.join(folder.path, 'good.pem'),
    key: path.join(folder.path, 'good.key'),
  })
  assert.ok('file' in (config.directory.staff ?? {}))
})

test('domains become lower case and A-labels', async () => {
  const hop = '{ nextHop: "smtp://mail.internal" }'
  const config = await good(
    leastConfig().replace(
      /^domains:.*$/m,
      `domains: { EXAMPLE.org.: ${hop}, München.example: ${hop} }`,
    ),
  )
  assert.deepEqual(Object.keys(config.domains), ['example.org', 'xn--mnchen-3ya.example'])
})

test('variables come from the environment, and $$ keeps the characters', async () => {
  const hidden = 'redis: redis://:${' + 'REDIS_PASSWORD}@127.0.0.1:6379/0'
  const config = await good(leastConfig(hidden), { REDIS_PASSWORD: 'pa55' })
  assert.equal(config.redis, 'redis://:pa55@127.0.0.1:6379/0')
  const rspamd = 'scanners: { rspamd: { url: "http://127.0.0.1:1", password: "a$$' + '{b}" } }'
  assert.equal((await good(leastConfig(rspamd))).scanners.rspamd?.password, 'a$' + '{b}')
})

const ldap = (...more: string[]) =>
  ['directory:', '  staff:', '    ldap:', '      urls: [ldaps://dc1]', '      base: dc=example']
    .concat(more.map(line => `      ${line}`))
    .join('\n')

test('a password file ends up as the password, without its last line end', async () => {
  const text = leastConfig(ldap('bindDn: cn=gate', 'bindPasswordFile: password.txt'))
  const staff = (await good(text)).directory.staff
  assert.ok(staff && 'ldap' in staff)
  assert.equal(staff.ldap.bindPassword, 'hunter2')
})

test('a password file that everybody may read is warned about', async () => {
  const file = path.join(folder.path, 'open.txt')
  await writeFile(file, 'hunter2\n')
  await chmod(file, 0o644)
  const told = await warnings(
    leastConfig('scanners: { clamav: embedded }', ldap('bindDn: x', 'bindPasswordFile: open.txt')),
  )
  assert.deepEqual(told, [`14: \`${file}\` can be read by everybody`])
})

test('no scanner, a metrics port open to the network and a foreign postmaster are warned about', async () => {
  const told = await warnings(
    leastConfig('http: { address: "0.0.0.0:9090" }').replace('postmaster@', 'postmaster@mail.'),
  )
  assert.equal(told.length, 3)
  assert.match(told[0] ?? '', /^1: there is no scanner/)
  assert.match(told[1] ?? '', /^5: `mail.example.org` is not among/)
  assert.match(told[2] ?? '', /^7: the metrics are open/)
})

test('a domain with a fault is not called missing', async () => {
  const read = await folder.read(leastConfig().replace('nextHop', 'nexthop'))
  assert.ok('faults' in read)
  assert.deepEqual(
    read.warnings.filter(w => w.path.startsWith('postmaster')),
    [],
  )
})

test('letting mail pass unscanned is warned about, each time', async () => {
  const told = await warnings(
    leastConfig(
      'scanners: { clamav: embedded }',
      'failure:',
      '  clamav: { down: relay, slow: relayMarked }',
    ),
  )
  assert.equal(told.filter(w => w.startsWith('9: when clamav is ')).length, 2)
})

test('a hold shorter than a scanner’s deadline is warned about', async () => {
  const scanners = 'scanners: { clamav: { addresses: ["tcp:127.0.0.1:3310"] } }'
  const told = await warnings(leastConfig(scanners, 'hold: { seconds: 5 }'))
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /^8: a client waits 5 s, but clamav may take 25000 ms/)
})

test('an expired certificate is warned about, not refused', async () => {
  const text = leastConfig('scanners: { clamav: embedded }').replace(
    '2525"',
    '2525", tls: { cert: good.pem, key: good.key }',
  )
  const file = path.join(folder.path, 'late.yaml')
  await writeFile(file, text)
  const machine = { ...folder.machine, nowMs: Date.now() + 10 * 86_400_000 }
  const read = await readConfig(file, {}, machine)
  assert.ok('config' in read)
  assert.match(read.warnings[0]?.problem ?? '', /has expired/)
})

test('started by root without a user, the workers become sallyport, or nobody with a warning', async () => {
  const file = path.join(folder.path, 'nobody.yaml')
  const text = leastConfig('scanners: { clamav: embedded }').replace('user: sallyport\n', '')
  await writeFile(file, text)
  assert.deepEqual(await warnings(text), [])
  const account = async (name: string) => (name === 'nobody' ? { name, uid: 1, gid: 1 } : undefined)
  const read = await readConfig(file, {}, { ...folder.machine, account })
  assert.match(read.warnings[0]?.problem ?? '', /the workers run as `nobody`/)
  const nobody = await readConfig(file, {}, { ...folder.machine, account: async () => undefined })
  assert.ok('faults' in nobody)
  const same = await readConfig(file, {}, { ...folder.machine, isRoot: false })
  assert.ok('config' in same && same.warnings.length === 0)
})

test('a key that the workers can not read is a fault', async () => {
  const file = path.join(folder.path, 'locked.yaml')
  const text = leastConfig().replace('2525"', '2525", tls: { cert: good.pem, key: good.key }')
  await writeFile(file, text)
  const isReadableBy = async (_: unknown, name: string) => !name.endsWith('.key')
  const read = await readConfig(file, {}, { ...folder.machine, isReadableBy })
  assert.ok('faults' in read)
  const told = read.faults.map(f => `${f.line}: ${f.path}: ${f.problem}`)
  const key = path.join(folder.path, 'good.key')
  assert.deepEqual(told, [
    `4: listen.0.tls.key: \`${key}\` can't be read by the user \`sallyport\``,
  ])
})

test('this machine is asked as the account itself', async context => {
  const machine = thisMachine()
  const root = await machine.account('root')
  assert.deepEqual(root, { name: 'root', uid: 0, gid: 0 })
  assert.equal(await machine.account('nobody-here'), undefined)
  const nobody = await machine.account('nobody')
  assert.ok(nobody)
  if (!machine.isRoot) return context.diagnostic('only root can become somebody else')
  assert.equal(await machine.isReadableBy(nobody, '/etc/passwd'), true)
  assert.equal(await machine.isReadableBy(nobody, path.join(folder.path, 'password.txt')), false)
})

test('a file that is not there is a fault, not an exception', async () => {
  const read = await readConfig(path.join(folder.path, 'none.yaml'), {}, folder.machine)
  assert.ok('faults' in read)
  assert.match(read.faults[0]?.problem ?? '', /can't be read \(ENOENT\)/)
})

test('no fault shows a secret from the environment, a URL or a password key', async () => {
  const read = await folder.read(
    leastConfig(
      'redis: ftp://user:geheim1@geheim4@host',
      'notifications: { nextHop: "smpt://user:geheim5@host" }',
      'dns: { servers: ["${' + 'SECRET}"] }',
      'scanners: { rspamd: { url: "http://127.0.0.1:1", password: [geheim3] } }',
    ),
    { SECRET: 'geheim2' },
  )
  assert.ok('faults' in read)
  assert.equal(read.faults.length, 4)
  assert.doesNotMatch(JSON.stringify(read), /geheim/)
})

test('anchors and aliases are followed, without an end they are refused', async () => {
  const config = await good(
    leastConfig().replace(
      /^domains:.*$/m,
      'domains: { example.org: &d { nextHop: "smtp://mail.internal" }, example.net: *d }',
    ),
  )
  assert.equal(config.domains['example.net']?.nextHop, 'smtp://mail.internal')
  const levels = Array.from({ length: 8 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x]'
      : `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
  )
  const bomb = await folder.read(leastConfig(...levels))
  assert.ok('faults' in bomb)
})
