// Holds what the load was told against what the sink got: nothing lost, altered or let through.
import type { Sent } from './load.ts'
import type { Arrival } from './sink.ts'

export type Account = {
  /** Messages accepted, and wholly arrived. */
  arrived: number
  /** Infected messages that were refused. */
  refused: number
  /** Recipients: acknowledged with 250, but nothing came. */
  lost: number
  /** Of those, recipients of infected messages. */
  discarded: number
  /** Recipients that got it more than once. */
  twice: number
  altered: number
  /** Infected messages that came in. */
  inside: number
  /** Recipients that got what was not acknowledged to them. */
  unasked: number
  /** When the last of it had arrived or was refused; 0 where there was nothing. */
  endedAt: number
  /** From MAIL, or when it was due, until the last recipient had it, for messages that arrived. */
  endToEndMs: number[]
}

export function accountOf(sent: readonly Sent[], arrivals: readonly Arrival[]): Account {
  const account: Account = {
    ...{
      arrived: 0,
      refused: 0,
      lost: 0,
      discarded: 0,
      twice: 0,
      altered: 0,
      inside: 0,
      unasked: 0,
    },
    ...{ endedAt: 0, endToEndMs: [] },
  }
  const bySequence = Map.groupBy(arrivals, arrival => arrival.sequence)
  for (const message of sent) {
    const got = bySequence.get(message.sequence) ?? []
    bySequence.delete(message.sequence)
    one(account, message, got)
  }
  for (const got of bySequence.values()) one(account, undefined, got)
  return account
}

function one(account: Account, message: Sent | undefined, got: readonly Arrival[]): void {
  const addresses = got.flatMap(arrival => arrival.recipients)
  const unique = new Set(addresses)
  const wanted = new Set(message?.code === 250 ? message.recipients : [])
  const missing = wanted.difference(unique).size
  account.twice += addresses.length - unique.size
  account.unasked += unique.difference(wanted).size
  account.lost += missing
  if (message?.infected) account.discarded += missing
  account.altered += got.filter(arrival => !arrival.intact).length
  account.inside += got.filter(arrival => arrival.infected).length
  if (message === undefined) return
  const last = Math.max(0, ...got.map(arrival => arrival.at))
  if (wanted.size > 0 && missing === 0) {
    account.arrived++
    account.endToEndMs.push(last - message.startedAt + message.lateMs)
    account.endedAt = Math.max(account.endedAt, last)
  }
  if (message.infected && message.code >= 550) {
    account.refused++
    account.endedAt = Math.max(account.endedAt, message.repliedAt)
  }
}

/**
 * What is wrong, in words; nothing where all is well. Who does not scan lets infected mail in, and who scans after the
 * queue has acknowledged what it then discards.
 */
export function wrongsOf(
  account: Account,
  { scans, discards }: { scans: boolean; discards?: boolean },
): string[] {
  const counts: [number, string][] = [
    [account.lost - (discards ? account.discarded : 0), 'lost'],
    [account.twice, 'twice'],
    [account.altered, 'altered'],
    [account.unasked, 'not acknowledged, yet arrived'],
    [scans ? account.inside : 0, 'infected inside'],
  ]
  return counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
}
