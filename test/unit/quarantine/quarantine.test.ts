// Mail in the quarantine: byte-exact, durable, once, readable by any Maildir program, and gone in time.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { Message, Recipient } from '../../../gateway/message.ts'
import { createQuarantine } from '../../../gateway/quarantine/quarantine.ts'
import { newId } from '../../../gateway/spool/id.ts'
import { temporaryFolder } from '../../support/process.ts'

const DAY_MS = 86_400_000
const recipient = (local: string): Recipient => ({
  address: `${local}@example.org`,
  domain: 'example.org',
})
const [ANNA, BOB] = [recipient('anna'), recipient('bob')]
const CONTENT = Buffer.from('Subject: x\r\n\r\n.dots\r\n\xff\xfe8 bit\r\nFrom here\r\n', 'latin1')

async function prepared(content = CONTENT, keepDays = 30) {
  const folder = await temporaryFolder()
  const spooled = path.join(folder.path, 'spooled.eml')
  await writeFile(spooled, content)
  const maildir = path.join(folder.path, 'quarantine')
  const quarantine = await createQuarantine({ folder: maildir, keepDays })
  const message: Message = {
    envelope: {
      id: newId(),
      receivedAt: Date.now(),
      client: { address: '192.0.2.1', port: 1025, helo: 'mail.example' },
      reversePath: 'sender@example.net',
      recipients: [ANNA, BOB],
      eightBit: true,
      smtpUtf8: false,
      sizeBytes: content.length,
      sha256: '00',
      kind: 'mail',
      fingerprint: 'f',
    },
    content: { path: spooled, sizeBytes: content.length },
  }
  const entry = { message, recipients: [ANNA], reason: 'infected: Eicar', policy: 'infected' }
  const files = async (name: string) => (await readdir(path.join(maildir, name))).sort()
  return {
    spooled,
    maildir,
    quarantine,
    message,
    entry,
    files,
    async [Symbol.asyncDispose]() {
      await quarantine[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('content stays byte for byte, after the spool has let go of it too', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  await unlink(it.spooled)
  assert.equal(path.dirname(place), path.join(it.maildir, 'new'))
  assert.deepEqual(await readFile(place), CONTENT)
  assert.deepEqual(await it.files('tmp'), [])
  const [kept] = await it.quarantine.list()
  assert.ok(kept)
  assert.deepEqual(
    [kept.id, kept.policy, kept.reason, kept.recipients, kept.envelope, kept.place],
    [it.message.envelope.id, 'infected', 'infected: Eicar', [ANNA], it.message.envelope, place],
  )
  assert.equal(path.basename(place), kept.name)
})

test('kept again for the same recipients it is there once, whatever their order', async () => {
  await using it = await prepared()
  const both = { ...it.entry, recipients: [ANNA, BOB] }
  const first = await it.quarantine.keep(both)
  const second = await it.quarantine.keep({ ...both, recipients: [BOB, ANNA], reason: 'other' })
  assert.deepEqual(first, second)
  assert.equal((await it.files('new')).length, 1)
  const [kept] = await it.quarantine.list()
  assert.equal(kept?.reason, 'infected: Eicar')
  await unlink(it.spooled)
  assert.deepEqual(await it.quarantine.keep(both), first)
})

test('kept for others it is there again, and both are found by the id', async () => {
  await using it = await prepared()
  await it.quarantine.keep(it.entry)
  await it.quarantine.keep({ ...it.entry, recipients: [BOB], policy: 'spam' })
  const found = await it.quarantine.find(it.message.envelope.id)
  assert.deepEqual(found.map(entry => entry.policy).sort(), ['infected', 'spam'])
  assert.deepEqual(await it.quarantine.find(newId()), [])
})

test('a message that a mail program has read is still the same one', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  const read = path.join(it.maildir, 'cur', `${path.basename(place)}:2,S`)
  await rename(place, read)
  assert.equal((await it.quarantine.list())[0]?.place, read)
  assert.deepEqual(await it.quarantine.keep(it.entry), { place: read })
  assert.deepEqual(await it.files('new'), [])
})

test('a crash between decision and message, or before the name, leaves nothing twice', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  const aside = path.join(it.maildir, 'tmp', `${path.basename(place)}.000000000000`)
  await rename(place, aside)
  assert.deepEqual(await it.quarantine.list(), [])
  assert.deepEqual(await it.quarantine.keep(it.entry), { place })
  assert.equal((await it.files('new')).length, 1)
  await rm(path.join(it.maildir, 'decisions', `${path.basename(place)}.json`))
  assert.deepEqual(await it.quarantine.keep(it.entry), { place })
  assert.equal((await it.files('new')).length, 1)
  assert.equal((await it.quarantine.list()).length, 1)
})

test('from another file system it is a copy, of any size', async () => {
  await using it = await prepared(Buffer.alloc(3_000_000, 'x'))
  const elsewhere = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const spooled = path.join(elsewhere, `${it.message.envelope.id}.eml`)
  await writeFile(spooled, await readFile(it.spooled))
  try {
    const message = { ...it.message, content: { path: spooled, sizeBytes: 3_000_000 } }
    const { place } = await it.quarantine.keep({ ...it.entry, message })
    assert.deepEqual(await readFile(place), await readFile(spooled))
    assert.equal((await stat(place)).dev, (await stat(it.maildir)).dev)
  } finally {
    await rm(spooled)
  }
})

test('what cannot be kept is said, and nothing of it is in new/', async () => {
  await using it = await prepared()
  const half = { path: it.spooled, sizeBytes: CONTENT.length + 1 }
  const short = { ...it.entry, message: { ...it.message, content: half } }
  await assert.rejects(it.quarantine.keep(short), /octets, not/)
  const missing = { path: `${it.spooled}.gone`, sizeBytes: CONTENT.length }
  const gone = { ...it.entry, message: { ...it.message, content: missing } }
  await assert.rejects(it.quarantine.keep(gone), { code: 'ENOENT' })
  assert.deepEqual([await it.files('new'), await it.files('tmp')], [[], []])
  assert.deepEqual(await it.quarantine.list(), [])
  await it.quarantine.keep(it.entry)
  assert.equal((await it.quarantine.list()).length, 1)
})

for (const part of ['tmp', 'new', 'decisions']) {
  test(`a disk that fails at ${part}/ makes keep reject, and the next try succeed`, async () => {
    await using it = await prepared()
    const folder = path.join(it.maildir, part)
    await rename(folder, `${folder}.away`)
    await symlink('/dev/full', folder)
    await assert.rejects(it.quarantine.keep(it.entry), { code: /ENOTDIR|ENOSPC/ })
    await rm(folder)
    await rename(`${folder}.away`, folder)
    assert.deepEqual(await it.files('new'), [])
    await it.quarantine.keep(it.entry)
    assert.equal((await it.quarantine.list()).length, 1)
  })
}

test('reasons are one line of printable characters, and names hold nothing of a client', async () => {
  await using it = await prepared()
  const reason = `a\r\nb\0c\u2028d\u202ee\x1b[31m${'x'.repeat(1000)}`
  const evil = { address: '../../x"@example.org', domain: 'example.org' }
  await it.quarantine.keep({ ...it.entry, reason, recipients: [evil] })
  const [kept] = await it.quarantine.list()
  assert.match(kept?.reason ?? '', /^a b c d e \[31mx+$/)
  assert.equal(kept?.reason.length, 500)
  assert.match((await it.files('new'))[0] ?? '', /^\d+\.m[0-9a-z]{21}\.[0-9a-f]{16}$/)
  const foreign = { ...it.message, envelope: { ...it.message.envelope, id: '../x' } }
  await assert.rejects(it.quarantine.keep({ ...it.entry, message: foreign }), /not ours/)
})

test('released, it is what was taken; removed, it is gone', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  const name = path.basename(place)
  const released = await it.quarantine.release(name)
  assert.deepEqual(released?.recipients, [ANNA])
  assert.deepEqual(released?.message.envelope, it.message.envelope)
  assert.deepEqual(await readFile(released?.message.content.path ?? ''), CONTENT)
  assert.equal(await it.quarantine.remove('../../etc/passwd'), false)
  assert.equal(await it.quarantine.release('../../etc/passwd'), undefined)
  assert.equal(await it.quarantine.remove(name), true)
  assert.equal(await it.quarantine.remove(name), false)
  assert.equal(await it.quarantine.release(name), undefined)
  assert.deepEqual([await it.files('new'), await it.files('decisions')], [[], []])
})

test('expires after its days, read or not, and never with 0', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  await it.quarantine.keep({ ...it.entry, recipients: [BOB] })
  await rename(place, path.join(it.maildir, 'cur', `${path.basename(place)}:2,RS`))
  const now = Date.now()
  assert.equal(await it.quarantine.expire(now + 29 * DAY_MS), 0)
  await using forEver = await createQuarantine({ folder: it.maildir, keepDays: 0 })
  assert.equal(await forEver.expire(now + 10_000 * DAY_MS), 0)
  assert.equal((await it.quarantine.list()).length, 2)
  assert.equal(await it.quarantine.expire(now + 31 * DAY_MS), 2)
  assert.deepEqual(await it.quarantine.list(), [])
  assert.deepEqual(await it.files('decisions'), [])
})

