// Asks admission checks one after the other; the first objection stands, and none is waited for forever.
import type { Check, CheckInput } from '../../policies/policy.ts'
import { type Reply, reply } from '../reply.ts'
import type { Refusal } from './command.ts'

/** For one check. */
const CHECK_MS = 10_000
const TOO_SLOW = reply(451, '4.7.1', 'Cannot decide now, try again later')

/** Rejects where a check does. */
export async function askChecks(
  checks: readonly Check[],
  input: CheckInput,
  gone: AbortSignal,
): Promise<Refusal | undefined> {
  for (const check of checks) {
    const objection = await ask(check, input, gone)
    if (objection) return { reason: check.name, reply: objection }
  }
  return undefined
}

async function ask(check: Check, input: CheckInput, gone: AbortSignal): Promise<Reply | undefined> {
  const stop = new AbortController()
  const late = Promise.withResolvers<Reply>()
  const timer = setTimeout(() => {
    stop.abort()
    late.resolve(TOO_SLOW)
  }, CHECK_MS)
  try {
    const signal = AbortSignal.any([stop.signal, gone])
    return await Promise.race([check.check(input, signal), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
