// When a recipient that could not be relayed is tried again. Pure, but for the jitter it is given.
import type { Config } from '../config/schema.ts'

export type Next = { attempt: number; dueAt: number }

/** Twice as long each time from `first` to `longest`, give or take a quarter, so that a revived next hop isn't stormed. */
export function nextAttempt(
  attempt: number,
  retry: Config['retry'],
  nowMs: number,
  random: number = Math.random(),
): Next {
  const waitMs = Math.min(retry.first * 2 ** Math.min(attempt - 1, 30), retry.longest)
  return { attempt: attempt + 1, dueAt: Math.round(nowMs + waitMs * (0.75 + random / 2)) }
}

export const isExpired = (receivedAt: number, retry: Config['retry'], nowMs: number): boolean =>
  nowMs - receivedAt > retry.expire
