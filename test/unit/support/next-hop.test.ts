// The sink keeps octets as they came, and lies as told.
import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import tls from 'node:tls'
import { until } from '../../support/process.ts'
import { startNextHop } from '../../support/servers/next-hop.ts'

/** Says all at once, and returns what came back until `end` matches or the peer ends. */
async function dialogue(port: number, said: string, end: RegExp): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  let heard = ''
  let over = false
  socket.on('data', chunk => {
    heard += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    over = true
  })
  socket.write(said, 'latin1')
  await until('the reply', () => over || end.test(heard))
  socket.destroy()
  return heard
}

const MAIL = 'EHLO x\r\nMAIL FROM:<> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<"a b"@example.org>\r\n'

test('keeps the envelope and content octet by octet', async () => {
  await using hop = await startNextHop()
  const content = '..A: \xe9\r\n\r\n\0...\r\n.. \r\n.\r\n'
  const heard = await dialogue(hop.port, `${MAIL}DATA\r\n${content}QUIT\r\n`, /221 /)
  assert.match(heard, /354[\s\S]*250 2.0.0 Kept\r\n221/)
  assert.equal(hop.received.length, 1)
  assert.deepEqual(
    { ...hop.received[0], content: hop.received[0]?.content.toString('latin1') },
    {
      mailFrom: '',
      params: ['SIZE=9', 'BODY=8BITMIME'],
      rcptTo: ['"a b"@example.org'],
      content: '.A: \xe9\r\n\r\n\0...\r\n. \r\n',
      secure: false,
      connection: 1,
    },
  )
})

test('answers LMTP for each recipient, and counts those taken', async () => {
  await using hop = await startNextHop({
    lmtp: true,
    behaviour: { dot: address => (address.startsWith('b@') ? '452 4.2.2 Full' : undefined) },
  })
  const said =
    'LHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nX\r\n.\r\nQUIT\r\n'
  const heard = await dialogue(hop.port, said, /221 /)
  assert.match(heard, /250 2.0.0 Kept\r\n452 4.2.2 Full\r\n221/)
  assert.deepEqual(hop.received[0]?.rcptTo, ['a@x'])
})

test('hangs up in the middle of content without keeping any', async () => {
  await using hop = await startNextHop({
    behaviour: { body: { afterOctets: 3, answer: { do: 'hangUp' } } },
  })
  const heard = await dialogue(hop.port, `${MAIL}DATA\r\nABCDEF`, /never/)
  assert.match(heard, /354 [^\r]*\r\n$/)
  assert.equal(hop.received.length, 0)
})

test('speaks TLS after STARTTLS, and restarts on its port', async () => {
  await using hop = await startNextHop({ tls: 'starttls' })
  const plain = net.connect(hop.port, '127.0.0.1')
  plain.write('STARTTLS\r\n')
  let heard = ''
  plain.on('data', chunk => {
    heard += chunk.toString()
  })
  await until('220 to STARTTLS', () => heard.includes('Go ahead'))
  plain.removeAllListeners('data')
  const secure = tls.connect({ socket: plain, rejectUnauthorized: false })
  heard = ''
  secure.on('data', chunk => {
    heard += chunk.toString()
  })
  secure.write('EHLO x\r\n')
  await until('the answer to EHLO', () => /250 /.test(heard))
  assert.doesNotMatch(heard, /STARTTLS/)
  secure.destroy()
  await hop.stop()
  await hop.restart()
  assert.match(await dialogue(hop.port, 'QUIT\r\n', /221/), /^220 [\s\S]*221/)
})