test('a spoilt decision hides its message from the list, not from expiry; leftovers in tmp/ go', async () => {
  await using it = await prepared()
  const { place } = await it.quarantine.keep(it.entry)
  const decision = path.join(it.maildir, 'decisions', `${path.basename(place)}.json`)
  await writeFile(decision, '{"name":')
  const left = path.join(it.maildir, 'tmp', 'left')
  await writeFile(left, 'x')
  await utimes(left, new Date(), new Date(Date.now() - 2 * DAY_MS))
  assert.deepEqual(await it.quarantine.list(), [])
  assert.equal(await it.quarantine.expire(), 0)
  assert.deepEqual(await it.files('tmp'), [])
  assert.equal(await it.quarantine.expire(Date.now() + 31 * DAY_MS), 1)
  assert.deepEqual(await it.files('new'), [])
})

test('is what a Maildir is: three folders, and nothing in new/ but messages', async () => {
  await using it = await prepared()
  await it.quarantine.keep(it.entry)
  await it.quarantine.keep({ ...it.entry, recipients: [BOB] })
  const script = [
    'import mailbox, sys',
    'box = mailbox.Maildir(sys.argv[1], create=False)',
    'for key in box.keys():',
    '    message = box.get_message(key)',
    '    print(message["Subject"], message.get_subdir(), len(box.get_bytes(key)))',
    'print(box.list_folders())',
  ].join('\n')
  const python = spawnSync('python3', ['-c', script, it.maildir], { encoding: 'utf8' })
  if (python.error === undefined) {
    const line = `x new ${CONTENT.length}\n`
    assert.equal(python.stdout, `${line}${line}[]\n`, python.stderr)
  }
  assert.deepEqual((await readdir(it.maildir)).sort(), ['cur', 'decisions', 'new', 'tmp'])
  assert.equal((await it.files('new')).length, 2)
})
