// Asks all scanners side by side. Every one of them gets its report, whatever it does or fails to do.
import type { Message } from '../gateway/message.ts'
import type { Finding, Report, Scanner, Verdict } from './scanner.ts'

/** How long a scanner may take to notice that its deadline has passed, or that it was called off. */
const GRACE_MS = 250

/** Never rejects; one report per scanner, in their order. A virus found calls off the others: nothing can outweigh it. */
export async function scanAll(
  scanners: readonly Scanner[],
  message: Message,
  signal?: AbortSignal,
): Promise<Report[]> {
  const calledOff = new AbortController()
  const stop = signal ? AbortSignal.any([signal, calledOff.signal]) : calledOff.signal
  return Promise.all(
    scanners.map(async scanner => {
      const report = await scanOne(scanner, message, stop)
      if (report.verdict.kind === 'infected') calledOff.abort(new Error('a virus was found'))
      return report
    }),
  )
}

async function scanOne(scanner: Scanner, message: Message, stop: AbortSignal): Promise<Report> {
  const startedAt = performance.now()
  const clock = new AbortController()
  const signal = AbortSignal.any([stop, clock.signal])
  const timers: NodeJS.Timeout[] = []
  let settled = false
  const late = new Promise<Finding>(resolve => {
    const giveUp = () => {
      if (settled) return
      const cause = stop.aborted ? 'called off' : `no verdict in ${scanner.deadlineMs} ms`
      const finding = { verdict: failed('slow', cause) }
      timers.push(setTimeout(() => resolve(finding), GRACE_MS))
    }
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
    timers.push(
      setTimeout(
        () => clock.abort(new DOMException('deadline passed', 'TimeoutError')),
        scanner.deadlineMs,
      ),
    )
  })
  const asked = ask(scanner, message, signal)
  const finding = await Promise.race([asked, late])
  settled = true
  for (const timer of timers) clearTimeout(timer)
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
