// The ledger in the primary: reads the instance's journal, compares it with `queued/`, and shows that accounts add up.

import { declarations } from './instruments.ts'
import { createJournalTail } from './journal-tail.ts'
import { createAccount, type InCustody, PARTS, type Part } from './ledger-account.ts'
import type { Metrics } from './metrics.ts'

export type Ledger = {
  /** Reads what the journal has new; also done at every look at the metrics. */
  poll(): Promise<void>
  /**
   * Compares with what lies in `queued/`; to be called at start, before anything moves, and again and again. `look` is
   * called first, then the journal is read. Rejects only if `look` does.
   */
  reconcile(look: () => Promise<readonly InCustody[]>): Promise<void>
  /** Acknowledged recipients, by what became of them, since this instance began. */
  parts(): Record<Part, number> & { custody: number }
  unaccounted(): number
}

export function createLedger({
  folder,
  instance,
  metrics,
  shared = false,
}: {
  folder: string
  instance: string
  metrics: Metrics
  /** Other gateways share the spool. */
  shared?: boolean
}): Ledger {
  const tail = createJournalTail(folder, instance)
  const account = createAccount({ shared })
  const meters = ledgerMeters(metrics)
  let reading: Promise<void> = Promise.resolve()

  const inCustody = () =>
    [...account.custody.values()].reduce((sum, { recipients }) => sum + recipients, 0)

  const poll = () => {
    // One reader at a time, in the order asked for.
    reading = reading.then(() => tail.read(account.apply)).catch(() => undefined)
    return reading
  }

  metrics.onCollect(async () => {
    await poll()
    const oldest = [...account.custody.values()].reduce(
      (least, { since }) => Math.min(least, since),
      Date.now(),
    )
    for (const part of PARTS) meters.recipients.set(part, account.parts[part])
    meters.custodyRecipients.set(inCustody())
    meters.custodyMessages.set(account.custody.size)
    meters.custodyOldest.set((Date.now() - oldest) / 1000)
    meters.unaccounted.set(account.unaccounted)
    meters.garbled.set(tail.garbled())
  })

  return {
    poll,
    async reconcile(look) {
      const listing = await look()
      await poll()
      account.compare(listing, Date.now())
    },
    parts: () => ({ ...account.parts, custody: inCustody() }),
    unaccounted: () => account.unaccounted,
  }
}

/** Totals kept elsewhere are shown as counters by adding the difference. */
function ledgerMeters({ registry }: Metrics) {
  const { counter, gauge } = declarations(registry)
  const recipients = counter(
    'ledger_recipients_total',
    'Acknowledged recipients: accepted + recovered = the other parts + those in custody.',
    ['part'],
    PARTS.map(part => ({ part })),
  )
  const garbled = counter('journal_lines_garbled_total', 'Journal lines that can not be read.', [])
  const shown = new Map<string, number>()
  const grow = (key: string, total: number, add: (by: number) => void) => {
    add(total - (shown.get(key) ?? 0))
    shown.set(key, total)
  }
  return {
    recipients: {
      set: (part: Part, total: number) => grow(part, total, by => recipients.inc({ part }, by)),
    },
    garbled: { set: (total: number) => grow('garbled', total, by => garbled.inc(by)) },
    custodyRecipients: gauge('custody_recipients', 'Recipients in custody.', [], 'max'),
    custodyMessages: gauge('custody_messages', 'Messages in custody.', [], 'max'),
    custodyOldest: gauge('custody_oldest_seconds', 'Age of the oldest of them.', [], 'max'),
    unaccounted: gauge(
      'custody_unaccounted',
      'Messages on which the journal and two looks into the spool in a row disagree.',
      [],
      'max',
    ),
  }
}
