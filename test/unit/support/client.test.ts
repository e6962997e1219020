// The tests' SMTP client sends exactly what it is given, and reads whatever comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectSmtp, dotStuffed, lastOf, sendMail } from '../../support/client.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

const octets = (text: string) => Buffer.from(text, 'latin1')
const mail = { from: 'a@client.test', content: octets('Subject: x\r\n\r\n.\r\n..\xff\r\nend\r\n') }

test('dots are doubled at the start of a line only, and the final dot follows a CRLF', () => {
  assert.equal(
    dotStuffed(octets('.a\r\n.\r\nb.c\r\n\n.\r\n')).toString('latin1'),
    '..a\r\n..\r\nb.c\r\n\n.\r\n.\r\n',
  )
  assert.equal(dotStuffed(octets('no end')).toString(), 'no end\r\n.\r\n')
  assert.equal(dotStuffed(Buffer.alloc(0)).toString(), '.\r\n')
})

for (const pipelining of [false, true])
  test(`content arrives octet by octet, a refused recipient is left out (${pipelining ? 'pipelined' : 'one by one'})`, async () => {
    await using server = await startNextHop({
      behaviour: { rcpt: address => (address.startsWith('no') ? '550 5.1.1 Nobody' : undefined) },
    })
    const to = ['no@b.test', 'yes@b.test']
    const sent = await sendMail({ ...mail, port: server.port, to, pipelining })
    assert.deepEqual(
      sent.recipients.map(({ code, enhanced, text }) => [code, enhanced, text]),
      [
        [550, '5.1.1', 'Nobody'],
        [250, '2.1.5', 'Ok'],
      ],
    )
    assert.equal(sent.dot?.code, 250)
    assert.deepEqual(server.received[0]?.rcptTo, ['yes@b.test'])
    assert.deepEqual(server.received[0]?.content, mail.content)
  })

test('everybody refused ends without DATA, and the refusal is the last word', async () => {
  await using server = await startNextHop({ behaviour: { rcpt: '450 4.2.0 Later [m1]' } })
  const sent = await sendMail({ ...mail, port: server.port, to: ['x@b.test'] })
  assert.equal(sent.dot, undefined)
  assert.equal(lastOf(sent).code, 450)
  assert.equal(lastOf(sent).id, 'm1')
  assert.ok(!server.commands.includes('DATA'))
})

test('STARTTLS, and TLS from the first octet', async () => {
  await using upgraded = await startNextHop({ tls: 'starttls' })
  const sent = await sendMail({ ...mail, port: upgraded.port, to: ['x@b.test'], starttls: true })
  assert.equal(sent.dot?.code, 250)
  assert.equal(upgraded.received[0]?.secure, true)
  await using implicit = await startNextHop({ tls: 'implicit' })
  using client = await connectSmtp({ port: implicit.port, implicitTls: true })
  assert.equal(client.greeting.code, 220)
})

test('multi-line replies are one reply; a closed connection rejects', async () => {
  await using server = await startNextHop({ behaviour: { mail: { do: 'hangUp' } } })
  using client = await connectSmtp({ port: server.port })
  const ehlo = await client.command('EHLO x')
  assert.equal(ehlo.code, 250)
  assert.ok(ehlo.text.split('\n').includes('PIPELINING'))
  await assert.rejects(client.command('MAIL FROM:<>'), /closed the connection/)
})
