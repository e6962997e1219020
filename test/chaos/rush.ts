// Far more clients than the gateway takes at once: what they are told and how soon, and how it is afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import { connectSmtp } from '../support/client.ts'
import { makeMail, sha256 as sha256Of } from './mail.ts'
import { streamOf } from './random.ts'
import type { Record } from './record.ts'
import type { Stage } from './stage.ts'

/** Before a client that was refused comes again; one whose message was taken has the next ready. */
const PAUSE_MS = { least: 200, most: 1000 }
const PROBES = 6
const LOOK_MS = 250
/** How long after the last client has left latency is looked at. */
const CALM_MS = 30_000

export type Rush = {
  /** Answered for good after the dot. */
  taken: number
  refused: number
  /** There was a place when they began to send, and none any more when they had. */
  refusedAtDot: number
  /** Neither a 250 nor a refusal, in words. */
  unanswered: string[]
  /** Milliseconds from the connection, or the command, to its refusal: all but one in a hundred, and the longest. */
  refusedMs: { most: number; longest: number }
  takenMs: { median: number; longest: number }
  memoryBytes: { before: number; most: number }
  /** What /health/ready gave as reasons. */
  unready: string[]
  latencyMs: { before: number; after: number }
  /** Until latency was back at what it was; undefined where it did not come to that. */
  calmMs: number | undefined
}

type Tally = {
  taken: number[]
  refused: number[]
  refusedAtDot: number[]
  unanswered: string[]
}

const middle = (values: readonly number[], share = 0.5): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0

/** One message of a few octets; its number shows that it is ours. */
async function probe({ ports }: Stage, record: Record, number: number): Promise<number> {
  const mail = makeMail(number, streamOf(number, 'probe'))
  const content = Buffer.from(`X-Chaos: ${number}\r\nSubject: probe\r\n\r\nprobe\r\n`)
  const startedAt = performance.now()
  const told = await send(ports[0] ?? 0, { ...mail, to: ['user1@example.org'], content }, record)
  return told.code === 250 ? performance.now() - startedAt : Number.POSITIVE_INFINITY
}

type Mail = Pick<ReturnType<typeof makeMail>, 'number' | 'from' | 'to' | 'content' | 'infected'>
type Told = { code: number; tookMs: number; text: string; atDot?: boolean }

/** Answers what was said last, and how long that took. */
async function send(port: number, mail: Mail, record: Record): Promise<Told> {
  const startedAt = performance.now()
  using client = await connectSmtp({ port, patienceMs: 120_000 })
  const { greeting } = client
  if (greeting.code !== 220) return { ...greeting, tookMs: performance.now() - startedAt }
  await client.command('EHLO client.test')
  const commands = [`MAIL FROM:<${mail.from}>`, ...mail.to.map(to => `RCPT TO:<${to}>`), 'DATA']
  for (const command of commands) {
    const said = await client.command(command)
    if (said.code >= 400) return said
  }
  const sha256 = sha256Of(mail.content)
  const kept = record.meant({ ...mail, manner: 'plain', sha256 })
  await client.writeContent(mail.content)
  const said = await client.read()
  kept.unknown = false
  for (const to of said.code === 250 ? mail.to : []) {
    const one = kept.recipients.get(to)
    if (one) one.acknowledged++
  }
  await client.quit().catch(() => undefined)
  return { ...said, atDot: true }
}

async function runOne(
  stage: Stage,
  record: Record,
  tally: Tally,
  options: { seed: number; name: string; number(): number; enough: AbortSignal },
): Promise<void> {
  const random = streamOf(options.seed, options.name)
  while (!options.enough.aborted) {
    const mail = makeMail(options.number(), random)
    const told = await send(random.pick(stage.ports), mail, record).catch((error: Error) => error)
    if (told instanceof Error) tally.unanswered.push(told.message)
    else if (told.code === 250 || told.code >= 500) tally.taken.push(told.tookMs)
    else if (told.code === 421 || told.code === 452) {
      tally[told.atDot ? 'refusedAtDot' : 'refused'].push(told.tookMs)
      await sleep(random.between(PAUSE_MS.least, PAUSE_MS.most))
    } else tally.unanswered.push(`${told.code} ${told.text}`)
  }
}

/** Looks at memory and readiness until it is told to stop. */
async function watch(stage: Stage, enough: AbortSignal) {
  const [gateway] = stage.gateways
  const unready = new Set<string>()
  let most = 0
  while (gateway && !enough.aborted) {
    most = Math.max(most, gateway.memoryBytes())
    const why = await gateway.unready()
    if (why !== undefined) unready.add(why.trim())
    await sleep(LOOK_MS)
  }
  return { most, unready: [...unready] }
}

export async function rush(
  stage: Stage,
  record: Record,
  { clients, seconds, seed }: { clients: number; seconds: number; seed: number },
): Promise<Rush> {
  let numbers = 1_000_000
  const probes = async (count: number) => {
    const latencies: number[] = []
    for (let i = 0; i < count; i++) latencies.push(await probe(stage, record, ++numbers))
    return middle(latencies)
  }
  const [gateway] = stage.gateways
  await probes(PROBES)
  const before = { latency: await probes(PROBES), memory: gateway?.memoryBytes() ?? 0 }
  const tally: Tally = { taken: [], refused: [], refusedAtDot: [], unanswered: [] }
  const enough = AbortSignal.timeout(seconds * 1000)
  let mails = 0
  const number = () => ++mails
  // Held for longer, messages are more than there is room for; else two cores are through with them before that.
  stage.inbox.feel('slow')
  const all = Array.from({ length: clients }, (_, i) =>
    runOne(stage, record, tally, { seed, name: `client ${i}`, number, enough }),
  )
  const over = new AbortController()
  const watching = watch(stage, over.signal)
  await Promise.all(all)
  const leftAt = performance.now()
  stage.inbox.feel('well')
  over.abort()
  const { most, unready } = await watching
  let after = Number.POSITIVE_INFINITY
  const normal = Math.max(before.latency * 2, before.latency + 30)
  while (after > normal && performance.now() - leftAt < CALM_MS) after = await probes(5)
  return {
    taken: tally.taken.length,
    refused: tally.refused.length,
    refusedAtDot: tally.refusedAtDot.length,
    unanswered: tally.unanswered,
    refusedMs: { most: middle(tally.refused, 0.99), longest: Math.max(0, ...tally.refused) },
    takenMs: { median: middle(tally.taken), longest: Math.max(0, ...tally.taken) },
    memoryBytes: { before: before.memory, most },
    unready,
    latencyMs: { before: before.latency, after },
    calmMs: after > normal ? undefined : performance.now() - leftAt,
  }
}
