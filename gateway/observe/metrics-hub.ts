// The primary's side of the metrics: its own values, those of living workers, and the totals of dead ones, as one text.
import { AggregatorRegistry } from 'prom-client'
import type { Metrics, Snapshot } from './metrics.ts'
import { type Channel, isMetricsMessage } from './metrics-worker.ts'

/** A worker that has not answered by then is left out: its last known values stand for it. */
const ANSWER_TIMEOUT_MS = 1000

/** Should `disconnect` not follow `exit`. */
const EXIT_GRACE_MS = 1000

export type HubWorker = Channel & {
  on(event: 'exit' | 'disconnect', listener: () => void): unknown
}

export type MetricsHub = {
  /** Takes a worker in, from its fork on. It leaves by itself, with its totals kept. */
  attach(worker: HubWorker): void
  /** Everything, in Prometheus' text format. Settles soon after `answerTimeoutMs`, however the workers are. */
  text(): Promise<string>
  contentType: string
}

type Member = {
  known: Map<string, Snapshot[number]>
  /** Totals of processes behind it that are gone. */
  past: Snapshot
  waiting: Map<number, () => void>
  ask(n: number): void
}

export function createMetricsHub(
  own: Metrics,
  { answerTimeoutMs = ANSWER_TIMEOUT_MS }: { answerTimeoutMs?: number } = {},
): MetricsHub {
  const members = new Set<Member>()
  let retained: Snapshot = []
  let question = 0

  const leave = (member: Member) => {
    if (!members.delete(member)) return
    for (const answered of member.waiting.values()) answered()
    const totals = [...member.known.values()].filter(metric => String(metric.type) !== 'gauge')
    retained = together([retained, totals, member.past])
  }

  const ask = (member: Member) =>
    new Promise<void>(resolve => {
      const n = ++question
      const done = () => {
        clearTimeout(timer)
        member.waiting.delete(n)
        resolve()
      }
      const timer = setTimeout(done, answerTimeoutMs)
      member.waiting.set(n, done)
      member.ask(n)
    })

  return {
    attach(worker) {
      const member = createMember(worker)
      members.add(member)
      // Its last messages are read before `disconnect`, but maybe after `exit`.
      worker.on('disconnect', () => leave(member))
      worker.on('exit', () => void setTimeout(leave, EXIT_GRACE_MS, member).unref())
    },
    async text() {
      const [mine] = await Promise.all([own.snapshot(), ...[...members].map(ask)])
      const living = [...members].flatMap(({ known, past }) => [[...known.values()], past])
      return aggregate([mine, ...living, retained]).metrics()
    },
    contentType: own.registry.contentType,
  }
}

function createMember(worker: HubWorker): Member {
  const known = new Map<string, Snapshot[number]>()
  const waiting = new Map<number, () => void>()
  let behind: number | undefined
  /** One process at a time stands behind a worker. */
  const keepTotals = () => {
    const keys = [...known.keys()].filter(key => key.startsWith(`${behind} `))
    member.past = together([member.past, keys.flatMap(key => known.get(key) ?? [])])
    for (const key of keys) known.delete(key)
  }
  worker.on('message', (message: unknown) => {
    if (!isMetricsMessage(message) || message.sallyportMetrics !== 'tell') return
    const { of, n } = message
    if (of !== undefined && of !== behind) {
      if (behind !== undefined) keepTotals()
      behind = of
    }
    for (const metric of message.metrics)
      known.set(of === undefined ? metric.name : `${of} ${metric.name}`, metric)
    if (n !== undefined) waiting.get(n)?.()
  })
  const member: Member = {
    known,
    past: [],
    waiting,
    ask(n) {
      try {
        // A worker on its way out can't be asked; its `exit` follows.
        worker.send?.({ sallyportMetrics: 'ask', n }, error => {
          if (error) waiting.get(n)?.()
        })
      } catch {
        waiting.get(n)?.()
      }
    },
  }
  return member
}

const aggregate = (parts: Snapshot[]) => AggregatorRegistry.aggregate(parts)

const together = (parts: Snapshot[]): Snapshot =>
  (aggregate(parts).getMetricsAsArray() as unknown as { get(): Snapshot[number] }[]).map(metric =>
    metric.get(),
  )
