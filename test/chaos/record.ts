// What happened in a run, written down as it happens: what clients were told, what arrived, what was disturbed when.
import type { Mail } from './mail.ts'

export type Told = 'acknowledged' | 'deferred' | 'refused' | 'nothing'

/** All that is kept of a message; its content isn't. */
export type Kept = {
  sha256: string
  infected: boolean
  /** By recipient: how often it was sent on purpose, acknowledged and refused for good. */
  recipients: Map<string, { meant: number; acknowledged: number; refused: number }>
  /** The client said good-bye for ever without knowing. */
  unknown: boolean
}

/** One transaction that the internal server took. */
export type Arrival = {
  number: number
  sha256: string
  recipients: string[]
  at: number
  /** When it had said 250 and the other side had spoken again; undefined where neither is sure. */
  heardAt: number | undefined
  /** The connection ended before the other side had spoken again, soon after or before we had said 250. */
  hungUp: boolean
}

export type Record = {
  kept: Map<number, Kept>
  arrivals: Arrival[]
  /** Arrivals that carry no number of ours. */
  strange: number
  told: { [kind in Told]: number }
  /** Spans around which a killed or stopped process may have forgotten what the internal server said. */
  disturbances: { from: number; to: number }[]
  /** Spans in which nothing could be written into the spool. */
  outages: { from: number; to: number }[]
  faults: { at: number; name: string; text?: string }[]
  /** What must not happen, in words. */
  violations: string[]
  /** A client is about to send it, once more or for the first time. */
  meant(mail: Mail): Kept
}

export function createRecord(): Record {
  const kept = new Map<number, Kept>()
  return {
    kept,
    arrivals: [],
    strange: 0,
    told: { acknowledged: 0, deferred: 0, refused: 0, nothing: 0 },
    disturbances: [],
    outages: [],
    faults: [],
    violations: [],
    meant(mail) {
      const known = kept.get(mail.number) ?? {
        sha256: mail.sha256,
        infected: mail.infected,
        recipients: new Map(),
        unknown: true,
      }
      for (const address of mail.to) {
        const one = known.recipients.get(address) ?? { meant: 0, acknowledged: 0, refused: 0 }
        known.recipients.set(address, { ...one, meant: one.meant + 1 })
      }
      kept.set(mail.number, known)
      return known
    },
  }
}
