// The ledger: accounts add up whatever is killed between a rename and its line.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createLedger } from '../../../gateway/observe/ledger.ts'
import { createAccount, ENDS, type InCustody } from '../../../gateway/observe/ledger-account.ts'
import { observe } from '../../support/observed.ts'
import { temporaryFolder } from '../../support/process.ts'

const none = { relayed: 0, quarantined: 0, discarded: 0, notified: 0 }

const adds = (account: ReturnType<typeof createAccount>) => {
  const custody = [...account.custody.values()].reduce((n, { recipients }) => n + recipients, 0)
  const ends = ENDS.reduce((n, end) => n + account.parts[end], 0)
  const { accepted, recovered, elsewhere } = account.parts
  assert.equal(accepted + recovered, ends + elsewhere + custody)
  return custody
}

describe('ledger account', () => {
  test('adds up after any order of messages, kills and looks, and agrees with the spool in the end', () => {
    const message = fc.record({
      recipients: fc.integer({ min: 1, max: 1000 }),
      relayed: fc.nat(1000),
      held: fc.boolean(),
      // What a kill swallowed: the line of the beginning, that of the end, or the unlink after it.
      lost: fc.constantFrom('nothing', 'taken', 'unlink'),
      finished: fc.boolean(),
      twice: fc.boolean(),
      look: fc.boolean(),
    })
    const property = fc.property(fc.array(message, { maxLength: 60 }), messages => {
      const account = createAccount()
      const queued = new Map<string, InCustody>()
      const look = () => account.compare([...queued.values()], 0)
      account.compare([], 0)
      for (const [n, m] of messages.entries()) {
        const id = `id${n}`
        const relayed = Math.min(m.relayed, m.recipients)
        const ends = { ...none, relayed, notified: m.recipients - relayed }
        const entry = { at: '2026-01-01T00:00:00Z', id, recipients: m.recipients, ends }
        if (m.held) account.apply({ ...entry, event: 'acknowledgedHeld' })
        else {
          queued.set(id, { id, recipients: m.recipients })
          if (m.lost !== 'taken') account.apply({ ...entry, event: 'custodyTaken' })
          if (m.twice) account.apply({ ...entry, event: 'custodyTaken' })
          if (m.look) look()
          if (m.finished) {
            account.apply({ ...entry, event: 'custodyEnded' })
            if (m.twice) account.apply({ ...entry, event: 'custodyEnded' })
            if (m.lost !== 'unlink') queued.delete(id)
          }
        }
        adds(account)
      }
      look()
      look()
      adds(account)
      const left = [...queued.keys()].filter(id => !account.custody.has(id))
      assert.equal(account.unaccounted, left.length)
      for (const { id, recipients } of queued.values()) {
        account.apply({ at: 'x', event: 'custodyEnded', id, recipients, ends: none })
      }
      queued.clear()
      look()
      look()
      assert.equal(account.unaccounted, 0)
      assert.equal(account.custody.size, 0)
    })
    fc.assert(property, { numRuns: 300 })
  })

  test('what is found at start enters as recovered, at once; later only when seen twice', () => {
    const account = createAccount()
    account.compare([{ id: 'a', recipients: 3, since: 5 }], 100)
    assert.equal(account.parts.recovered, 3)
    const both = [
      { id: 'a', recipients: 3 },
      { id: 'b', recipients: 2 },
    ]
    account.compare(both, 200)
    assert.equal(account.parts.recovered, 3)
    account.apply({ at: '2026-01-01T00:00:00Z', event: 'custodyTaken', id: 'b', recipients: 2 })
    account.compare(both, 300)
    assert.deepEqual([account.parts.recovered, account.parts.accepted], [3, 2])
    assert.equal(adds(account), 5)
    assert.equal(account.unaccounted, 0)
  })

  test('an envelope that vanished without an end is unaccounted for, from the second look on', () => {
    const account = createAccount()
    account.compare([{ id: 'a', recipients: 3 }], 0)
    account.compare([], 0)
    assert.equal(account.unaccounted, 0)
    account.compare([], 0)
    assert.equal(account.unaccounted, 1)
    const shared = createAccount({ shared: true })
    shared.compare([{ id: 'a', recipients: 3 }], 0)
    shared.compare([], 0)
    shared.compare([], 0)
    assert.deepEqual([shared.unaccounted, shared.parts.elsewhere, adds(shared)], [0, 3, 0])
  })
})

describe('ledger', () => {
  test('follows the journal of its instance and shows itself in the metrics', async () => {
    await using folder = await temporaryFolder('ledger')
    using observed = observe(folder.path, 'i1')
    using earlier = observe(folder.path, 'i0')
    const ledger = createLedger({ folder: folder.path, instance: 'i1', metrics: observed.metrics })
    await ledger.reconcile(async () => [{ id: 'old', recipients: 4, since: Date.now() - 60_000 }])
    const { events } = observed
    earlier.events.acknowledgedHeld({ id: 'z', recipients: 9, ends: { ...none, relayed: 9 } })
    events.acknowledgedHeld({ id: 'a', recipients: 2, ends: { ...none, relayed: 1, discarded: 1 } })
    events.custodyTaken({ id: 'b', recipients: 3, reason: 'hold', durationMs: 2 })
    events.custodyEnded({ id: 'b', recipients: 3, ends: { ...none, relayed: 2, notified: 1 } })
    events.custodyTaken({ id: 'c', recipients: 1, reason: 'hold', durationMs: 2 })
    await observed.metrics.snapshot()
    assert.deepEqual(ledger.parts(), {
      ...{ accepted: 6, recovered: 4, relayed: 3, quarantined: 0, discarded: 1, notified: 1 },
      ...{ elsewhere: 0, custody: 5 },
    })
    const text = await observed.metrics.registry.metrics()
    assert.match(text, /^sallyport_ledger_recipients_total\{part="accepted"\} 6$/m)
    assert.match(text, /^sallyport_custody_recipients 5$/m)
    assert.match(text, /^sallyport_custody_messages 2$/m)
    assert.match(text, /^sallyport_custody_oldest_seconds (6\d)(\.\d+)?$/m)
    assert.match(text, /^sallyport_custody_unaccounted 0$/m)
  })

  test('a look that fails changes nothing', async () => {
    await using folder = await temporaryFolder('ledger')
    using observed = observe(folder.path)
    const ledger = createLedger({
      folder: folder.path,
      instance: 'test',
      metrics: observed.metrics,
    })
    await assert.rejects(
      ledger.reconcile(() => Promise.reject(new Error('disk'))),
      /disk/,
    )
    assert.equal(ledger.parts().recovered, 0)
  })
})
