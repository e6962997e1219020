// What protocol.ts and parser.ts override is still there, and still does what the override relies on.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { Parser } from '../../../gateway/receive/parser.ts'
import { GatewayConnection, GatewayServer } from '../../../gateway/receive/protocol.ts'
import { connectSmtp } from '../../support/client.ts'
import { until } from '../../support/process.ts'
import { receiveConfig, startReceive } from '../../support/receive.ts'

describe('smtp-server', () => {
  it('is the version whose internals were read', () => {
    const { version } = createRequire(import.meta.url)('smtp-server/package.json')
    assert.equal(version, '3.21.6', 'read again what is overridden, then change this line')
  })

  it('has every method that is overridden', () => {
    const pairs = [
      [GatewayConnection, SMTPConnection],
      [GatewayServer, SMTPServer],
      [Parser, SMTPStream],
    ] as const
    const own = new Set(['constructor', 'idle', 'dismiss', 'destroy', 'receive'])
    for (const name of ['destroyAll', 'gatewayConnections']) own.add(name)
    for (const [ours, theirs] of pairs) {
      for (const name of Object.getOwnPropertyNames(ours.prototype)) {
        if (!own.has(name))
          assert.ok(name in theirs.prototype, `${name} is not overridden any more`)
      }
    }
  })

  it('does not hold the idle time against a client that waits for its answer', async () => {
    const config = receiveConfig()
    config.limits.idle = 150
    const { promise, resolve } = Promise.withResolvers<void>()
    await using ground = await startReceive({ config, until: promise })
    using client = await connectSmtp({ port: ground.port })
    await client.command('HELO client.test')
    await client.command('MAIL FROM:<>')
    await client.command('RCPT TO:<user@example.org>')
    await client.command('DATA')
    await client.writeContent(Buffer.from('a: b\r\n'))
    await until('the dot', () => ground.held.length === 1)
    setTimeout(resolve, 600)
    assert.equal((await client.read()).code, 250)
  })

  it('obeys no more of a flood than the budget allows', async () => {
    const config = receiveConfig()
    config.limits.errors = 1000
    await using ground = await startReceive({ config })
    using client = await connectSmtp({ port: ground.port })
    const socket = client.socket()
    socket.pause()
    socket.write('FOO\r\n'.repeat(200_000))
    await until('the budget to be spent', () =>
      ground.events.of('commandRefused').some(one => one.reason === 'errors'),
    )
    socket.resume()
    await once(socket, 'close')
    assert.equal(ground.events.of('commandRefused').length, 1001)
  })
})
