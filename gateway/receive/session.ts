// One client's conversation: what is asked of it at each command, its transaction, and what its final dot is answered.
import type { Readable } from 'node:stream'
import type { Check, CheckInput, Stage } from '../../policies/policy.ts'
import type { Config } from '../config/schema.ts'
import type { Client, Envelope, Recipient } from '../message.ts'
import type { Events } from '../observe/events.ts'
import { type Reply, reply } from '../reply.ts'
import type { HoldDot, IncomingStore } from './answer.ts'
import { askChecks } from './checks.ts'
import { parseMail, parseRcpt, type Refusal } from './command.ts'
import { receiveContent } from './content.ts'
import type { DataAnswer, Line, Session } from './conversation.ts'
import { fingerprint } from './fingerprint.ts'
import { Budget, isIdle } from './limits.ts'
import type { Places } from './places.ts'
import type { Recipients } from './recipient.ts'
import {
  BAD_HELO,
  BUSY,
  FAULT,
  LOST,
  NESTED,
  NO_MAIL,
  refused,
  STOPPING,
  TOO_BIG,
  TOO_MANY,
} from './refusals.ts'

/** What all sessions share; `config` and `recipients` are replaced by a reload. */
export type Shared = {
  config: Config
  recipients: Recipients
  readonly events: Events
  readonly store: IncomingStore
  readonly checks: readonly Check[]
  readonly hold: HoldDot
  readonly places: Places
  unready(): Reply | undefined
  /** The rate of DATA is measured over each of these. */
  readonly rateWindowMs: number
  stopping: boolean
  /** Told of work that `stop` has to wait for. */
  track(work: Promise<unknown>): void
}

type Transaction = {
  id: string
  receivedAt: number
  reversePath: string
  eightBit: boolean
  smtpUtf8: boolean
  recipients: Recipient[]
}

const OK_MAIL = reply(250, '2.1.0', 'Sender accepted')
const OK_RCPT = reply(250, '2.1.5', 'Recipient accepted')

class ClientSession implements Session {
  readonly #shared: Shared
  readonly #line: Line
  readonly #listener: string
  readonly #sessionId: string
  readonly #openedAt = performance.now()
  readonly #budget = new Budget()
  readonly #onClosed: () => void
  #helo = ''
  #tls: Client['tls']
  #transaction: Transaction | undefined

  constructor(shared: Shared, line: Line, listener: string, onClosed: () => void) {
    this.#shared = shared
    this.#line = line
    this.#listener = listener
    this.#onClosed = onClosed
    this.#sessionId = shared.store.newId()
    shared.events.connectionOpened({ listener, address: line.address })
  }

  id(): string {
    return this.#transaction?.id ?? this.#sessionId
  }

