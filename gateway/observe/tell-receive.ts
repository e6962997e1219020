// The events of the session: connections, refusals, the final dot and its answer, custody.
import type { Reply } from '../reply.ts'
import type { Ends, Events } from './events.ts'
import type { Outlets } from './tell.ts'

type ReceiveEvents = Pick<
  Events,
  | 'connectionOpened'
  | 'connectionClosed'
  | 'connectionRefused'
  | 'sessionSecured'
  | 'commandRefused'
  | 'messageReceived'
  | 'dotAnswered'
  | 'acknowledgedHeld'
  | 'custodyTaken'
  | 'custodyEnded'
  | 'clientGone'
  | 'retryRecognised'
>

/** A reply as the journal and the log show it. */
export const shown = ({ code, enhanced, text }: Reply) => `${code} ${enhanced} ${text}`

const replyClass = ({ code }: Reply) => (code >= 500 ? '5xx' : code >= 400 ? '4xx' : '2xx')

export function tellReceive(outlets: Outlets): ReceiveEvents {
  return { ...tellConnections(outlets), ...tellMessages(outlets), ...tellCustody(outlets) }
}

function tellConnections({ log, journal, metrics }: Outlets) {
  const to = metrics.instruments
  return {
    connectionOpened(e) {
      log.write('debug', 'connectionOpened', e)
      to.connections.inc({ listener: e.listener })
      to.connectionsOpen.inc({ listener: e.listener })
    },
    connectionClosed(e) {
      log.write('debug', 'connectionClosed', e)
      to.connectionsOpen.dec({ listener: e.listener })
    },
    connectionRefused(e) {
      log.write('info', 'connectionRefused', e)
      const reason = metrics.bounded('connection-reason', e.reason)
      to.connectionsRefused.inc({ listener: e.listener, reason })
    },
    sessionSecured(e) {
      log.write('debug', 'sessionSecured', e)
      const version = metrics.bounded('tls-version', e.version)
      to.tlsSessions.inc({ listener: e.listener, version })
    },
    commandRefused(e) {
      const line = { ...e, reply: shown(e.reply) }
      log.write('info', 'commandRefused', line)
      if (e.id !== undefined) journal.write('commandRefused', line)
      const reason = metrics.bounded('command-reason', e.reason)
      to.commandsRefused.inc({ command: metrics.bounded('command', e.command), reason })
    },
  } satisfies Partial<Events>
}

function tellMessages({ log, journal, metrics }: Outlets) {
  const to = metrics.instruments
  return {
    messageReceived({ envelope, transferMs }) {
      const { id, client, reversePath, sizeBytes, kind } = envelope
      const recipients = envelope.recipients.map(({ address }) => address)
      const line = { id, client: client.address, helo: client.helo, reversePath, sizeBytes, kind }
      const tls = client.tls === undefined ? {} : { tls: client.tls.version }
      const some = { recipients: recipients.slice(0, 10), count: recipients.length }
      log.write('info', 'messageReceived', { ...line, ...tls, ...some, transferMs })
      const { sha256 } = envelope
      journal.write('messageReceived', { ...line, ...tls, recipients, transferMs, sha256 })
      to.messagesReceived.inc()
      to.bytesReceived.inc(sizeBytes)
      to.transferSeconds.observe(transferMs / 1000)
    },
    dotAnswered(e) {
      const line = { ...e, reply: shown(e.reply) }
      log.write('info', 'dotAnswered', line)
      journal.write('dotAnswered', line)
      const reply = replyClass(e.reply)
      to.messages.inc({ reply })
      to.holdSeconds.observe({ reply }, e.waitedMs / 1000)
    },
    clientGone(e) {
      log.write('info', 'clientGone', e)
      journal.write('clientGone', e)
      to.clientsGone.inc({ state: e.state })
    },
    retryRecognised(e) {
      log.write('info', 'retryRecognised', e)
      journal.write('retryRecognised', e)
      to.retriesRecognised.inc()
    },
  } satisfies Partial<Events>
}

/** The lines the ledger lives on. */
function tellCustody({ log, journal, metrics }: Outlets) {
  const to = metrics.instruments
  const both = (event: string, e: { id: string; recipients: number; ends?: Ends }) => {
    journal.write(event, e)
    log.write('info', event, e)
  }
  return {
    acknowledgedHeld: e => both('acknowledgedHeld', e),
    custodyTaken(e) {
      both('custodyTaken', e)
      to.custodyTaken.inc({ reason: metrics.bounded('custody-reason', e.reason) })
      to.custodySeconds.observe(e.durationMs / 1000)
    },
    custodyEnded: e => both('custodyEnded', e),
  } satisfies Partial<Events>
}
