// The sweep: due work is added once, what nobody needs goes, what is needed or unknown stays.
import assert from 'node:assert/strict'
import { readdir, readFile, readlink, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { RelayJob, ScanJob } from '../../../gateway/queue/jobs.ts'
import { ownIdentity, writeIdentity } from '../../../gateway/spool/identity.ts'
import type { LogLine } from '../../../gateway/spool/outcome-log.ts'
import { createSweep } from '../../../gateway/spool/sweep.ts'
import { until } from '../../support/process.ts'
import { plan, type Relaying, startRelaying } from '../../support/relaying.ts'

const HOUR_MS = 3_600_000

async function startSweeping() {
  const stack = new AsyncDisposableStack()
  const house = stack.use(await startRelaying())
  const added: { queue: 'scan' | 'relay'; job: ScanJob | RelayJob }[] = []
  const underWay = new Set<string>()
  let away = false
  const add = (queue: 'scan' | 'relay') => async (job: ScanJob | RelayJob) => {
    if (away) throw new Error('Redis is not reachable')
    added.push({ queue, job })
  }
  const alone: string[] = []
  let tell = (_: string): void => undefined
  const open = () =>
    stack.use(
      createSweep({
        config: () => house.config,
        spool: house.spool,
        queue: {
          scan: add('scan'),
          relay: add('relay'),
          underWay: async ({ envelope }) => underWay.has(envelope.id),
        },
        hints: {
          listenAsSweep(heard) {
            tell = heard
          },
        },
        events: house.events,
        tryAlone: id => void alone.push(id),
      }),
    )
  return {
    house,
    added,
    alone,
    underWay,
    open,
    tell: (id: string) => tell(id),
    redis(up: boolean) {
      away = !up
    },
    ids: () => added.map(({ job }) => job.envelope.id),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

const queuedFile = (house: Relaying, id: string) => path.join(house.folder, 'queued', `${id}.json`)
const backdate = (file: string, ageMs: number) => {
  const at = new Date(Date.now() - ageMs)
  return utimes(file, at, at)
}
const deferred = (dueAt: number, at = Date.now()): LogLine => ({
  ...{ kind: 'deferred', at, recipient: 'a@example.org', attempt: 3, dueAt },
})

test('custody found at start: scanned where nobody decided, relayed where somebody did', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const fresh = await house.custody()
  const old = await house.custody()
  await backdate(queuedFile(house, old.id), 61_000)
  const decided = await house.custody()
  await house.spool.append(decided.id, [
    { kind: 'plan', at: 1, plan: plan({ 'a@example.org': 'relay' }) },
    deferred(Date.now() - 1),
  ])
  const later = await house.custody()
  await house.spool.append(later.id, [deferred(Date.now() + HOUR_MS)])
  const ended = await house.custody()
  await house.spool.append(ended.id, [
    { kind: 'end', at: 1, recipient: 'a@example.org', end: 'relayed' },
  ])
  const claimed = await house.custody()
  await backdate(queuedFile(house, claimed.id), 61_000)
  await house.spool.claims.take(claimed.id)
  const ours = await house.custody(['a@example.org'], { kind: 'notification' })

  await sweeping.open().sweep()
  const found = new Map(sweeping.added.map(({ queue, job }) => [job.envelope.id, { queue, job }]))
  assert.equal(found.get(old.id)?.queue, 'scan')
  assert.equal(found.get(decided.id)?.queue, 'relay')
  assert.equal(found.get(decided.id)?.job.attempt, 3)
  assert.equal(found.get(ended.id)?.queue, 'relay', 'somebody has to end it')
  assert.equal(found.get(ours.id)?.queue, 'relay')
  assert.equal(found.get(old.id)?.job.replyTo, undefined)
  for (const { id } of [fresh, later, claimed]) assert.equal(found.has(id), false)
  assert.equal(sweeping.added.length, 4, 'two looks add each once')
})

test('a plan made before a scanner was configured is none', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  house.config.scanners = { rspamd: { url: 'http://127.0.0.1:1' } } as never
  const { id } = await house.custody()
  await house.spool.append(id, [
    { kind: 'plan', at: 1, plan: plan({ 'a@example.org': 'relay' }) },
    deferred(Date.now() - 1),
  ])
  await sweeping.open().sweep()
  assert.deepEqual(
    sweeping.added.map(({ queue }) => queue),
    ['scan'],
  )
})

test('told of a message, it looks within a second', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  await sweeping.open().sweep()
  const { id } = await house.custody()
  await house.spool.append(id, [deferred(Date.now() + 700)])
  sweeping.tell(id)
  sweeping.tell('nobody')
  await until('it to be added when it is due', () => sweeping.ids().includes(id), 4000)
})

test('Redis away: tried again, without a fault', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const { id } = await house.custody()
  await house.spool.append(id, [deferred(Date.now() - 1)])
  sweeping.redis(false)
  const sweep = sweeping.open()
  await sweep.sweep()
  sweeping.redis(true)
  await until('it to be added', () => sweeping.ids().includes(id), 8000)
  assert.deepEqual(house.events.of('fault'), [])
})

test('a message that cannot be looked at is told, and does not stop the others', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const bad = await house.custody()
  const good = await house.custody()
  for (const { id } of [bad, good]) await house.spool.append(id, [deferred(Date.now() - 1)])
  const log = house.spool.log
  house.spool.log = id => (id === bad.id ? Promise.reject(new Error('EIO')) : log(id))
  await sweeping.open().sweep()
  assert.deepEqual(sweeping.ids(), [good.id])
  assert.equal(house.events.of('fault')[0]?.id, bad.id)
})

