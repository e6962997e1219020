// The scanners there are: one line each.
import { type AttachmentsSettings, createAttachments } from './attachments/attachments.ts'
import { type ClamavSettings, createClamav } from './clamav/clamav.ts'
import { type CommandSettings, createCommand } from './command/command.ts'
import { createIcap, type IcapSettings } from './icap/icap.ts'
import { createRspamd, type RspamdSettings } from './rspamd.ts'
import type { Scanner } from './scanner.ts'
import { createSpamassassin, type SpamassassinSettings } from './spamassassin.ts'
import type { SharedMemory } from './verdict-cache.ts'

/** `scanners` of the configuration, with the addresses of an embedded clamd filled in. */
export type ScannersSettings = {
  clamav?: ClamavSettings | undefined
  rspamd?: RspamdSettings | undefined
  spamassassin?: SpamassassinSettings | undefined
  icap?: Record<string, IcapSettings> | undefined
  command?: Record<string, CommandSettings> | undefined
  /** From the configuration's `attachments`. */
  attachments?: AttachmentsSettings | undefined
}

/** The name of one of several scanners of a kind, as metrics, log and decisions have it: `icap-sophos`. */
export const serviceName = (kind: 'icap' | 'command', key: string): string => `${kind}-${key}`

/** Throws where an address can't be understood; whether it answers shows later. `others`: what they found clean. */
export async function createScanners(
  settings: ScannersSettings,
  others?: SharedMemory,
): Promise<Scanner[]> {
  const scanners: Scanner[] = []
  if (settings.clamav) scanners.push(await createClamav(settings.clamav, others))
  if (settings.rspamd) scanners.push(await createRspamd(settings.rspamd))
  if (settings.spamassassin) scanners.push(await createSpamassassin(settings.spamassassin))
  for (const [key, each] of Object.entries(settings.icap ?? {}))
    scanners.push(await createIcap(serviceName('icap', key), each, others))
  for (const [key, each] of Object.entries(settings.command ?? {}))
    scanners.push(await createCommand(serviceName('command', key), each))
  if (settings.attachments) scanners.push(createAttachments(settings.attachments))
  return scanners
}
