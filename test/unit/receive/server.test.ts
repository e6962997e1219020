// The door: who may come in, whose PROXY header is believed, how it closes.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it } from 'node:test'
import { parseListen } from '../../../gateway/receive/server.ts'
import { reply } from '../../../gateway/reply.ts'
import { connectSmtp } from '../../support/client.ts'
import { until } from '../../support/process.ts'
import { type Ground, receiveConfig, startReceive } from '../../support/receive.ts'

/** Everything the server says until it closes, after sending `octets` at once. */
async function exchange(port: number, octets: string, from = '127.0.0.1'): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => undefined)
  let heard = ''
  socket.on('data', chunk => {
    heard += chunk
  })
  if (octets !== '') socket.write(octets)
  await once(socket, 'close')
  return heard
}

async function envelopeOpen(ground: Ground) {
  const client = await connectSmtp({ port: ground.port })
  await client.command('HELO client.test')
  await client.command('MAIL FROM:<sender@client.test>')
  await client.command('RCPT TO:<user@example.org>')
  return client
}

describe('the door', { concurrency: 6 }, () => {
  it('reads addresses to listen on', () => {
    assert.deepEqual(parseListen('0.0.0.0:25'), { host: '0.0.0.0', port: 25 })
    assert.deepEqual(parseListen('[::1]:2525'), { host: '::1', port: 2525 })
    assert.throws(() => parseListen('25'))
  })

  it('opens several listeners, or none if one is taken', async () => {
    const listen = [{ address: '127.0.0.1:0' }, { address: '[::1]:0' }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    const [, second] = ground.receive.listening
    using client = await connectSmtp({ port: second?.port ?? 0, host: '::1' })
    assert.equal(client.greeting.code, 220)
    const taken = `127.0.0.1:${ground.port}`
    const more = receiveConfig({ listen: [{ address: '127.0.0.3:0' }, { address: taken }] })
    await assert.rejects(startReceive({ config: more }), { code: 'EADDRINUSE' })
  })

  it('turns away who is too many, in all and per client', async () => {
    const limits = { connections: 3, connectionsPerClient: 2 }
    await using ground = await startReceive({ config: receiveConfig({ limits }) })
    const { port } = ground
    using _one = await connectSmtp({ port })
    using two = await connectSmtp({ port })
    assert.equal(
      await exchange(port, ''),
      '421 4.7.0 Too many connections from you, try again later\r\n',
    )
    const other = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' })
    await once(other, 'data')
    assert.match(
      await exchange(port, 'EHLO x\r\n', '127.0.0.8'),
      /^421 4\.7\.0 Too many connections,/,
    )
    assert.deepEqual(
      ground.events.of('connectionRefused').map(one => one.reason),
      ['per-client', 'total'],
    )
    other.destroy()
    await two.quit()
    await until('room', () => ground.receive.connections() === 1)
    using three = await connectSmtp({ port })
    assert.equal(three.greeting.code, 220)
  })

  it('has no limit per client for exempt networks', async () => {
    const limits = { connectionsPerClient: 1, exempt: ['127.0.0.0/8'] }
    await using ground = await startReceive({ config: receiveConfig({ limits }) })
    using _one = await connectSmtp({ port: ground.port })
    using two = await connectSmtp({ port: ground.port })
    assert.equal(two.greeting.code, 220)
  })

  it('says that it is not ready', async () => {
    const unready = () => reply(452, '4.3.1', 'Spool is full')
    await using ground = await startReceive({ change: () => ({ unready }) })
    assert.equal(await exchange(ground.port, ''), '421 4.3.2 Spool is full\r\n')
  })

  it('holds no more messages at once than it may, says so at every stage, and recovers', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const config = receiveConfig({ limits: { held: 1 } })
    await using ground = await startReceive({ config, until: promise })
    const { port, receive } = ground
    const open = async (...commands: string[]) => {
      const client = await connectSmtp({ port })
      for (const command of ['EHLO client.test', ...commands]) await client.command(command)
      return client
    }
    const begun = ['MAIL FROM:<a@client.test>', 'RCPT TO:<user@example.org>']
    using first = await open(...begun, 'DATA')
    using atDot = await open(...begun, 'DATA')
    using atData = await open(...begun)
    using atMail = await open()
    assert.equal(receive.busy(), false)
    const content = Buffer.from('Subject: x\r\n\r\nx\r\n')
    await first.writeContent(content)
    await until('the first to be held', () => ground.held.length === 1)
    await atDot.writeContent(content)
    const said = [
      await atDot.read(),
      await atData.command('DATA'),
      await atMail.command('MAIL FROM:<a@client.test>'),
    ]
    assert.deepEqual(
      said.map(({ code, enhanced }) => `${code} ${enhanced}`),
      ['452 4.3.1', '452 4.3.1', '452 4.3.1'],
    )
    assert.match(await exchange(port, ''), /^421 4\.3\.2 Too much mail at once/)
    assert.equal(receive.busy(), true)
    assert.deepEqual(
      ground.events.of('commandRefused').map(({ command, reason }) => `${command} ${reason}`),
      ['DATA busy', 'DATA busy', 'MAIL busy'],
    )
    resolve()
    assert.equal((await first.read()).code, 250)
    assert.equal((await atMail.command('MAIL FROM:<a@client.test>')).code, 250)
    assert.equal((await atData.command('DATA')).code, 354)
    assert.equal((await ground.files()).length, 2)
    await until('calm', () => !receive.busy())
  })

  it('hears who talks too early, in one segment or two', async () => {
    await using ground = await startReceive()
    assert.match(
      await exchange(ground.port, 'EHLO x\r\n'),
      /^421 4\.7\.0 You talk too soon \[m\w+\]\r\n$/,
    )
    assert.equal(ground.events.of('commandRefused')[0]?.reason, 'early-talker')
  })

  it('believes PROXY headers of its proxies', async () => {
    const listen = [{ address: '127.0.0.1:0', proxyProtocol: ['127.0.0.0/29'] }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    const { port } = ground
    const proxied = async (header: string) => {
      const socket = net.connect({ port, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      socket.write(header)
      const [heard] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
      socket.destroy()
      return String(heard)
    }
    assert.match(await proxied('PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\n'), /^220 /)
    assert.match(await proxied('PROXY TCP6 2001:db8::7 2001:db8::1 4321 25\r\n'), /^220 /)
    assert.match(await proxied('PROXY UNKNOWN\r\n'), /^220 /)
    const addresses = ground.events.of('connectionOpened').map(one => one.address)
    assert.deepEqual(addresses, ['192.0.2.7', '2001:db8::7', '127.0.0.1'])
    assert.doesNotMatch(await proxied('EHLO no.proxy\r\n'), /^220/)
    assert.doesNotMatch(await proxied('PROXY TCP4 nonsense 1 2 3\r\n'), /^220/)
    assert.doesNotMatch(await proxied('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c'), /^220/)
  })

  it('does not believe anybody else, and counts proxied clients by their own address', async () => {
    const listen = [{ address: '127.0.0.1:0', proxyProtocol: ['127.0.0.9/32'] }]
    const limits = { connectionsPerClient: 1 }
    await using ground = await startReceive({ config: receiveConfig({ listen, limits }) })
    const { port } = ground
    const header = 'PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\n'
    assert.match(await exchange(port, header), /^421 4\.7\.0/)
    assert.equal(ground.events.of('connectionOpened')[0]?.address, '127.0.0.1')
    const first = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' })
    first.write(header)
    await once(first, 'data')
    const again = await exchange(port, header, '127.0.0.9')
    assert.match(again, /^421 4\.7\.0 Too many connections from you/)
    const other = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' })
    other.write(header.replace('192.0.2.7', '192.0.2.8'))
    assert.match(String((await once(other, 'data'))[0]), /^220/)
    first.destroy()
    other.destroy()
  })

  it('closes idle sessions at once and lets a message on its way end', async () => {
    const { promise: until_, resolve } = Promise.withResolvers<void>()
    await using ground = await startReceive({ until: until_ })
    using idle = await connectSmtp({ port: ground.port })
    using sending = await envelopeOpen(ground)
    await sending.command('DATA')
    await sending.write('Subject: x\r\n')
    using waiting = await envelopeOpen(ground)
    await waiting.command('DATA')
    await waiting.write('Subject: y\r\n\r\n.\r\n')
    await until('the dot', () => ground.held.length === 1)
    const stopped = ground.receive.stop(10_000)
    const bye = await idle.read()
    assert.equal(`${bye.code} ${bye.enhanced}`, '421 4.3.2')
    await assert.rejects(connectSmtp({ port: ground.port }))
    await sending.write('\r\n.\r\n')
    await until('the other dot', () => ground.held.length === 2)
    resolve()
    for (const client of [waiting, sending]) {
      assert.equal((await client.read()).code, 250)
      assert.equal((await client.read()).code, 421)
    }
    await stopped
    assert.deepEqual(
      ground.held.map(one => one.fate),
      ['heard', 'heard'],
    )
    assert.equal(ground.receive.connections(), 0)
  })

  it('does not wait longer than it is told', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using ground = await startReceive({ until: promise })
    using waiting = await envelopeOpen(ground)
    await waiting.command('DATA')
    await waiting.write('Subject: y\r\n\r\n.\r\n')
    await until('the dot', () => ground.held.length === 1)
    const startedAt = Date.now()
    await ground.receive.stop(200)
    assert.ok(Date.now() - startedAt < 2000)
    await until('gone', () => ground.held[0]?.gone.aborted)
    resolve()
    await until('its fate', () => ground.held[0]?.fate === 'unheard')
    assert.equal(ground.held[0]?.told, 1)
  })

  it('takes new limits, domains and sizes', async () => {
    await using ground = await startReceive()
    const next = receiveConfig({ maxMessageSize: 5000, limits: { connectionsPerClient: 1 } })
    await ground.receive.reload(next, ground.directories)
    using client = await connectSmtp({ port: ground.port })
    assert.match((await client.command('EHLO x.test')).text, /SIZE 5000/)
    assert.equal((await client.command('MAIL FROM:<> SIZE=4000')).code, 250)
    assert.match(await exchange(ground.port, ''), /^421 4\.7\.0/)
    const broken = receiveConfig({ limits: { connectionsPerClient: 9 } })
    broken.limits.exempt = ['nonsense']
    await assert.rejects(ground.receive.reload(broken, ground.directories))
    assert.match(await exchange(ground.port, ''), /^421 4\.7\.0/)
  })
})
