// The arithmetic of the ledger: accepted + recovered = relayed + quarantined + discarded + notified + in custody.
import type { Ends } from './events.ts'
import type { JournalEntry } from './journal-line.ts'

/** Ids whose end was told before their envelope went: a second end of theirs is not counted again. */
const ENDED_REMEMBERED = 50_000

export type Part = 'accepted' | 'recovered' | 'elsewhere' | keyof Ends
export const ENDS = ['relayed', 'quarantined', 'discarded', 'notified'] as const
export const PARTS: readonly Part[] = ['accepted', 'recovered', ...ENDS, 'elsewhere']

/** One message in `queued/`. `since`: when it was taken or received, milliseconds since the epoch. */
export type InCustody = { id: string; recipients: number; since?: number }

export type Account = {
  parts: Record<Part, number>
  custody: Map<string, { recipients: number; since: number }>
  /** Messages on which the account and two looks into `queued/` in a row disagreed. */
  unaccounted: number
  apply(entry: JournalEntry): void
  /** Compares with a look into `queued/` that was begun before the journal was read. */
  compare(listing: readonly InCustody[], now: number): void
}

/** With `shared`, other gateways carry mail from the same `queued/`: what leaves it unseen has gone `elsewhere`. */
export function createAccount({ shared = false }: { shared?: boolean } = {}): Account {
  const parts = Object.fromEntries(PARTS.map(part => [part, 0])) as Record<Part, number>
  const custody: Account['custody'] = new Map()
  const ended = new Set<string>()
  let suspects: Set<string> | undefined

  const addEnds = (ends: unknown) => {
    for (const end of ENDS) parts[end] += count((ends as Partial<Ends> | undefined)?.[end])
  }
  const enter = (part: Part, { id, recipients }: InCustody, since: number) => {
    parts[part] += recipients
    custody.set(id, { recipients, since })
  }
  const end = (id: string, entry: JournalEntry) => {
    if (ended.has(id)) return
    ended.add(id)
    if (ended.size > ENDED_REMEMBERED)
      for (const oldest of ended.keys().take(1)) ended.delete(oldest)
    // Its beginning was lost with a killed process, or lies in another instance's journal.
    if (!custody.delete(id)) parts.recovered += count(entry.recipients)
    addEnds(entry.ends)
  }

  const account: Account = {
    parts,
    custody,
    unaccounted: 0,
    apply(entry) {
      const { event, id } = entry
      if (id === undefined) return
      const recipients = count(entry.recipients)
      if (event === 'acknowledgedHeld') {
        parts.accepted += recipients
        addEnds(entry.ends)
      }
      if (event === 'custodyTaken' && !custody.has(id) && !ended.has(id)) {
        enter('accepted', { id, recipients }, Date.parse(entry.at))
      }
      if (event === 'custodyEnded') end(id, entry)
    },
    compare(listing, now) {
      const first = suspects === undefined
      const listed = new Set(listing.map(({ id }) => id))
      const before = suspects ?? new Set<string>()
      suspects = new Set()
      let unaccounted = 0
      for (const message of listing) {
        if (custody.has(message.id)) continue
        // A line may be on its way: believe the second look, except at the start, when nothing moves yet.
        if (!first && !before.has(message.id)) suspects.add(message.id)
        else if (!ended.has(message.id)) enter('recovered', message, message.since ?? now)
        else {
          suspects.add(message.id)
          unaccounted++
        }
      }
      for (const [id, { recipients }] of custody) {
        if (listed.has(id)) continue
        suspects.add(id)
        if (!before.has(id)) continue
        if (!shared) unaccounted++
        else if (custody.delete(id)) parts.elsewhere += recipients
      }
      account.unaccounted = unaccounted
    },
  }
  return account
}

const count = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
