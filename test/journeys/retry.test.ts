// A client that lost the connection before the reply comes again, and gets its 250 without a second copy.
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { connectSmtp } from '../support/client.ts'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ domain: { failure: { clamav: { down: 'quarantine' } } } })
})
after(() => world[Symbol.asyncDispose]())

/** Sends all of a message with its final dot, and resets the connection while the next hop thinks. */
async function sendAndVanish(content: Buffer): Promise<void> {
  using client = await connectSmtp({ port: world.gateway.port })
  await client.command('EHLO client.test')
  await client.command('MAIL FROM:<alice@sender.test>')
  await client.command('RCPT TO:<bob@example.org>')
  await client.command('DATA')
  const before = world.nextHop.commands.filter(line => line === 'DATA').length
  await client.writeContent(content)
  await until(
    'the next hop to be at it',
    () => world.nextHop.commands.filter(line => line === 'DATA').length > before,
  )
  client.reset()
}

test('relayed while the client was gone: its retry gets 250, and no second copy is made', async () => {
  const content = plainMessage({ id: 'vanished@sender.test' })
  world.nextHop.behave({ dot: { delayMs: 1000 } })
  await sendAndVanish(content)
  await until('it to arrive', () => world.arrived('vanished@sender.test').length > 0)
  await until('the loss of the client to be told', () => world.gateway.log('clientGone').length > 0)
  world.nextHop.behave({})
  assert.match(ending(await world.send({ content })), /^250/)
  await world.settled()
  assert.equal(world.arrived('vanished@sender.test').length, 1)
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
})

test('who heard the 250 and sends the same again gets it twice', async () => {
  const content = plainMessage({ id: 'twice@sender.test' })
  for (let i = 0; i < 2; i++) assert.match(ending(await world.send({ content })), /^250/)
  assert.equal(world.arrived('twice@sender.test').length, 2)
})

test("what became of somebody else's copy is not taken for a client's own", async () => {
  const content = plainMessage({ id: 'copied@sender.test' })
  const { gateway, clamd } = world
  await clamd.stop()
  using other = await connectSmtp({ port: gateway.port, localAddress: '127.9.9.9' })
  await other.command('EHLO other.test')
  await other.command('MAIL FROM:<alice@sender.test>')
  await other.command('RCPT TO:<bob@example.org>')
  await other.command('DATA')
  await other.writeContent(content)
  await until('it to be quarantined', () => gateway.log('quarantined').length > 0)
  other.reset()
  const left = async () => (await readdir(path.join(gateway.spool, 'unanswered'))).includes('left')
  await until('it to be remembered', left)
  await clamd.restart()
  assert.match(ending(await world.send({ content })), /^250/)
  assert.equal(world.arrived('copied@sender.test').length, 1)
})
