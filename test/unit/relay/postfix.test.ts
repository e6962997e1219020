// Real mail servers as next hops: Postfix's smtp-sink, and a private Postfix that stores what it gets.
import assert from 'node:assert/strict'
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { startBench, withoutOurs } from '../../support/order.ts'
import {
  freePort,
  listening,
  start,
  temporaryFolder,
  until,
  userOf,
} from '../../support/process.ts'

const CONTENT = Buffer.from(
  'From: s@example.net\r\nDate: Tue, 24 Nov 2026 14:00:00 +0000\r\nMessage-Id: <1@x>\r\n\r\n.dot\r\n..\r\nend\r\n',
)

test('smtp-sink, by SMTP and LMTP', async () => {
  for (const lmtp of [false, true]) {
    const port = await freePort()
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const args = [...(lmtp ? ['-L'] : []), ...user, `inet:127.0.0.1:${port}`, '100']
    await using _sink = await start('/usr/sbin/smtp-sink', args)
    await until('smtp-sink', () => listening(port))
    await using bench = await startBench()
    const nextHop = `${lmtp ? 'lmtp' : 'smtp'}://127.0.0.1:${port}`
    const to = ['a@example.org', 'b@example.org']
    const order = await bench.order({ nextHops: [nextHop], to, content: CONTENT })
    for (let i = 0; i < 3; i++) {
      const outcomes = await bench.delivery.deliver(order)
      assert.deepEqual(
        outcomes.map(o => o.result),
        ['relayed', 'relayed'],
      )
    }
  }
})

const mainCf = (folder: string) => `
compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/data
mail_owner = postfix
setgid_group = postdrop
default_database_type = texthash
alias_maps =
alias_database =
myhostname = internal.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.org
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = texthash:${folder}/etc/users
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions = reject_unauth_destination, reject_unlisted_recipient
message_size_limit = 100000
maillog_file = ${folder}/log
maillog_file_prefixes = ${folder}
`
const masterCf = (port: number) => `
127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

async function privatePostfix(folder: string, port: number) {
  const user = userOf('postfix')
  if (!user) return undefined
  const nobody = userOf('nobody') ?? user
  await chmod(folder, 0o755)
  for (const name of ['etc', 'spool', 'data', 'mail']) await mkdir(path.join(folder, name))
  await writeFile(path.join(folder, 'etc/main.cf'), mainCf(folder))
  await writeFile(path.join(folder, 'etc/master.cf'), masterCf(port))
  await writeFile(path.join(folder, 'etc/users'), 'a@example.org a/\n"a b"@example.org ab/\n')
  await chown(path.join(folder, 'data'), user.uid, user.gid)
  await chown(path.join(folder, 'mail'), nobody.uid, nobody.gid)
  const config = path.join(folder, 'etc')
  const check = await start('/usr/sbin/postfix', ['-c', config, 'check'])
  assert.equal(await check.ended, 0, check.output())
  return start('/usr/lib/postfix/sbin/master', ['-c', config, '-s'])
}

test('a private Postfix', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
  await using folder = await temporaryFolder('postfix')
  const port = await freePort()
  const postfix = await privatePostfix(folder.path, port)
  assert.ok(postfix)
  await using _postfix = postfix
  const log = () => readFile(path.join(folder.path, 'log'), 'utf8').catch(String)
  await until('Postfix', () => listening(port)).catch(async error =>
    assert.fail(`${error} ${await log()}`),
  )
  await using bench = await startBench()
  const nextHops = [`smtp://127.0.0.1:${port}`]
  const to = ['a@example.org', '"a b"@example.org', 'nobody@example.org']
  const order = await bench.order({ nextHops, to, content: CONTENT })
  const outcomes = await bench.delivery.deliver(order)
  assert.deepEqual(
    Object.fromEntries(
      outcomes.map(o => [o.recipient, `${o.result} ${o.reply.code} ${o.reply.enhanced}`]),
    ),
    {
      'a@example.org': 'relayed 250 2.0.0',
      '"a b"@example.org': 'relayed 250 2.0.0',
      'nobody@example.org': 'refused 550 5.1.1',
    },
    await log(),
  )
  for (const box of ['a', 'ab']) {
    const fresh = path.join(folder.path, 'mail', box, 'new')
    const [name] = await until(`mail in ${box}`, async () => {
      const names = await readdir(fresh).catch((): string[] => [])
      return names.length > 0 ? names : undefined
    })
    const stored = await readFile(path.join(fresh, String(name)), 'latin1')
    const received = withoutOurs(
      Buffer.from(
        stored.slice(stored.indexOf('Received: from client.')).replaceAll('\n', '\r\n'),
        'latin1',
      ),
    )
    assert.equal(received.toString('latin1'), CONTENT.toString('latin1'))
  }
  const big = await bench.order({ nextHops, content: Buffer.alloc(120_000, 'x\r\n') })
  const [tooBig] = await bench.delivery.deliver(big)
  assert.deepEqual([tooBig?.result, tooBig?.reply.code], ['refused', 552])
})
