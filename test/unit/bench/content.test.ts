// The messages of the bench are what the plan says, never the same twice, and the sink sees any octet changed.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { createMaker, createPools, type Maker } from '../../bench/content.ts'
import { type Plan, plansOf } from '../../bench/plan.ts'
import type { SinkReport } from '../../bench/sink.ts'
import { startTool } from '../../bench/tool.ts'

const pools = createPools()
const take = (size: number | 'mix', count: number): Plan[] => plansOf(size, 1).take(count).toArray()

test('the mix is as described, and the same for the same seed', () => {
  const plans = take('mix', 20_000)
  const share = (of: (plan: Plan) => boolean) => plans.filter(of).length / plans.length
  const near = (value: number, wanted: number) =>
    assert.ok(Math.abs(value / wanted - 1) < 0.2, `${value} is not about ${wanted}`)
  near(
    share(plan => plan.sizeBytes > 20_000),
    0.5,
  )
  near(
    share(plan => plan.sizeBytes > 5_000_000 && plan.repeated === undefined),
    0.008,
  )
  near(
    share(plan => plan.recipients.length > 1),
    0.1,
  )
  near(
    share(plan => plan.infected),
    0.02,
  )
  near(
    share(plan => plan.repeated !== undefined),
    0.2,
  )
  const recipients = plans.flatMap(plan => plan.recipients)
  near(recipients.filter(one => !one.exists).length / recipients.length, 0.05)
  assert.equal(plans.slice(0, 100).filter(plan => plan.infected).length, 2)
  assert.deepEqual(take('mix', 50), plans.slice(0, 50))
})

test('a message has its size, ends with CRLF and needs no dot stuffed', () => {
  const make = createMaker(pools, 'run', 1)
  for (const size of [4096, 51_200, 1_048_576, 20_000_000])
    for (const plan of take(size, 2)) {
      const { pieces, sizeBytes } = make(plan)
      const content = Buffer.concat(pieces).toString('latin1')
      assert.equal(content.length, sizeBytes)
      assert.ok(Math.abs(sizeBytes / size - 1) < 0.1, `${sizeBytes} for ${size}`)
      assert.ok(content.endsWith('\r\n') && !content.includes('\n.'))
      assert.ok(!/[^\r]\n|\r[^\n]/.test(content))
    }
})

test('attachments are all different, but the ones that repeat', () => {
  const attachment = (make: Maker, plan: Plan) =>
    Buffer.concat(make(plan).pieces).toString('latin1').split('base64\r\n\r\n')[1]?.split('--')[0]
  const [plan] = take(51_200, 1)
  assert.ok(plan)
  const [make, another] = [createMaker(pools, 'one', 1), createMaker(pools, 'two', 2)]
  const same = { ...plan, repeated: 3 }
  const alone = [attachment(make, plan), attachment(make, plan), attachment(another, plan)]
  assert.equal(new Set(alone).size, 3)
  assert.equal(attachment(make, same), attachment(make, same))
  // Not from one run to the next, or the first peer would warm a cache for the second.
  assert.notEqual(attachment(make, same), attachment(another, same))
})

test('the sink knows what is whole, wherever the octets are split', async () => {
  await using sink = await startTool('sink.ts')
  await sink.ask({ run: 'run' })
  const make = createMaker(pools, 'run', 1)
  const [first, second] = take(4096, 2)
  assert.ok(first && second)
  const whole = Buffer.concat(make(first).pieces)
  const altered = Buffer.concat(make(second).pieces)
  altered[altered.length - 10] = 0x21
  const dialog = [whole, altered].map(content =>
    Buffer.concat([
      Buffer.from('MAIL FROM:<a@b>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n'),
      content,
      Buffer.from('.\r\n'),
    ]),
  )
  const octets = Buffer.concat([...dialog, Buffer.from('QUIT\r\n')])
  for (const step of [1, 7, octets.length]) await speak(Number(sink.hello), octets, step)
  const { arrivals, strange } = (await sink.ask('report')) as SinkReport
  const seen = arrivals.map(({ sequence, intact }) => `${sequence} ${intact ? 'whole' : 'altered'}`)
  const twice = ['0 whole', '1 altered']
  assert.deepEqual(seen, [...twice, ...twice, ...twice])
  assert.equal(strange, 0)
})

/** Sends it in pieces of that many octets, each on its own, and waits for the end. */
async function speak(port: number, octets: Buffer, step: number): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.resume()
  for (let at = 0; at < octets.length; at += step)
    await new Promise(resolve => socket.write(octets.subarray(at, at + step), resolve))
  await new Promise(resolve => socket.once('close', resolve).end())
}
