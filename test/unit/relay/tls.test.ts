// TLS by URL: opportunistic never stops mail, required and implicit never send without a verified certificate.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { startBench } from '../../support/order.ts'
import { temporaryFolder } from '../../support/process.ts'
import { type NextHopOptions, startNextHop } from '../../support/servers/next-hop.ts'

async function tried(
  options: NextHopOptions & { url: (port: number) => string; trusted?: boolean },
) {
  await using hop = await startNextHop(options)
  await using folder = await temporaryFolder()
  const caFile = path.join(folder.path, 'ca.pem')
  await writeFile(caFile, hop.certificate.cert)
  await using bench = await startBench(options.trusted ? { caFile } : {})
  const order = await bench.order({ nextHops: [options.url(hop.port)] })
  const [outcome] = await bench.delivery.deliver(order)
  return {
    result: `${outcome?.result} ${outcome?.reply.code} ${outcome?.reply.enhanced}`,
    secure: hop.received.map(r => r.secure),
    connections: hop.connections.taken,
    detail: outcome?.detail ?? '',
  }
}

const smtp = (port: number) => `smtp://127.0.0.1:${port}`
const required = (port: number) => `smtp+tls://localhost:${port}`
const implicit = (port: number) => `smtps://localhost:${port}`
const RELAYED = 'relayed 250 2.0.0'

test('opportunistic: TLS where it is offered, self-signed or not', async () => {
  const offered = await tried({ tls: 'starttls', url: smtp })
  assert.deepEqual(
    { ...offered, detail: '' },
    { result: RELAYED, secure: [true], connections: 1, detail: '' },
  )
  const plain = await tried({ url: smtp })
  assert.deepEqual([plain.result, plain.secure], [RELAYED, [false]])
  const lmtp = await tried({ lmtp: true, tls: 'starttls', url: port => `lmtp://127.0.0.1:${port}` })
  assert.deepEqual([lmtp.result, lmtp.secure], [RELAYED, [true]])
})

test('opportunistic: STARTTLS refused or broken, then once more without it, on a fresh connection', async () => {
  for (const behaviour of [
    { brokenTls: true },
    { starttls: '454 4.7.0 TLS not available' },
    { starttls: { do: 'hangUp' } },
    { starttls: { say: '220 Go', afterwards: 'hangUp' } },
  ] as const) {
    const outcome = await tried({ tls: 'starttls', url: smtp, behaviour })
    const what = JSON.stringify(behaviour)
    assert.deepEqual(
      [outcome.result, outcome.secure, outcome.connections],
      [RELAYED, [false], 2],
      what,
    )
  }
})

test('required: verified against caFile, and by name', async () => {
  const known = { tls: 'starttls', url: required, names: ['localhost'] } as const
  const trusted = await tried({ ...known, trusted: true })
  assert.deepEqual([trusted.result, trusted.secure], [RELAYED, [true]])
  const unknown = await tried(known)
  assert.deepEqual([unknown.result, unknown.secure], ['deferred 451 4.7.5', []])
  assert.match(unknown.detail, /self.signed/)
  const other = await tried({ ...known, names: ['other.test'], trusted: true })
  assert.deepEqual([other.result, other.secure], ['deferred 451 4.7.5', []])
  assert.match(other.detail, /altnames/)
})

test('required: never without TLS, whatever the server says', async () => {
  for (const options of [
    {},
    { tls: 'starttls', behaviour: { starttls: '454 4.7.0 no' } },
    { tls: 'starttls', behaviour: { ehlo: '502 no' } },
    { tls: 'starttls', behaviour: { brokenTls: true } },
  ] as NextHopOptions[]) {
    const outcome = await tried({ ...options, url: required, names: ['localhost'], trusted: true })
    assert.match(outcome.result, /^deferred 451 4\.(7\.5|4\.1)$/)
    assert.deepEqual([outcome.secure, outcome.connections], [[], 1])
  }
})

test('implicit: TLS from the first octet, verified', async () => {
  const known = { tls: 'implicit', url: implicit, names: ['localhost'] } as const
  const trusted = await tried({ ...known, trusted: true })
  assert.deepEqual([trusted.result, trusted.secure], [RELAYED, [true]])
  assert.match((await tried(known)).result, /^deferred 451 4\.7\.5$/)
  assert.match((await tried({ url: implicit, trusted: true })).result, /^deferred 451 4\.7\.5$/)
  const byAddress = await tried({
    ...known,
    names: ['localhost', '127.0.0.1'],
    url: port => `smtps://127.0.0.1:${port}`,
    trusted: true,
  })
  assert.deepEqual([byAddress.result, byAddress.secure], [RELAYED, [true]])
})