test('the clock was set back: what seems to lie in the future is due', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const day = 24 * HOUR_MS
  const retried = await house.custody()
  await house.spool.append(retried.id, [deferred(Date.now() + day + 60_000, Date.now() + day)])
  const kept = await house.custody()
  await backdate(queuedFile(house, kept.id), -day)
  await sweeping.open().sweep()
  assert.deepEqual(sweeping.ids(), [retried.id])
})

test('only old files without envelope and claim go; a log stays for a day', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const kept = await house.custody()
  await house.spool.append(kept.id, [deferred(Date.now() + HOUR_MS)])
  const orphan = await house.message()
  const claimed = await house.message()
  await house.spool.claims.take(claimed.id)
  const remembered = await house.message()
  const forgotten = await house.message()
  const young = await house.message()
  await house.spool.append(remembered.id, [
    { kind: 'end', at: 1, recipient: 'a@example.org', end: 'relayed' },
  ])
  // In a file of its own: files that logs share are as old as the youngest of them.
  await house.spool.append(forgotten.id, [deferred(Date.now() - 26 * HOUR_MS)])
  await writeFile(house.spool.incomingPath(`${orphan.id}.envelope`), '{')
  for (const name of await house.spool.incoming())
    if (!name.startsWith(young.id) && !name.endsWith('.claim'))
      await backdate(house.spool.incomingPath(name), 2 * HOUR_MS)
  await backdate(house.spool.incomingPath(`${forgotten.id}.log`), 25 * HOUR_MS)
  await sweeping.open().sweep()
  assert.deepEqual(
    (await house.spool.incoming()).sort(),
    [
      `${kept.id}.eml`,
      `${kept.id}.log`,
      `${claimed.id}.claim`,
      `${claimed.id}.eml`,
      `${remembered.id}.log`,
      `${young.id}.eml`,
    ].sort(),
  )
  assert.equal(house.events.of('orphanRemoved').length, 5)
})

test('acknowledged mail whose envelope rots is kept, content and all, however old', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const { id } = await house.custody()
  await backdate(house.spool.contentPath(id), 48 * HOUR_MS)
  await writeFile(queuedFile(house, id), '{"version":1,"envelope":{"id":')
  const sweep = sweeping.open()
  await sweep.sweep()
  await sweep.sweep()
  const corrupt = path.join(house.folder, 'corrupt')
  const content = (await readdir(corrupt)).find(name => name.startsWith(`${id}.eml`))
  assert.ok(content)
  assert.match(await readFile(path.join(corrupt, content), 'utf8'), /The body/)
})

test('mail in flight at two deaths is not queued but tried alone, at once; at one it is queued', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const [twice, once] = [await house.custody(), await house.custody()]
  for (const { id } of [twice, once]) await house.spool.claims.blame(id)
  const { host } = ownIdentity()
  const [head] = (await readlink(house.spool.incomingPath(`${twice.id}.claim`))).split('@').slice(1)
  const dead = writeIdentity({ host, pid: 4_194_303, startedAt: '1' })
  await symlink(`${dead}@second`, house.spool.incomingPath(`${twice.id}.claim.${head}`))
  await house.spool.append(twice.id, [deferred(Date.now() + HOUR_MS)])
  await house.spool.append(once.id, [deferred(Date.now() - 1)])
  await sweeping.open().sweep()
  assert.deepEqual([...new Set(sweeping.alone)], [twice.id])
  assert.deepEqual(sweeping.ids(), [once.id])
})

test('mail that kills whoever takes it up is set aside, whole, and told', async () => {
  await using sweeping = await startSweeping()
  const { house } = sweeping
  const { id } = await house.custody()
  await house.spool.append(id, [deferred(Date.now() - 1)])
  let link = house.spool.incomingPath(`${id}.claim`)
  for (let i = 0; i < 50; i++) {
    const holder = writeIdentity({ ...ownIdentity(), pid: 4_194_303, startedAt: '1' })
    await symlink(`${holder}@dead-${i}`, link)
    link = house.spool.incomingPath(`${id}.claim.dead-${i}`)
  }
  assert.equal(await house.spool.claims.take(id), undefined)
  const sweep = sweeping.open()
  await sweep.sweep()
  await sweep.sweep()
  assert.deepEqual(sweeping.added, [])
  assert.equal(await house.spool.inCustody(id), false)
  assert.match(String(house.events.of('spoolCorrupt')[0]?.cause), /died/)
  const names = await readdir(path.join(house.folder, 'corrupt'))
  assert.ok(names.some(name => name.startsWith(`${id}.eml`)))
})

test('a first job that is lost is made up for within seconds, one under way is left alone', async () => {
  await using sweeping = await startSweeping()
  const { house, underWay } = sweeping
  const carried = await house.custody()
  const lost = await house.custody()
  for (const { id } of [carried, lost]) await backdate(queuedFile(house, id), 3000)
  underWay.add(carried.id)
  sweeping.open()
  await until('the lost one to be added', () => sweeping.ids().includes(lost.id))
  assert.deepEqual(sweeping.ids(), [lost.id])
  underWay.delete(carried.id)
  await until('the other to be added', () => sweeping.ids().includes(carried.id))
})
