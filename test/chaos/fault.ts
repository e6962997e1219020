// What a fault is: it does its harm and mends it again, by itself.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from './random.ts'
import type { Record } from './record.ts'
import type { Stage } from './stage.ts'

export type Doing = { stage: Stage; random: Random; record: Record }
export type Fault = {
  /** Faults of the same thing come one after the other. */
  of: 'gateway' | 'redis' | 'clamd' | 'door' | 'rspamd' | 'slapd' | 'inbox' | 'spool'
  /** Answers a word for the record, where there is one to say. */
  run(doing: Doing): Promise<string | undefined>
}
export type Faults = { readonly [name: string]: Fault }

const LONGEST_MS = 4000
export const lasts = ({ random }: Doing, longestMs = LONGEST_MS) =>
  sleep(random.between(100, longestMs))
