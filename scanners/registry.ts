// The scanners there are: one line each.
import { type ClamavSettings, createClamav } from './clamav.ts'
import { createRspamd, type RspamdSettings } from './rspamd.ts'
import type { Scanner } from './scanner.ts'
import { createSpamassassin, type SpamassassinSettings } from './spamassassin.ts'

/** `scanners` of the configuration, with the addresses of an embedded clamd filled in. */
export type ScannersSettings = {
  clamav?: ClamavSettings | undefined
  rspamd?: RspamdSettings | undefined
  spamassassin?: SpamassassinSettings | undefined
}

/** Throws where an address can't be understood; whether it answers shows later. */
export async function createScanners(settings: ScannersSettings): Promise<Scanner[]> {
  const scanners: Scanner[] = []
  if (settings.clamav) scanners.push(await createClamav(settings.clamav))
  if (settings.rspamd) scanners.push(await createRspamd(settings.rspamd))
  if (settings.spamassassin) scanners.push(await createSpamassassin(settings.spamassassin))
  return scanners
}
