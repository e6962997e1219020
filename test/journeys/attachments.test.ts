// Files that a domain does not take: refused in the session, kept, cut out with the original kept, or let in.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { attachment } from '../support/eicar.ts'
import { until } from '../support/process.ts'
import { addedTo, ending, ledgerOf, startWorld, type World } from '../support/world.ts'
import { FILES, PE, zipOf } from '../unit/scanners/attachments/files.ts'

let world: World
before(async () => {
  world = await startWorld({
    config: { attachments: { rules: [{ names: ['*.mp4', '*.mov'], action: 'strip' }] } },
  })
})
after(() => world[Symbol.asyncDispose]())

const kept = (id: string | undefined) => {
  const folder = path.join(world.gateway.state, 'quarantine/new')
  return readdirSync(folder)
    .filter(name => id !== undefined && name.includes(id))
    .map(name => readFileSync(path.join(folder, name)))
}

test('a program is refused while the client waits, packed and renamed as it may be', async () => {
  for (const [name, file] of [
    ['holiday.jpg', PE],
    ['invoice.pdf.exe', Buffer.from('harmless')],
    ['a.zip', zipOf({ 'b.zip': zipOf({ 'evil.js': 'x' }) })],
  ] as const) {
    const sent = await world.send({ content: attachment({}, name, file) })
    assert.equal(ending(sent), '550 5.7.1', name)
    assert.match(sent.dot?.text ?? '', /does not accept: [\w. ()]+ \[[^\]]+\]$/)
    assert.deepEqual(kept(sent.dot?.id), [])
  }
  assert.equal(world.nextHop.received.length, 0)
})

test('what nobody can look into is kept', async () => {
  const [encrypted = Buffer.alloc(0)] = FILES['encrypted-archive'] ?? []
  const content = attachment({}, 'a.zip', encrypted)
  const sent = await world.send({ content })
  assert.equal(ending(sent), '250 2.0.0')
  assert.deepEqual(kept(sent.dot?.id), [content])
  assert.equal(world.nextHop.received.length, 0)
})

test('an ordinary attachment arrives byte for byte', async () => {
  const content = attachment({ id: 'fine' }, 'report.2024.final.pdf', Buffer.from('%PDF-1.4'))
  assert.equal(ending(await world.send({ content })), '250 2.0.0')
  assert.ok(addedTo(content, world.arrived('fine')[0]))
})

test('strip: a notice in its place, the rest byte-identical, the original in the quarantine', async () => {
  const content = attachment({ id: 'strip' }, 'holiday.mp4', Buffer.alloc(300_000, 'x'))
  const sent = await world.send({ content, to: ['bob@example.org', 'carol@example.org'] })
  assert.equal(ending(sent), '250 2.0.0')
  const text = content.toString('latin1')
  const [from, to] = [text.indexOf('Content-Type: application'), text.lastIndexOf('\r\n--=_part--')]
  const got = world.arrived('strip')[0]?.content.toString('latin1') ?? ''
  const start = got.indexOf(text.slice(0, from))
  assert.ok(start > 0, got.slice(0, 2000))
  const rest = got.slice(start + from)
  assert.ok(rest.endsWith(text.slice(to)))
  const notice = rest.slice(0, rest.length - text.slice(to).length)
  assert.match(notice, /^Content-Type: text\/plain/)
  assert.match(notice, /Name: {4}holiday\.mp4\r\n/)
  assert.ok(notice.includes(sent.dot?.id ?? 'no id'))
  assert.match(got.slice(0, start), /^X-Sallyport-Removed: holiday\.mp4 .*DKIM/m)
  assert.deepEqual(kept(sent.dot?.id), [content])
  const told = () => world.gateway.log('stripped').some(line => line.id === sent.dot?.id)
  await until('the log to tell of it', told)
  assert.equal((await world.gateway.metrics())('sallyport_stripped_parts_total'), 1)
})

test('strip: a retry from custody strips the same way, and keeps no second copy', async () => {
  const content = attachment({ id: 'later' }, 'holiday.mov', Buffer.alloc(1_000, 'x'))
  world.nextHop.behave({ dot: '451 4.3.0 not now' })
  const sent = await world.send({ content })
  assert.equal(ending(sent), '250 2.0.0')
  assert.deepEqual(kept(sent.dot?.id), [content])
  world.nextHop.behave({})
  await world.settled()
  const [arrived] = world.arrived('later')
  assert.match(arrived?.content.toString('latin1') ?? '', /Name: {4}holiday\.mov\r\n/)
  assert.deepEqual(kept(sent.dot?.id), [content])
  await until('the accounts to add up', async () => (await ledgerOf(world.gateway)).missing === 0)
})
