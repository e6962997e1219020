// Decides whether a recipient is ours and exists: the domain first, then its directory. Never an open relay.
import type { Directory, Lookup } from '../../policies/directory/directory.ts'
import type { Config, DomainConfig } from '../config/schema.ts'
import type { Recipient } from '../message.ts'
import type { Events } from '../observe/events.ts'
import { reply } from '../reply.ts'
import { asksForRouting, type Mailbox, normalizeDomain, parseMailbox } from './address.ts'
import type { Refusal } from './command.ts'

export type Recipients = {
  accept(mailbox: Mailbox | 'postmaster'): Promise<{ recipient: Recipient } | { refusal: Refusal }>
}

const refused = (
  reason: string,
  code: number,
  enhanced: string,
  text: string,
  detail?: string,
) => ({
  refusal: {
    reason,
    reply: reply(code, enhanced, text),
    ...(detail === undefined ? {} : { detail }),
  },
})
const FOREIGN = refused('foreign-domain', 550, '5.7.1', 'Relay access denied')
const ROUTED = refused('routing', 550, '5.7.1', 'Routing by the sender is not done here')
const UNKNOWN = refused('unknown-recipient', 550, '5.1.1', 'No such recipient')
const unavailable = (cause?: string) =>
  refused(
    'directory-down',
    451,
    '4.4.3',
    'Recipient cannot be verified now, try again later',
    cause,
  )

export function createRecipients(
  config: Config,
  directories: ReadonlyMap<string, Directory>,
  events: Events,
): Recipients {
  const domains = new Map<string, DomainConfig>()
  for (const [name, domain] of Object.entries(config.domains)) {
    domains.set(normalizeDomain(name) ?? name.toLowerCase(), domain)
  }
  const postmaster = parseMailbox(config.postmaster)

  const toPostmaster = () => {
    if (!postmaster || !domains.has(postmaster.domain)) {
      return refused('postmaster', 451, '4.3.5', 'No postmaster configured')
    }
    return { recipient: { address: postmaster.address, domain: postmaster.domain } }
  }

  const lookup = async (name: string, address: string): Promise<Lookup> => {
    const startedAt = performance.now()
    const directory = directories.get(name)
    const found: Lookup = directory
      ? await directory.lookup(address)
      : { existence: 'unavailable', cached: false, cause: `no directory ${name}` }
    const durationMs = performance.now() - startedAt
    events.directoryLookedUp({ directory: name, ...found, durationMs })
    return found
  }

  return {
    async accept(mailbox) {
      // RFC 5321 §4.5.1
      if (mailbox === 'postmaster') return toPostmaster()
      const domain = domains.get(mailbox.domain)
      if (!domain) return FOREIGN
      const recipient = { address: mailbox.address, domain: mailbox.domain }
      const isPostmaster = mailbox.localPart.toLowerCase() === 'postmaster'
      if (domain.directory === undefined) {
        // Nobody vouches for this local part: the next hop might send it on.
        return asksForRouting(mailbox) ? ROUTED : { recipient }
      }
      const { existence, cause } = await lookup(domain.directory, mailbox.address)
      if (existence === 'exists') return { recipient }
      if (existence === 'unavailable') return unavailable(cause)
      return isPostmaster ? toPostmaster() : UNKNOWN
    },
  }
}
