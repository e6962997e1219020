// When the load begins each message: at once, as long as it goes on, or at fixed times, whatever became of those before.
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.ts'

export type Turn = { dueAt: number | undefined }

/** Resolves when the next message is due; undefined once there is none any more. */
export type Schedule = () => Promise<Turn | undefined>

export function createSchedule(order: {
  seconds: number
  messages: number
  /** Without it a message is due as soon as somebody is free for it. */
  perSecond?: number
}): Schedule {
  const startedAt = now()
  const end = startedAt + order.seconds * 1000
  let begun = 0
  return async () => {
    if (begun >= order.messages) return undefined
    if (order.perSecond === undefined) {
      if (now() >= end) return undefined
      begun++
      return { dueAt: undefined }
    }
    const dueAt = startedAt + (begun * 1000) / order.perSecond
    if (dueAt >= end) return undefined
    begun++
    const early = dueAt - now()
    if (early > 0) await sleep(early)
    return { dueAt }
  }
}

/** What somebody who sends it at its time would have waited more. */
export const lateness = ({ dueAt }: Turn, begunAt: number): number =>
  dueAt === undefined ? 0 : Math.max(0, begunAt - dueAt)