  connected(): Promise<Reply | undefined> {
    return this.#guard('CONNECT', async () => {
      if (this.#shared.stopping) return this.#refuse('CONNECT', STOPPING)
      return await this.#asked('CONNECT', 'connect')
    })
  }

  secured(tls: { version: string; cipher: string }): void {
    this.#tls = tls
    const where = { listener: this.#listener, address: this.#line.address }
    this.#shared.events.sessionSecured({ ...where, ...tls })
  }

  admit(command: string): Reply | undefined {
    if (isIdle(command)) this.#budget.idled()
    const reason = this.#budget.exceeded(this.#shared.config.limits.errors)
    if (!reason) {
      const sending = command === 'DATA' && this.#transaction?.recipients.length
      return sending && this.#shared.places.full() ? this.#refuse(command, BUSY) : undefined
    }
    return this.#refuse(command, refused(reason, 421, '4.7.0', 'Too many errors'))
  }

  greeted(name: Buffer): Reply | undefined {
    const helo = name.toString('latin1')
    // RFC 5321 §4.1.1.1; more is not asked of it, real clients send bare addresses and worse
    if (!/^[!-~]*$/.test(helo.replaceAll(/[ \t]/g, ''))) return this.#refuse('HELO', BAD_HELO)
    this.#helo = helo
    return undefined
  }

  async mail(line: Buffer): Promise<Reply> {
    const answer = await this.#guard('MAIL', async () => {
      const { config, unready, places } = this.#shared
      const command = parseMail(line, { smtpUtf8: config.smtpUtf8 })
      if ('refusal' in command) return this.#refuse('MAIL', command.refusal)
      if (this.#transaction) return this.#refuse('MAIL', NESTED)
      if ((command.sizeBytes ?? 0) > config.maxMessageSize) return this.#refuse('MAIL', TOO_BIG)
      const why = unready()
      if (why) return this.#refuse('MAIL', { reason: 'not-ready', reply: why })
      if (places.full()) return this.#refuse('MAIL', BUSY)
      const reversePath = command.mailbox?.address ?? ''
      const objection = await this.#asked('MAIL', 'mail', { reversePath })
      if (objection) return objection
      this.#transaction = {
        id: this.#shared.store.newId(),
        receivedAt: Date.now(),
        reversePath,
        eightBit: command.eightBit,
        smtpUtf8: command.smtpUtf8,
        recipients: [],
      }
      return OK_MAIL
    })
    return answer ?? FAULT
  }

  async recipient(line: Buffer): Promise<Reply> {
    const answer = await this.#guard('RCPT', async () => {
      const transaction = this.#transaction
      const command = parseRcpt(line, transaction?.smtpUtf8 ?? false)
      if ('refusal' in command) return this.#refuse('RCPT', command.refusal)
      if (!transaction) return this.#refuse('RCPT', NO_MAIL)
      const { recipients, reversePath } = transaction
      if (recipients.length >= this.#shared.config.limits.recipients) {
        return this.#refuse('RCPT', TOO_MANY)
      }
      const found = await this.#shared.recipients.accept(command.mailbox)
      if ('refusal' in found) return this.#refuse('RCPT', found.refusal)
      const { recipient } = found
      const objection = await this.#asked('RCPT', 'recipient', { reversePath, recipient })
      if (objection) return objection
      if (!recipients.some(one => one.address === recipient.address)) recipients.push(recipient)
      return OK_RCPT
    })
    return answer ?? FAULT
  }

  async data(content: Readable): Promise<DataAnswer> {
    const work = this.#guard('DATA', () => this.#receive(content))
    this.#shared.track(work)
    const answer = await work
    if (answer && 'reply' in answer) return answer
    content.resume()
    return { reply: answer ?? FAULT }
  }

  reset(): void {
    this.#transaction = undefined
  }

  refused(command: string, reason: string, said: Reply): void {
    this.#refuse(command, { reason, reply: said })
  }

  closed(): void {
    this.#onClosed()
    const durationMs = performance.now() - this.#openedAt
    const { address } = this.#line
    this.#shared.events.connectionClosed({ listener: this.#listener, address, durationMs })
  }

  async #receive(content: Readable): Promise<DataAnswer> {
    const transaction = this.#transaction
    if (!transaction) return { reply: this.#refuse('DATA', NO_MAIL) }
    const { maxMessageSize, limits } = this.#shared.config
    const startedAt = performance.now()
    const received = await receiveContent(
      transaction.id,
      content,
      this.#shared.store,
      {
        sizeBytes: maxMessageSize,
        hops: limits.hops,
        headerSectionBytes: limits.headerSection,
        headerFields: limits.headerFields,
        headerFolds: limits.headerFolds,
      },
      { deadlineMs: limits.data, minRate: limits.dataRate, windowMs: this.#shared.rateWindowMs },
    )
    if (received.kind === 'lost') return { reply: LOST.reply }
    if (received.kind === 'refused') {
      return { reply: this.#refuse('DATA', received.refusal), hangUp: received.hangUp }
    }
    const envelope = this.#envelope(transaction, received)
    const transferMs = performance.now() - startedAt
    this.#shared.events.messageReceived({ envelope, transferMs })
    return await this.#holdDot(envelope)
  }

  #envelope(
    transaction: Transaction,
    content: { sizeBytes: number; sha256: string; eightBit: boolean },
  ): Envelope {
    return {
      ...transaction,
      client: this.#client(),
      eightBit: transaction.eightBit || content.eightBit,
      sizeBytes: content.sizeBytes,
      sha256: content.sha256,
      kind: 'mail',
      fingerprint: fingerprint(this.#line.address, transaction.reversePath, content.sha256),
    }
  }

  async #holdDot(envelope: Envelope): Promise<DataAnswer> {
    const { store, hold, track, places } = this.#shared
    // Many may have begun to send while there still was one.
    using place = places.take()
    if (!place) await store.removeContent(envelope.id)
    if (!place) return { reply: this.#refuse('DATA', BUSY) }
    const path = store.contentPath(envelope.id)
    const message = { envelope, content: { path, sizeBytes: envelope.sizeBytes } }
    const dotAt = performance.now()
    const answer = await hold(message, this.#line.gone)
    const said = { id: envelope.id, reply: answer.reply, waitedMs: performance.now() - dotAt }
    if (!this.#line.gone.aborted) this.#shared.events.dotAnswered(said)
    if (answer.reply.code < 300) this.#budget.accepted()
    else this.#budget.refused(answer.reply.code)
    const answered = (heard: boolean) => {
      const telling = heard ? answer.heard() : answer.unheard()
      track(telling.catch(error => this.#fault('heard', error)))
    }
    return { reply: answer.reply, answered }
  }

  #client(): Client {
    const { address, port } = this.#line
    const client = { address, port, helo: this.#helo }
    return this.#tls === undefined ? client : { ...client, tls: this.#tls }
  }

  #refuse(command: string, refusal: Refusal): Reply {
    if (refusal.reply.code !== 421) this.#budget.refused(refusal.reply.code)
    const whose = { address: this.#line.address, id: this.id() }
    this.#shared.events.commandRefused({ command: known(command), ...whose, ...refusal })
    return refusal.reply
  }

  /** The first objection of this stage's checks. */
  async #asked(
    command: string,
    stage: Stage,
    about: Omit<CheckInput, 'client'> = {},
  ): Promise<Reply | undefined> {
    const checks = this.#shared.checks.filter(check => check.stage === stage)
    if (checks.length === 0) return undefined
    const input = { client: this.#client(), ...about }
    const objection = await askChecks(checks, input, this.#line.gone)
    return objection && this.#refuse(command, objection)
  }

  /** The net below every command: a bug costs one reply, never a session without one, never the process. */
  async #guard<T>(command: string, work: () => Promise<T>): Promise<T | Reply> {
    try {
      return await work()
    } catch (error) {
      this.#fault(command, error)
      return this.#refuse(command, { reason: 'fault', reply: FAULT })
    }
  }

  #fault(where: string, error: unknown): void {
    this.#shared.events.fault({ where: `receive ${where}`, error, id: this.id() })
  }
}

const COMMANDS = new Set(['CONNECT', 'HELO', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'STARTTLS'])

/** A client's own words are never a label. */
const known = (command: string): string => (COMMANDS.has(command) ? command : 'OTHER')

export const createSession = (
  shared: Shared,
  line: Line,
  listener: string,
  onClosed: () => void,
): Session => new ClientSession(shared, line, listener, onClosed)
