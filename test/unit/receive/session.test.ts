// One conversation on a real connection: what disturbs it, who has heard what, and what a fault costs.
import assert from 'node:assert/strict'
import { open, stat } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fingerprint } from '../../../gateway/receive/fingerprint.ts'
import { reply } from '../../../gateway/reply.ts'
import type { Check } from '../../../policies/policy.ts'
import { connectSmtp, type SmtpClient } from '../../support/client.ts'
import { until } from '../../support/process.ts'
import { type Ground, receiveConfig, slowStore, startReceive } from '../../support/receive.ts'

async function envelope(ground: Ground, command = 'DATA'): Promise<SmtpClient> {
  const client = await connectSmtp({ port: ground.port })
  await client.command('EHLO Client.Test')
  await client.command('MAIL FROM:<sender@client.test>')
  await client.command('RCPT TO:<user@example.org>')
  if (command !== '') assert.equal((await client.command(command)).code, 354)
  return client
}

const nobodyLeft = (ground: Ground) =>
  until('nobody to be left', () => ground.receive.connections() === 0)

const MiB = 1024 * 1024
const big = receiveConfig({ maxMessageSize: 4 * MiB })

describe('a session', { concurrency: 6 }, () => {
  it('tells the envelope as it was', async () => {
    await using ground = await startReceive()
    using client = await envelope(ground)
    const from = client.socket().localPort
    await client.writeContent(Buffer.from('Subject: grüße\r\n\r\n'))
    const said = await client.read()
    const { envelope: seen, content } = ground.held[0]?.message ?? assert.fail()
    assert.deepEqual(seen.client, { address: '127.0.0.1', port: from, helo: 'Client.Test' })
    assert.equal(said.id, seen.id)
    assert.ok(Math.abs(Date.now() - seen.receivedAt) < 10_000)
    assert.equal(seen.eightBit, true)
    assert.equal(seen.smtpUtf8, false)
    assert.equal(seen.kind, 'mail')
    assert.equal(seen.sizeBytes, (await stat(content.path)).size)
    assert.equal(seen.fingerprint, fingerprint('127.0.0.9', 'sender@client.test', seen.sha256))
    assert.match(seen.fingerprint, /^[0-9a-f]{40}$/)
    const elsewhere = fingerprint('127.0.9.1', 'sender@client.test', seen.sha256)
    assert.notEqual(seen.fingerprint, elsewhere)
    assert.equal(ground.events.of('messageReceived').length, 1)
    assert.equal(ground.events.of('dotAnswered')[0]?.id, seen.id)
  })

  it('gives each transaction an id of its own', async () => {
    await using ground = await startReceive()
    using client = await envelope(ground, '')
    const first = (await client.command('RCPT TO:<other@example.org>')).id
    const between = (await client.command('RSET')).id
    assert.notEqual(between, undefined)
    const second = (await client.command('MAIL FROM:<>')).id
    assert.equal(new Set([first, between, second]).size, 3)
  })

  for (const end of ['FIN', 'RST'] as const) {
    it(`keeps nothing of a message cut off by ${end}`, async () => {
      await using ground = await startReceive({ config: big })
      using client = await envelope(ground)
      await client.write(`Subject: x\r\n\r\n${'x'.repeat(MiB)}`)
      await until('content on disk', async () => (await ground.files()).length === 1)
      if (end === 'FIN') client.socket().end()
      else client.reset()
      await nobodyLeft(ground)
      await until('the content to be removed', async () => (await ground.files()).length === 0)
      assert.equal(ground.held.length, 0)
      assert.deepEqual(ground.events.of('fault'), [])
    })

    it(`tells the hold at once of a client that leaves at the dot by ${end}`, async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      await using ground = await startReceive({ config: big, until: promise })
      using client = await envelope(ground)
      await client.writeContent(
        Buffer.from(`Subject: x\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(9999)}`),
      )
      await until('the dot', () => ground.held.length === 1)
      assert.equal(ground.held[0]?.gone.aborted, false)
      if (end === 'FIN') client.socket().end()
      else client.reset()
      await until('gone', () => ground.held[0]?.gone.aborted)
      resolve()
      await until('its fate', () => ground.held[0]?.fate === 'unheard')
      assert.equal(ground.held[0]?.told, 1)
      assert.equal(ground.events.of('dotAnswered').length, 0)
    })
  }

  it('sees a client leave at the dot though the disk is slow', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using ground = await startReceive({
      config: big,
      until: promise,
      change: ({ store }) => ({ store: slowStore(store, 20) }),
    })
    using client = await envelope(ground)
    await client.writeContent(Buffer.from(`a: b\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(30_000)}`))
    await until('the dot', () => ground.held.length === 1)
    client.socket().end()
    await until('gone', () => ground.held[0]?.gone.aborted)
    resolve()
  })

  it('survives an RST after MAIL (smtp-server issue 229)', async () => {
    await using ground = await startReceive()
    for (let i = 0; i < 5; i++) (await envelope(ground, '')).reset()
    await nobodyLeft(ground)
    using client = await envelope(ground)
    await client.writeContent(Buffer.from('a: b\r\n'))
    assert.equal((await client.read()).code, 250)
    assert.deepEqual(ground.events.of('fault'), [])
  })

  it('does not obey a command without its end', async () => {
    await using ground = await startReceive()
    using client = await connectSmtp({ port: ground.port })
    await client.command('HELO x.test')
    await client.write('MAIL FROM:<sender')
    client.socket().end()
    await nobodyLeft(ground)
    assert.deepEqual(ground.events.of('commandRefused'), [])
  })

  describe('knows that its reply was heard', { concurrency: 6 }, () => {
    const fates: [what: string, fate: string, act: (client: SmtpClient) => unknown][] = [
      ['a next command', 'heard', client => client.command('NOOP')],
      ['QUIT', 'heard', client => client.quit()],
      ['an orderly end', 'heard', client => client.socket().end()],
      ['a reset', 'unheard', client => client.reset()],
    ]
    for (const [what, fate, act] of fates) {
      it(`by ${what}: ${fate}`, async () => {
        await using ground = await startReceive()
        using client = await envelope(ground)
        await client.writeContent(Buffer.from('Subject: x\r\n\r\n'))
        await client.read()
        assert.equal(ground.held[0]?.fate, undefined)
        await act(client)
        await until('its fate', () => ground.held[0]?.fate !== undefined)
        client.socket().destroy()
        await nobodyLeft(ground)
        assert.equal(ground.held[0]?.fate, fate)
        assert.equal(ground.held[0]?.told, 1)
      })
    }

    it('by commands sent along with the dot: not yet', async () => {
      await using ground = await startReceive()
      using client = await envelope(ground)
      await client.write('Subject: x\r\n\r\n.\r\nNOOP\r\n')
      await client.read()
      await client.read()
      assert.equal(ground.held[0]?.fate, undefined)
      client.reset()
      await until('its fate', () => ground.held[0]?.fate === 'unheard')
    })

    it('by silence until the idle time is over: not', async () => {
      const config = receiveConfig()
      config.limits.idle = 300
      await using ground = await startReceive({ config })
      using client = await envelope(ground)
      await client.writeContent(Buffer.from('Subject: x\r\n\r\n'))
      await client.read()
      const bye = await client.read()
      assert.equal(`${bye.code} ${bye.enhanced}`, '421 4.4.2')
      client.reset()
      await until('its fate', () => ground.held[0]?.fate === 'unheard')
    })
  })

  it('gives a message no more than its time, however it trickles', async () => {
    const config = receiveConfig()
    Object.assign(config.limits, { data: 400, idle: 200, dataRate: 0 })
    await using ground = await startReceive({ config })
    using client = await envelope(ground)
    const trickle = setInterval(() => client.socket().write('x'), 50)
    const said = await client.read()
    clearInterval(trickle)
    assert.equal(`${said.code} ${said.enhanced}`, '421 4.4.2')
    assert.match(said.text, /took too long/)
    await nobodyLeft(ground)
    assert.deepEqual(await ground.files(), [])
    assert.equal(ground.events.of('commandRefused')[0]?.reason, 'deadline')
  })

  it('asks for a minimum rate in every window', async () => {
    const config = receiveConfig()
    config.limits.dataRate = 1000
    await using ground = await startReceive({ config, change: () => ({ rateWindowMs: 200 }) })
    using client = await envelope(ground)
    await client.write(`Subject: ${'x'.repeat(500)}`)
    const said = await client.read()
    assert.match(said.text, /too slowly/)
    assert.equal(`${said.code} ${said.enhanced}`, '421 4.4.2')
    await nobodyLeft(ground)
    assert.deepEqual(await ground.files(), [])
  })

  it('keeps no more than the limit of a message too big, and hangs up on one without end', async () => {
    await using ground = await startReceive({ config: receiveConfig({ maxMessageSize: 100_000 }) })
    using client = await envelope(ground)
    let most = 0
    let said = ''
    client.socket().on('data', chunk => {
      said += chunk
    })
    const line = Buffer.from(`${'x'.repeat(998)}\r\n`.repeat(64))
    for (let i = 0; i < 400 && !client.socket().destroyed && client.socket().writable; i++) {
      client.socket().write(line)
      const [file] = await ground.files()
      if (file)
        most = Math.max(
          most,
          (await stat(`${ground.folder}/${file}`).catch(() => ({ size: 0 }))).size,
        )
      await sleep(1)
    }
    assert.ok(most <= 100_000, `${most} octets kept`)
    assert.match(said, /^552 5\.3\.4 /m)
    await nobodyLeft(ground)
    assert.deepEqual(await ground.files(), [])
  })

  it('answers a full disk with 452 at the dot', async () => {
    const openContent = () => open('/dev/full', 'w')
    await using ground = await startReceive({
      config: big,
      change: ({ store }) => ({ store: { ...store, openContent } }),
    })
    using client = await envelope(ground)
    await client.writeContent(
      Buffer.from(`Subject: x\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(9999)}`),
    )
    const said = await client.read()
    assert.equal(`${said.code} ${said.enhanced}`, '452 4.3.1')
    assert.equal((await client.command('NOOP')).code, 250)
    assert.equal(ground.held.length, 0)
  })

  it('answers a store that fails with 451', async () => {
    const openContent = () => Promise.reject(new Error('told so'))
    await using ground = await startReceive({
      change: ({ store }) => ({ store: { ...store, openContent } }),
    })
    using client = await envelope(ground)
    await client.writeContent(Buffer.from('Subject: x\r\n\r\n'))
    const said = await client.read()
    assert.equal(`${said.code} ${said.enhanced}`, '451 4.3.0')
  })

  it('turns a fault of ours into one 451 and stays alive', async () => {
    const boom = () => Promise.reject(new Error('boom'))
    await using ground = await startReceive({
      change: () => ({
        hold: boom,
        directories: new Map([
          ['staff', { name: 'staff', lookup: boom, [Symbol.asyncDispose]: async () => undefined }],
        ]),
      }),
    })
    using client = await envelope(ground, '')
    const refused = await client.command('RCPT TO:<user@example.org>')
    assert.equal(`${refused.code} ${refused.enhanced}`, '451 4.3.0')
    assert.equal((await client.command('RCPT TO:<a@open.example>')).code, 250)
    await client.command('DATA')
    await client.writeContent(Buffer.from('Subject: x\r\n\r\n'))
    const said = await client.read()
    assert.equal(`${said.code} ${said.enhanced}`, '451 4.3.0')
    assert.equal((await client.command('NOOP')).code, 250)
    // One for each RCPT of `envelope` and this test, one for the dot.
    assert.equal(ground.events.of('fault').length, 3)
  })

  it('asks the checks of each stage; the first objection stands', async () => {
    const asked: string[] = []
    const check = (stage: Check['stage'], name: string, objects: boolean): Check => ({
      name,
      stage,
      async check(input) {
        asked.push(`${name} ${input.reversePath ?? '-'} ${input.recipient?.address ?? '-'}`)
        return objects ? reply(450, '4.7.1', `${name} objects`) : undefined
      },
    })
    const checks = [
      check('connect', 'c', false),
      check('mail', 'm', false),
      check('recipient', 'r', true),
      check('recipient', 'never', true),
    ]
    await using ground = await startReceive({ change: () => ({ checks }) })
    using client = await envelope(ground, '')
    assert.deepEqual(asked, [
      'c - -',
      'm sender@client.test -',
      'r sender@client.test user@example.org',
    ])
    assert.equal((await client.command('DATA')).code, 503)
    assert.equal(ground.events.of('commandRefused')[0]?.reason, 'r')
  })

  it('refuses at connect with the reply of a check', async () => {
    const check: Check = {
      name: 'listed',
      stage: 'connect',
      check: async () => reply(554, '5.7.1', 'You are listed'),
    }
    await using ground = await startReceive({ change: () => ({ checks: [check] }) })
    const client = await connectSmtp({ port: ground.port })
    assert.match(`${client.greeting.code} ${client.greeting.enhanced}`, /554 5\.7\.1/)
    await nobodyLeft(ground)
  })

  it('of one client is not disturbed by another', async () => {
    await using ground = await startReceive({ config: big })
    using slow = await envelope(ground)
    await slow.write('Subject: slow\r\n')
    const others = Array.from({ length: 20 }, async (_none, i) => {
      using client = await envelope(ground)
      if (i % 2) {
        client.reset()
        return
      }
      await client.writeContent(Buffer.from('a\nb'))
      assert.equal((await client.read()).code, 550)
    })
    await Promise.all(others)
    await slow.write('\r\n.\r\n')
    assert.equal((await slow.read()).code, 250)
    assert.deepEqual(ground.events.of('fault'), [])
  })
})
