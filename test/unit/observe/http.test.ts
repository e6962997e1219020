// The HTTP server answers three paths, within bounds, and its metrics are what Prometheus' own tool finds no fault with.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { describe, test } from 'node:test'
import type { Events } from '../../../gateway/observe/events.ts'
import { watchHost } from '../../../gateway/observe/host-metrics.ts'
import { createHttp } from '../../../gateway/observe/http.ts'
import { createLedger } from '../../../gateway/observe/ledger.ts'
import { createMetricsHub } from '../../../gateway/observe/metrics-hub.ts'
import { observe } from '../../support/observed.ts'
import { temporaryFolder } from '../../support/process.ts'
import { everyEvent } from './every-event.ts'

const start = (over: Partial<Parameters<typeof createHttp>[0]> = {}) =>
  createHttp({
    address: '127.0.0.1:0',
    metrics: async () => 'm 1\n',
    ready: async () => ({ ready: true, reasons: [] }),
    ...over,
  })

const get = async (address: string, route: string, method = 'GET') => {
  const response = await fetch(`http://${address}${route}`, { method })
  return { status: response.status, body: await response.text(), headers: response.headers }
}

describe('http', () => {
  test('/health/live and /health/ready, with the reasons why not', async () => {
    let state = { ready: true, reasons: [] as string[] }
    await using server = await start({ ready: async () => state })
    assert.equal((await get(server.address, '/health/live')).status, 200)
    const ready = await get(server.address, '/health/ready')
    assert.deepEqual([ready.status, ready.body], [200, 'ready\n'])
    state = { ready: false, reasons: ['clamav: no engine answers', 'redis: no connection'] }
    const not = await get(server.address, '/health/ready')
    assert.equal(not.status, 503)
    assert.deepEqual(JSON.parse(not.body), state)
  })

  test('nothing else: other paths 404, other methods 405, a fault inside 500 without its words', async () => {
    await using server = await start({ metrics: () => Promise.reject(new Error('secret')) })
    for (const route of ['/', '/metrics/x', '/health', '/constructor', '/__proto__']) {
      assert.equal((await get(server.address, route)).status, 404, route)
    }
    assert.equal((await get(server.address, '/metrics', 'POST')).status, 405)
    const fault = await get(server.address, '/metrics')
    assert.equal(fault.status, 500)
    assert.doesNotMatch(fault.body, /secret/)
    const head = await get(server.address, '/health/live?x=1', 'HEAD')
    assert.deepEqual([head.status, head.body], [200, ''])
  })

  test('header fields over the limit get 431, a request never finished is cut off', async () => {
    await using server = await start({ limits: { headersTimeoutMs: 300 } })
    const [host = '', port = ''] = server.address.split(':')
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const headers = { cookie: 'c'.repeat(10_000) }
      http.get({ host, port, path: '/metrics', headers }, resolve).on('error', reject)
    })
    response.resume()
    assert.equal(response.statusCode, 431)
    const slow = net.connect(Number(port), host)
    slow.write('GET /metrics HTTP/1.1\r\nHost: a\r\nX: ')
    slow.resume()
    slow.on('error', () => undefined)
    await once(slow, 'close')
  })

  test('an answer that does not come in time is 503', async () => {
    await using server = await start({
      metrics: () => new Promise(() => undefined),
      limits: { answerTimeoutMs: 50 },
    })
    assert.equal((await get(server.address, '/metrics')).status, 503)
  })

  test('an address in use rejects', async () => {
    await using server = await start()
    await assert.rejects(start({ address: server.address }), /EADDRINUSE/)
    await assert.rejects(start({ address: 'nonsense' }), /host:port/)
  })
})

describe('/metrics', () => {
  test('promtool finds nothing, after every event was told', async () => {
    await using folder = await temporaryFolder('metrics')
    using observed = observe(folder.path)
    const { metrics, events, lines } = observed
    const pem = path.join(folder.path, 'cert.pem')
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...[
        '-keyout',
        path.join(folder.path, 'key.pem'),
        '-out',
        pem,
        '-days',
        '30',
        '-subj',
        '/CN=a',
      ],
    ])
    assert.equal(made.status, 0, String(made.stderr))
    watchHost(metrics, {
      folders: { spool: folder.path, state: path.join(folder.path, 'missing') },
      certificates: () => [
        { listener: '0.0.0.0:25', cert: pem },
        { listener: '0.0.0.0:465', cert: path.join(folder.path, 'none.pem') },
      ],
    })
    createLedger({ folder: folder.path, instance: 'test', metrics })
    for (const [event, detail] of Object.entries(everyEvent)) {
      ;(events[event as keyof Events] as (detail: unknown) => void)(detail)
    }
    assert.deepEqual(
      lines.filter(line => line.event === 'notTold'),
      [],
    )
    assert.deepEqual(new Set(lines.map(line => line.event)), new Set(Object.keys(everyEvent)))
    const hub = createMetricsHub(metrics)
    await using server = await start({ metrics: hub.text })
    const { body, headers } = await get(server.address, '/metrics')
    assert.equal(headers.get('content-type'), hub.contentType)
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' })
    assert.equal(checked.error, undefined)
    assert.equal(`${checked.stdout}${checked.stderr}`, '')
    assert.equal(checked.status, 0)
    const names = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '')
    assert.ok(names.length > 50)
    assert.ok(names.every(name => name.startsWith('sallyport_')))
    assert.match(body, /^sallyport_disk_free_bytes\{folder="spool"\} [1-9]/m)
    const days = /^sallyport_certificate_remaining_seconds\{listener="0.0.0.0:25",.*\} (\S+)$/m
    assert.equal(Math.round(Number(days.exec(body)?.[1]) / 86_400), 30)
    assert.match(body, /^sallyport_certificate_remaining_seconds\{listener="0.0.0.0:465",.*\} 0$/m)
    assert.match(
      body,
      /^sallyport_relay_outcomes_total\{destination="h:25",result="uncertain"\} 1$/m,
    )
    assert.match(body, /^sallyport_messages_total\{reply="5xx"\} 1$/m)
    assert.match(body, /^sallyport_messages_total\{reply="2xx"\} 0$/m)
  })
})
