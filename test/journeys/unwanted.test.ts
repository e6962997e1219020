// Viruses and spam are refused while the sender is still on the line, and never reach the next hop.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eicarMessage, eicarZipMessage, gtubeMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { ending, startWorld, type World } from '../support/world.ts'

let world: World
before(async () => {
  world = await startWorld({ rspamd: true })
})
after(() => world[Symbol.asyncDispose]())

const unwanted = {
  'EICAR as an attachment': eicarMessage(),
  'EICAR in a deflated zip': eicarZipMessage(),
  'EICAR in a stored zip': eicarZipMessage({ method: 'stored' }),
  'GTUBE, which rspamd takes for spam': gtubeMessage(),
}

for (const [what, content] of Object.entries(unwanted))
  test(`${what}: 550 5.7.1 in the session, and it goes nowhere`, async () => {
    const sent = await world.send({ content, to: ['bob@example.org', 'carol@example.org'] })
    assert.equal(ending(sent), '550 5.7.1')
    assert.ok(sent.dot?.id, 'the refusal names the message id')
    assert.doesNotMatch(sent.dot.text, /eicar|clam|rspamd/i)
    assert.equal(world.nextHop.received.length, 0)
    assert.deepEqual(await world.gateway.spooled('queued'), [])
    // Log lines are written asynchronously: the reply may be here first.
    await until('the log to say why', () =>
      world.gateway.log('decided').some(line => line.id === sent.dot?.id),
    )
  })
