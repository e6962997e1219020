// Clean mail goes through every real server and arrives octet by octet; who is not wanted is told at RCPT.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { connectSmtp } from '../support/client.ts'
import { attachment, plainMessage } from '../support/eicar.ts'
import { addedTo, codes, ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ rspamd: true, slapd: true })
})
after(() => world[Symbol.asyncDispose]())

test('arrives identical, below a Received field and the results of the scan', async () => {
  const content = plainMessage({ id: 'clean@sender.test', body: '.\r\n..dots\r\n\r\n. end' })
  const sent = await world.send({ content })
  assert.equal(sent.dot?.code, 250)
  assert.ok(sent.dot.id, 'the reply ends with the message id')
  const [received, ...more] = world.arrived('clean@sender.test')
  assert.equal(more.length, 0)
  const added = addedTo(content, received)
  assert.match(added ?? 'not identical', /^Received: from \S+/m)
  assert.match(added ?? '', new RegExp(`\\bid ${sent.dot.id}\\b`))
  assert.match(added ?? '', /^X-Sallyport-\S+:/m)
  assert.equal(received?.mailFrom, 'alice@sender.test')
  assert.deepEqual(received.rcptTo, ['bob@example.org'])
  assert.deepEqual(await world.gateway.spooled('queued'), [])
})

test('fields of ours that a sender forged are removed, nothing else is', async () => {
  const rest = plainMessage({ id: 'forged@sender.test' })
  const forged = Buffer.from('X-Sallyport-Spam: no\r\n')
  assert.equal(
    ending(await world.send({ content: Buffer.concat([forged, rest]) })).slice(0, 3),
    '250',
  )
  const added = addedTo(rest, world.arrived('forged@sender.test')[0])
  assert.ok(added !== undefined && !added.includes('X-Sallyport-Spam: no'))
})

test('a megabyte of attachment, pipelined', async () => {
  const content = attachment({ id: 'large@sender.test' }, 'a.bin', randomBytes(1_000_000))
  const sent = await world.send({ content, pipelining: true })
  assert.equal(sent.dot?.code, 250)
  assert.notEqual(addedTo(content, world.arrived('large@sender.test')[0]), undefined)
  const metrics = await (await fetch(`${world.gateway.http}/metrics`)).text()
  assert.match(metrics, /^sallyport_known_clean_total\{result="unknown"\} 1$/m, 'others were asked')
})

test('one message to two users of whom one does not exist reaches the other', async () => {
  const content = plainMessage({ id: 'two@sender.test' })
  const sent = await world.send({ content, to: ['nobody@example.org', 'carol@example.org'] })
  assert.deepEqual(
    sent.recipients.map(said => codes(said)),
    ['550 5.1.1', '250 2.1.5'],
  )
  assert.equal(sent.dot?.code, 250)
  assert.deepEqual(
    world.arrived('two@sender.test').map(mail => mail.rcptTo),
    [['carol@example.org']],
  )
})

test('a foreign domain is refused whatever its form: no open relay', async () => {
  using client = await connectSmtp({ port: world.gateway.port })
  await client.command('EHLO client.test')
  await client.command('MAIL FROM:<alice@sender.test>')
  for (const address of [
    'x@elsewhere.test',
    'bob%elsewhere.test@example.org',
    'x@example.org.test',
  ])
    assert.match(codes(await client.command(`RCPT TO:<${address}>`)), /^550 5\.[17]\.1$/, address)
  assert.match(codes(await client.command('RCPT TO:<@example.org:x@elsewhere.test>')), /^5\d\d/)
})

test('the directory down: 451 4.4.3 for everybody it has not vouched for; up again: 250', async () => {
  await world.slapd().stop()
  const down = await world.send({ to: ['dave@example.org'] })
  assert.equal(ending(down), '451 4.4.3')
  await world.slapd().restart()
  const content = plainMessage({ id: 'directory@sender.test' })
  let last = ''
  for (const end = Date.now() + 15_000; Date.now() < end && last !== '550 5.1.1'; )
    last = ending(await world.send({ to: ['erin@example.org'], content }))
  assert.equal(last, '550 5.1.1')
  assert.equal((await world.send({ content })).dot?.code, 250)
})

test('<postmaster> without a domain is taken, and goes to the configured address', async () => {
  // The directory knows no postmaster: it is taken all the same (RFC 5321 §4.5.1).
  const content = plainMessage({ id: 'postmaster@sender.test' })
  const sent = await world.send({ content, to: ['postmaster'] })
  assert.equal(sent.dot?.code, 250)
  assert.deepEqual(world.arrived('postmaster@sender.test')[0]?.rcptTo, ['postmaster@example.org'])
})

test('the accounts add up, and nothing is left in the spool', async () => {
  await world.settled()
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
  assert.equal(ledger.accepted, ledger.relayed)
  assert.ok((ledger.accepted ?? 0) >= 5)
})

test('promtool finds nothing wrong with the metrics', async () => {
  const metrics = await (await fetch(`${world.gateway.http}/metrics`)).text()
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' })
  assert.equal(checked.status, 0, checked.stdout + checked.stderr)
  assert.equal(checked.stdout + checked.stderr, '')
})
