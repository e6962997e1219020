// The account at the end of a run: acknowledged, arrived, lost, twice, altered, infected inside. Pure.
import type { Arrival, Kept, Record } from './record.ts'

/**
 * After a 250 of the internal server its outcome is on its way to the log this long at most: whoever is killed within it
 * may not have written it down.
 */
const RECORDING_MS = 2000

export type Account = {
  messages: number
  /** Counted in acknowledgements per recipient. */
  acknowledged: number
  arrived: number
  quarantined: number
  /** `number recipient`, each. */
  lost: string[]
  /** Copies beyond those meant. */
  twice: number
  /** Of these: the internal server had accepted, and its 250 was not recorded. */
  excused: number
  unexcused: string[]
  altered: string[]
  infectedInside: string[]
  /** Told 550, and yet it arrived. */
  refusedYetArrived: string[]
}

export const key = (number: number, address: string) => `${number} ${address}`

/** `quarantined`: how often each `key` lies in the quarantine. */
export function accountOf(record: Record, quarantined: ReadonlyMap<string, number>): Account {
  const account: Account = {
    messages: record.kept.size,
    acknowledged: 0,
    arrived: 0,
    quarantined: 0,
    lost: [],
    twice: 0,
    excused: 0,
    unexcused: [],
    altered: [],
    infectedInside: [],
    refusedYetArrived: [],
  }
  const copies = new Map<string, Arrival[]>()
  for (const arrival of record.arrivals) {
    const kept = record.kept.get(arrival.number)
    const name = `${arrival.number}`
    if (kept?.sha256 !== arrival.sha256) account.altered.push(name)
    if (kept?.infected) account.infectedInside.push(name)
    for (const address of arrival.recipients) {
      const one = key(arrival.number, address)
      copies.set(one, [...(copies.get(one) ?? []), arrival])
      if (!kept?.recipients.has(address)) account.altered.push(one)
    }
  }
  for (const [number, kept] of record.kept)
    for (const address of kept.recipients.keys()) {
      const one = key(number, address)
      settle(account, record, {
        one,
        kept,
        address,
        arrivals: copies.get(one) ?? [],
        quarantined: quarantined.get(one) ?? 0,
      })
    }
  return account
}

type Case = {
  one: string
  kept: Kept
  address: string
  arrivals: readonly Arrival[]
  quarantined: number
}

function settle(account: Account, record: Record, at: Case): void {
  const { one, kept, address, arrivals, quarantined } = at
  const { meant, acknowledged, refused } = kept.recipients.get(address) ?? {
    meant: 0,
    acknowledged: 0,
    refused: 0,
  }
  account.acknowledged += acknowledged
  account.arrived += arrivals.length
  account.quarantined += quarantined
  const ended = arrivals.length + quarantined
  // An interrupted transaction's copy may be all that there is of an acknowledgement: its retry went elsewhere.
  for (let missing = ended; missing < acknowledged; missing++) account.lost.push(one)
  if (refused > 0 && acknowledged === 0 && arrivals.length > 0) account.refusedYetArrived.push(one)
  const beyond = arrivals.length - meant
  if (beyond <= 0) return
  account.twice += beyond
  const interrupted = arrivals.filter(arrival => wasInterrupted(record, arrival)).length
  const excused = Math.min(beyond, interrupted)
  account.excused += excused
  for (let i = excused; i < beyond; i++) account.unexcused.push(one)
}

/** RFC 1047: it was accepted, and whether that was recorded is not known. */
const near = (from: number, to: number, at: number): boolean =>
  to + RECORDING_MS >= at && from <= at + RECORDING_MS

function wasInterrupted({ disturbances }: Record, { at, hungUp }: Arrival): boolean {
  return hungUp || disturbances.some(({ from, to }) => near(from, to, at))
}

export const isRight = (account: Account): boolean =>
  account.lost.length === 0 &&
  account.unexcused.length === 0 &&
  account.altered.length === 0 &&
  account.infectedInside.length === 0
