// Asks all scanners side by side. Every one of them gets its report, whatever it does or fails to do.
import type { Message } from '../gateway/message.ts'
import { held } from './content.ts'
import { deadlineOf } from './deadline.ts'
import type { Finding, Report, Scanner, Verdict } from './scanner.ts'

/** How long a scanner may take to notice that its deadline has passed, or that it was called off. */
const GRACE_MS = 250

/** Never rejects; one report per scanner, in their order. A virus found calls off the others: nothing can outweigh it. */
export async function scanAll(
  scanners: readonly Scanner[],
  { envelope, content }: Message,
  signal?: AbortSignal,
): Promise<Report[]> {
  const message = { envelope, content: held(content) }
  const calledOff = new AbortController()
  const stops = signal ? [calledOff.signal, signal] : [calledOff.signal]
  return Promise.all(
    scanners.map(async scanner => {
      const report = await scanOne(scanner, message, stops)
      if (report.verdict.kind === 'infected') calledOff.abort(new Error('a virus was found'))
      return report
    }),
  )
}

async function scanOne(
  scanner: Scanner,
  message: Message,
  stops: readonly AbortSignal[],
): Promise<Report> {
  const startedAt = performance.now()
  using deadline = deadlineOf(scanner.deadlineMs, ...stops)
  const { signal } = deadline
  let grace: NodeJS.Timeout | undefined
  const late = new Promise<Finding>(resolve => {
    const giveUp = () => {
      const isCalledOff = stops.some(stop => stop.aborted)
      const cause = isCalledOff ? 'called off' : `no verdict in ${scanner.deadlineMs} ms`
      const finding = { verdict: failed('slow', cause) }
      grace = setTimeout(() => resolve(finding), GRACE_MS)
    }
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
  })
  const finding = await Promise.race([ask(scanner, message, signal), late])
  clearTimeout(grace)
  const durationMs = performance.now() - startedAt
  return { scanner: scanner.name, ...finding, durationMs }
}

async function ask(scanner: Scanner, message: Message, signal: AbortSignal): Promise<Finding> {
  try {
    return await scanner.scan(message, signal)
  } catch (error) {
    return { verdict: failed('garbled', `scanner failed: ${String(error).slice(0, 200)}`) }
  }
}

const failed = (failure: 'slow' | 'garbled', cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})
