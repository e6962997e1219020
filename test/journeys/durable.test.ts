// Seen from outside: nothing of mail relayed while its client waits is flushed, all of mail in custody is before the 250.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { plainMessage } from '../support/eicar.ts'
import { start, until } from '../support/process.ts'
import { startWorld } from '../support/world.ts'

const CALLS = 'fsync,fdatasync,sync_file_range,rename,renameat2,write,writev,sendto,sendmsg'

test('held and relayed: no flush at all; into custody: every flush and the rename, then 250', async () => {
  await using world = await startWorld({ config: { processes: { receive: 1, work: 1 } } })
  const { gateway, nextHop } = world
  const trace = path.join(gateway.state, 'trace')
  const workers = gateway.pids().filter(pid => pid !== gateway.pid())
  await using tracer = await start('strace', [
    ...['-f', '-qq', '-y', '-s', '40', '-e', `trace=${CALLS}`, '-o', trace],
    ...workers.flatMap(pid => ['-p', String(pid)]),
  ])
  const traced = async () => (await readFile(trace, 'utf8').catch(() => '')).split('\n')
  await until('the tracer to see them', async () => (await traced()).length > 1)

  const held = await world.send({ content: plainMessage({ id: 'held@sender.test' }) })
  assert.match(held.dot?.text ?? '', /^Delivered/)
  await nextHop.stop()
  const kept = await world.send({ content: plainMessage({ id: 'kept@sender.test' }) })
  assert.match(kept.dot?.text ?? '', /^Accepted for delivery/)
  await tracer.stop()

  // When a call ended: of one that others came between, that is told by a line of its own.
  const lines = await traced()
  const said = (text: string) => lines.findIndex(line => line.includes(`"250 2.0.0 ${text}`))
  const [delivered, accepted] = [said('Delivered'), said('Accepted')]
  assert.ok(delivered > 0 && accepted > delivered, 'both replies are in the trace')
  const flushes = (from: number, to: number) =>
    lines.slice(from, to).filter(line => /sync/.test(line) && line.includes(gateway.spool))
  assert.deepEqual(flushes(0, delivered), [])
  const id = kept.dot?.id ?? ''
  const before = lines.slice(delivered, accepted)
  const at = (...what: string[]) =>
    before.findIndex(line => what.every(part => line.includes(part.replace('ID', id))))
  // These two side by side.
  const aside = [at('sync(', 'incoming/ID.eml'), at('sync(', 'ID.envelope')]
  const order = [
    ...aside.sort((a, b) => a - b),
    at('sync(', '/incoming>'),
    at('rename', 'ID.envelope'),
    at('sync(', '/queued>'),
  ]
  assert.ok(!order.includes(-1), `${order}\n${flushes(delivered, accepted).join('\n')}`)
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  )
  const threads = new Set(flushes(delivered, accepted).map(line => line.split(' ')[0]))
  const unfinished = before.filter(line => line.includes('sync(') && line.includes('<unfinished'))
  const resumed = before.filter(line => /sync resumed/.test(line))
  assert.ok(threads.size > 0)
  assert.equal(resumed.length, unfinished.length, 'none was still under way')
})
