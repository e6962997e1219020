// The load's own process: sends one cell's messages to one gateway, as many sessions at once as told.
import { now } from './clock.ts'
import { createMaker, createPools } from './content.ts'
import { type Plan, plansOf } from './plan.ts'
import { createSchedule, lateness, type Turn } from './schedule.ts'
import { createSession, type Reply, type Session } from './session.ts'

export type LoadOrder = {
  run: string
  /** Sessions take them in turn. */
  ports: number[]
  size: number | 'mix'
  sessions: number
  perConnection: number | 'keep'
  seconds: number
  /** At most. */
  messages: number
  /** Messages are due so often, in the order of their numbers, whatever became of those before. */
  perSecond?: number
  /** Of what the messages are; the same for every peer. */
  seed: number
  /** Of what is in them; never the same. */
  contentSeed: number
}

/** One message that was sent to its end. Times are milliseconds of the machine's own monotonic clock. */
export type Sent = {
  sequence: number
  /** Those that were accepted. */
  recipients: string[]
  infected: boolean
  /** The reply to the dot. */
  code: number
  startedAt: number
  /** How long it was due before a session was free for it; 0 where messages are not due at any time. */
  lateMs: number
  dotAt: number
  repliedAt: number
}

export type LoadResult = {
  sent: Sent[]
  /** Replies that should not have been given and connections that broke, as far as they fit. */
  faults: string[]
  faultCount: number
}

/** After so many, there is nothing to be measured. */
const MOST_FAULTS = 1000
const FAULTS_KEPT = 5

const pools = createPools()

async function send(order: LoadOrder): Promise<LoadResult> {
  const make = createMaker(pools, order.run, order.contentSeed)
  const plans = plansOf(order.size, order.seed)
  const result: LoadResult = { sent: [], faults: [], faultCount: 0 }
  const schedule = createSchedule(order)
  const fault = (what: string) => {
    result.faultCount++
    if (result.faults.length < FAULTS_KEPT) result.faults.push(what)
  }
  const most = order.perConnection === 'keep' ? Number.POSITIVE_INFINITY : order.perConnection
  const next = async () => (result.faultCount < MOST_FAULTS ? schedule() : undefined)
  /** As many messages as one connection takes. */
  const connection = async (session: Session, first: Turn, connectedAt: number) => {
    await expect(session, undefined, 220)
    await expect(session, 'EHLO load.test\r\n', 250)
    let turn: Turn | undefined = first
    let begunAt = connectedAt
    for (let count = 1; turn; count++) {
      await message(session, plans.next().value, lateness(turn, begunAt))
      if (count === most) break
      turn = await next()
      begunAt = now()
    }
    await expect(session, 'QUIT\r\n', 221)
  }
  const client = async (port: number) => {
    for (let turn = await next(); turn; turn = await next()) {
      const connectedAt = now()
      const session = createSession(port)
      try {
        await connection(session, turn, connectedAt)
      } catch (error) {
        fault(error instanceof Error ? error.message : String(error))
      } finally {
        session.close()
      }
    }
  }
  const message = async (session: Session, plan: Plan, lateMs: number) => {
    const startedAt = now()
    await expect(session, 'MAIL FROM:<sender@load.test>\r\n', 250)
    const recipients: string[] = []
    for (const { address, exists } of plan.recipients) {
      const { code, text } = await session.say(`RCPT TO:<${address}>\r\n`)
      if (exists !== (code === 250) || (!exists && code !== 550)) fault(`${address}: ${text}`)
      if (code === 250) recipients.push(address)
    }
    if (recipients.length === 0) {
      await expect(session, 'RSET\r\n', 250)
      return
    }
    await expect(session, 'DATA\r\n', 354)
    const content = make(plan)
    const { dotAt, reply } = await session.content(content.pieces)
    const repliedAt = now()
    const { sequence, infected } = plan
    result.sent.push({
      ...{ sequence, recipients, infected, code: reply.code },
      ...{ startedAt, lateMs, dotAt, repliedAt },
    })
    if (reply.code !== 250 && !(infected && reply.code >= 550)) fault(`dot: ${reply.text}`)
    if (reply.code === 421) throw new Error(reply.text)
  }
  const { ports, sessions } = order
  const portOf = (session: number) => ports[session % ports.length] ?? 0
  await Promise.all(Array.from({ length: sessions }, (_, i) => client(portOf(i))))
  return result
}

async function expect(session: Session, text: string | undefined, code: number): Promise<Reply> {
  const reply = text === undefined ? await session.greeting() : await session.say(text)
  if (reply.code !== code) throw new Error(`${text?.trim() ?? 'greeting'}: ${reply.text}`)
  return reply
}

process.on('message', async (order: LoadOrder) => {
  process.send?.(await send(order))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
