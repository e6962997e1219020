// TLS on real sockets: STARTTLS, implicit TLS, SNI, a reload that is refused and one that is not.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { describe, it } from 'node:test'
import tls from 'node:tls'
import { selfSigned } from '../../support/certificate.ts'
import { connectSmtp } from '../../support/client.ts'
import { temporaryFolder, until } from '../../support/process.ts'
import { receiveConfig, startReceive } from '../../support/receive.ts'

async function pair(folder: string, ...names: string[]) {
  const { cert, key } = selfSigned(...names)
  const files = {
    cert: path.join(folder, `${names[0]}.pem`),
    key: path.join(folder, `${names[0]}.key`),
  }
  await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key)])
  return files
}

/** The names of the certificate an implicit TLS listener answers a name with. */
async function answered(port: number, servername: string): Promise<string | undefined> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subjectaltname } = socket.getPeerCertificate()
  socket.destroy()
  return subjectaltname
}

describe('TLS', { concurrency: 4 }, () => {
  it('is offered with STARTTLS and forgets what was said before', async () => {
    await using folder = await temporaryFolder()
    const listen = [{ address: '127.0.0.1:0', tls: await pair(folder.path, 'mx.test') }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    using client = await connectSmtp({ port: ground.port })
    assert.match((await client.command('EHLO plain.test')).text, /\nSTARTTLS/)
    await client.command('MAIL FROM:<plain@client.test>')
    assert.equal((await client.command('STARTTLS now')).code, 501)
    const said = await client.startTls()
    assert.equal(`${said.code} ${said.enhanced}`, '220 2.0.0')
    // RFC 3207 §4.2
    assert.equal((await client.command('MAIL FROM:<a@client.test>')).code, 503)
    assert.doesNotMatch((await client.command('EHLO secure.test')).text, /STARTTLS/)
    assert.equal((await client.command('STARTTLS')).code, 503)
    await client.command('MAIL FROM:<a@client.test>')
    await client.command('RCPT TO:<user@example.org>')
    await client.command('DATA')
    await client.writeContent(Buffer.from('Subject: x\r\n\r\n'))
    assert.equal((await client.read()).code, 250)
    await client.quit()
    const { client: seen } = ground.held[0]?.message.envelope ?? {}
    assert.equal(seen?.helo, 'secure.test')
    assert.equal(seen?.tls?.version, 'TLSv1.3')
    assert.equal(ground.events.of('sessionSecured').length, 1)
    await until('heard', () => ground.held[0]?.fate === 'heard')
  })

  it('drops commands that were sent in plain text along with STARTTLS', async () => {
    await using folder = await temporaryFolder()
    const listen = [{ address: '127.0.0.1:0', tls: await pair(folder.path, 'mx.test') }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    using client = await connectSmtp({ port: ground.port })
    await client.command('EHLO plain.test')
    await client.write('STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@client.test>\r\n')
    assert.equal((await client.read()).code, 220)
    const socket = client.socket()
    socket.removeAllListeners('data')
    const secure = tls.connect({ socket, rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    secure.write('RCPT TO:<user@example.org>\r\n')
    const [heard] = await once(secure, 'data')
    assert.match(String(heard), /^503 /)
  })

  it('from the first octet chooses the certificate by name', async () => {
    await using folder = await temporaryFolder()
    const pairs = [
      await pair(folder.path, 'mx.test'),
      await pair(folder.path, 'other.test', '*.wild.test'),
    ]
    const listen = [{ address: '127.0.0.1:0', implicit: true, tls: pairs }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    assert.equal(await answered(ground.port, 'mx.test'), 'DNS:mx.test')
    assert.match((await answered(ground.port, 'other.test')) ?? '', /other\.test/)
    assert.match((await answered(ground.port, 'a.wild.test')) ?? '', /other\.test/)
    assert.equal(await answered(ground.port, 'unknown.test'), 'DNS:mx.test')
    using client = await connectSmtp({ port: ground.port, implicitTls: true })
    assert.equal(client.greeting.code, 220)
    assert.doesNotMatch((await client.command('EHLO x.test')).text, /STARTTLS/)
  })

  it('chooses by name after STARTTLS too', async () => {
    await using folder = await temporaryFolder()
    const pairs = [await pair(folder.path, 'mx.test'), await pair(folder.path, 'other.test')]
    const listen = [{ address: '127.0.0.1:0', tls: pairs }]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    using client = await connectSmtp({ port: ground.port, servername: 'other.test' })
    await client.command('EHLO x.test')
    await client.startTls()
    const socket = client.socket()
    assert.ok(socket instanceof tls.TLSSocket)
    assert.equal(socket.getPeerCertificate().subjectaltname, 'DNS:other.test')
  })

  it('is stopped in the middle of handshakes', async () => {
    await using folder = await temporaryFolder()
    const files = await pair(folder.path, 'mx.test')
    const listen = [
      { address: '127.0.0.1:0', tls: files },
      { address: '127.0.0.2:0', tls: files, implicit: true },
    ]
    const ground = await startReceive({ config: receiveConfig({ listen }) })
    const [, second] = ground.receive.listening
    using client = await connectSmtp({ port: ground.port })
    await client.command('EHLO x.test')
    await client.command('STARTTLS')
    const raw = connect({ port: second?.port ?? 0, host: '127.0.0.2' })
    raw.on('error', () => undefined)
    // The beginning of a ClientHello
    for (const socket of [client.socket(), raw]) socket.write(Buffer.from('16030102000100', 'hex'))
    await ground.receive.stop(100)
    await ground[Symbol.asyncDispose]()
    assert.deepEqual(ground.events.of('fault'), [])
    raw.destroy()
  })

  it('is reloaded for new connections; a key that does not fit changes nothing', async () => {
    await using folder = await temporaryFolder()
    const files = await pair(folder.path, 'old.test')
    const listen = [{ address: '127.0.0.1:0', implicit: true, tls: files }]
    const config = receiveConfig({ listen })
    await using ground = await startReceive({ config })
    using open = await connectSmtp({ port: ground.port, implicitTls: true })
    await writeFile(files.cert, selfSigned('new.test').cert)
    const domains = { 'new.example': { nextHop: 'smtp://127.0.0.1:1' } }
    const next = receiveConfig({ listen, domains })
    await assert.rejects(ground.receive.reload(next, ground.directories), /is not the key of/)
    assert.equal(await answered(ground.port, 'x.test'), 'DNS:old.test')
    await open.command('HELO x.test')
    await open.command('MAIL FROM:<>')
    assert.equal((await open.command('RCPT TO:<a@new.example>')).code, 550)
    await writeFile(files.key, selfSigned('new.test').key)
    await ground.receive.reload(next, ground.directories)
    assert.equal(await answered(ground.port, 'x.test'), 'DNS:new.test')
    assert.equal((await open.command('RCPT TO:<a@new.example>')).code, 250)
    assert.equal((await open.command('RCPT TO:<user@example.org>')).code, 550)
  })

  it('of no use at start opens no listener', async () => {
    await using folder = await temporaryFolder()
    const files = await pair(folder.path, 'mx.test')
    await writeFile(files.key, selfSigned('other.test').key)
    const listen = [{ address: '127.0.0.1:0', tls: files }]
    await assert.rejects(startReceive({ config: receiveConfig({ listen }) }), /is not the key of/)
  })

  it('survives clients that break the handshake', async () => {
    await using folder = await temporaryFolder()
    const files = await pair(folder.path, 'mx.test')
    const listen = [
      { address: '127.0.0.1:0', implicit: true, tls: files },
      { address: '127.0.0.2:0', tls: files },
    ]
    await using ground = await startReceive({ config: receiveConfig({ listen }) })
    const garbage = connect({ port: ground.port, host: '127.0.0.1' })
    garbage.on('error', () => undefined)
    garbage.write('EHLO not tls\r\n')
    await once(garbage, 'close')
    const second = ground.receive.listening[1]?.port ?? 0
    using client = await connectSmtp({ port: second, host: '127.0.0.2' })
    await client.command('EHLO x.test')
    assert.equal((await client.command('STARTTLS')).code, 220)
    await client.write('this is no handshake, and more of it\r\n')
    await once(client.socket(), 'close')
    await until('nobody', () => ground.receive.connections() === 0)
    assert.equal(await answered(ground.port, 'mx.test'), 'DNS:mx.test')
    assert.deepEqual(ground.events.of('fault'), [])
  })

  it('handshakes that never end are counted against their client', async () => {
    await using folder = await temporaryFolder()
    const files = await pair(folder.path, 'mx.test')
    const listen = [{ address: '127.0.0.1:0', implicit: true, tls: files }]
    const config = receiveConfig({ listen, limits: { connectionsPerClient: 2 } })
    await using ground = await startReceive({ config })
    const idle = [0, 1, 2].map(() => connect({ port: ground.port, host: '127.0.0.1' }))
    for (const socket of idle) socket.on('error', () => undefined)
    await once(idle[2] ?? assert.fail(), 'close')
    for (const socket of idle) socket.destroy()
    await until('room', () => answered(ground.port, 'mx.test').catch(() => undefined))
  })
})
