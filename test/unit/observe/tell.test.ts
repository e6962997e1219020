// What is told comes out as a log line, a journal line where it concerns a message, and metrics with bounded labels.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { tellLostLines } from '../../../gateway/observe/tell-around.ts'
import { observe } from '../../support/observed.ts'
import { temporaryFolder } from '../../support/process.ts'
import { everyEvent } from './every-event.ts'

const journalOf = (folder: string) =>
  readdirSync(folder)
    .flatMap(name => readFileSync(path.join(folder, name), 'utf8').split('\n'))
    .filter(line => line !== '')
    .map(line => JSON.parse(line))

describe('events', () => {
  test('those that concern a message are in the journal, under its id, with every recipient', async () => {
    await using folder = await temporaryFolder('tell')
    using observed = observe(folder.path)
    const { messageReceived } = everyEvent
    const recipients = Array.from({ length: 30 }, (_, n) => ({
      address: `u${n}@example.org`,
      domain: 'example.org',
    }))
    const envelope = { ...messageReceived.envelope, recipients }
    observed.events.messageReceived({ ...messageReceived, envelope })
    observed.events.dotAnswered(everyEvent.dotAnswered)
    observed.events.relayAttempted(everyEvent.relayAttempted)
    const [received, answered, attempted] = journalOf(folder.path)
    assert.deepEqual(
      received?.recipients,
      recipients.map(({ address }) => address),
    )
    assert.equal(received?.sha256, 'ab')
    assert.equal(answered?.reply, '550 5.7.1 No')
    assert.deepEqual(attempted?.outcomes, [
      { recipient: 'b@example.org', result: 'uncertain', reply: '550 5.7.1 No' },
    ])
    const logged = observed.lines[0]
    assert.deepEqual(logged?.detail.recipients, received?.recipients.slice(0, 10))
    assert.equal(logged?.detail.count, 30)
  })

  test('labels stay bounded whatever comes from outside', async () => {
    await using folder = await temporaryFolder('tell')
    using observed = observe(folder.path)
    for (let n = 0; n < 300; n++) {
      observed.events.relayAttempted({ ...everyEvent.relayAttempted, nextHop: `h${n}:25` })
      observed.events.commandRefused({ ...everyEvent.commandRefused, reason: `r${n}` })
      const { report } = everyEvent.scanned
      const verdict = { kind: 'infected', name: `virus${n}` } as const
      observed.events.scanned({ id: 'x', report: { ...report, verdict } })
    }
    const text = await observed.metrics.registry.metrics()
    assert.match(text, /^sallyport_relay_attempts_total\{destination="h99:25"\} 1$/m)
    assert.match(text, /^sallyport_relay_attempts_total\{destination="other"\} 200$/m)
    assert.match(text, /^sallyport_commands_refused_total\{.*reason="other"\} 200$/m)
    assert.doesNotMatch(text, /virus|192\.0\.2\.1/)
    assert.ok(text.split('\n').length < 1500)
  })

  test('a warning that is over is no longer active', async () => {
    await using folder = await temporaryFolder('tell')
    using observed = observe(folder.path)
    const active = async () =>
      /^sallyport_warning_active\{name="test-signatures"\} (\d)$/m.exec(
        await observed.metrics.registry.metrics(),
      )?.[1]
    observed.events.warned({ name: 'test-signatures', text: 'loud' })
    assert.equal(await active(), '1')
    assert.equal(observed.lines[0]?.level, 'warn')
    observed.events.warned({ name: 'test-signatures', text: 'real ones', over: true })
    assert.equal(await active(), '0')
  })

  test('lost journal lines are all counted, and told once a minute', async () => {
    await using folder = await temporaryFolder('tell')
    using observed = observe(folder.path)
    const { metrics, lines } = observed
    const lost = tellLostLines({
      metrics,
      log: {
        write: (level, event, detail) => void lines.push({ level, event, detail }),
        flush: () => undefined,
        [Symbol.dispose]: () => undefined,
      },
    })
    for (let n = 0; n < 9; n++) lost(new Error('ENOSPC'))
    assert.match(await metrics.registry.metrics(), /^sallyport_journal_lines_lost_total 9$/m)
    assert.deepEqual(
      lines.map(line => line.event),
      ['journalLost'],
    )
  })

  test('a detail that breaks the telling reaches the log, not the teller', async () => {
    await using folder = await temporaryFolder('tell')
    using observed = observe(folder.path)
    observed.events.dotAnswered({ ...everyEvent.dotAnswered, waitedMs: Number('no') })
    observed.events.sweepDone({ queued: 0, added: -1, durationMs: 1 })
    assert.equal(observed.lines.filter(line => line.event === 'notTold').length, 2)
  })
})
