// A message that kills whoever scans it: the others in flight with it arrive, and it ends in the quarantine.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { plainMessage } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { endNow } from '../support/process-tree.ts'
import { startClamd } from '../support/servers/clamd.ts'
import { ending, ledgerOf, startWorld, type World } from '../support/world.ts'

const POISON = 'X-Poison: yes\r\n'
/** Long enough for the others to be in flight with it. */
const SCAN_MS = 400

/** Who has this end of a connection on 127.0.0.1, as /proc tells it. */
function holderOf(port: number, among: readonly number[]): number | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map(text => text.trim().split(/\s+/))
    .find(fields => fields[1] === local)
  const socket = `socket:[${line?.[9]}]`
  return among.find(pid => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some(name => {
        try {
          return readlinkSync(`/proc/${pid}/fd/${name}`) === socket
        } catch {
          return false
        }
      })
    } catch {
      return false
    }
  })
}

/** Each was killed once, however many connections it had sent the poison over. */
const killed = new Set<number>()
const stack = new AsyncDisposableStack()
let world: World

/** A clamd that takes its time, behind which whoever sends poison is killed, as a fault of its own would. */
async function startDeadlyDoor(socketPath: string): Promise<string> {
  const server = net.createServer(client => {
    let tail = ''
    const engine = net.connect(socketPath)
    for (const one of [client, engine]) one.on('error', () => undefined)
    engine.once('close', () => client.destroy())
    client.once('close', () => engine.destroy())
    client.on('data', chunk => {
      tail = (tail + chunk.toString('latin1')).slice(-100_000)
      if (!tail.includes(POISON)) {
        setTimeout(() => engine.write(chunk), tail.length > 20 ? SCAN_MS : 0)
        return
      }
      const pid = holderOf(client.remotePort ?? 0, world.gateway.pids())
      if (pid === undefined) return
      setTimeout(() => {
        killed.add(pid)
        endNow([pid])
      }, SCAN_MS / 2)
    })
    engine.pipe(client)
  })
  stack.defer(() => void server.close())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `tcp:127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

before(async () => {
  const clamd = stack.use(await startClamd())
  const door = await startDeadlyDoor(clamd.socket)
  world = stack.use(
    await startWorld({
      config: {
        hold: { seconds: 60 },
        processes: { receive: 1, work: 1 },
        scanners: { clamav: { addresses: [door], restMs: 200 } },
      },
    }),
  )
})
after(() => stack.disposeAsync())

const innocents = ['one', 'two', 'three'].map(name => `innocent-${name}@sender.test`)

async function kept(): Promise<{ content: string; decision: string }[]> {
  const folder = path.join(world.gateway.state, 'quarantine')
  const names = await readdir(path.join(folder, 'new')).catch(() => [])
  return Promise.all(
    names.map(async name => ({
      content: await readFile(path.join(folder, 'new', name), 'latin1'),
      decision: await readFile(path.join(folder, 'decisions', `${name}.json`), 'utf8'),
    })),
  )
}

test('it is tried twice among others, once alone, and kept as poison; the others arrive once', async () => {
  const deadly = Buffer.concat([Buffer.from(POISON), plainMessage({ id: 'poison@sender.test' })])
  const sent = await Promise.all([
    world.send({ content: deadly }),
    ...innocents.map(id => world.send({ content: plainMessage({ id }) })),
  ])
  assert.deepEqual(
    sent.map(each => ending(each).slice(0, 3)),
    sent.map(() => '250'),
  )
  await until('it to be kept', async () => (await kept()).length > 0, 60_000)
  await world.settled()

  const [poison, ...others] = await kept()
  assert.deepEqual(others, [])
  assert.ok(poison?.content.includes(POISON))
  assert.match(poison?.decision ?? '', /"poison"/)
  const warned = world.gateway.log('warned').filter(line => line.name === 'poison')
  assert.equal(warned.length, 1)
  assert.equal(killed.size, 3)
  const deaths = world.gateway.log('fault').filter(line => String(line.where).startsWith('worker'))
  assert.equal(deaths.length, 2, 'the third was a process of its own, and cost no worker')
  for (const id of innocents) assert.equal(world.arrived(id).length, 1, id)
  assert.equal(world.arrived('poison@sender.test').length, 0)
  assert.deepEqual(await readdir(path.join(world.gateway.spool, 'queued')), [])
  const ledger = await ledgerOf(world.gateway)
  assert.equal(ledger.missing, 0, JSON.stringify(ledger))
  const relayed = (await world.gateway.metrics())('sallyport_relay_outcomes_total', {
    result: 'relayed',
  })
  assert.equal(relayed, innocents.length, 'also those that were tried alone')
})

test('mail flows on, and nobody dies of it again', async () => {
  const before = killed.size
  await world.flows()
  assert.equal(killed.size, before)
})
