// The settings that apply to one domain: its own over the defaults.
import type { DomainSettings } from '../../policies/policy.ts'
import { type Config, failureDefaults } from './schema.ts'

/**
 * Complete for every configured scanner. `domain` is in lower case and A-labels; one that is not ours gets
 * the defaults.
 */
export function domainSettings(config: Config, domain: string): DomainSettings {
  const own = Object.hasOwn(config.domains, domain) ? config.domains[domain] : undefined
  const failure: DomainSettings['failure'] = {}
  for (const scanner of ['clamav', 'rspamd', 'spamassassin'] as const) {
    if (config.scanners[scanner] === undefined) continue
    failure[scanner] = merge(
      merge(failureDefaults, config.failure[scanner]),
      own?.failure?.[scanner],
    )
  }
  return {
    spam: merge(config.spam, own?.spam),
    failure,
    unscannable: merge(config.unscannable, own?.unscannable),
  }
}

/** Every scanner in the configuration: without a verdict of each of them nothing is relayed (I2). */
export const requiredScanners = ({ scanners }: Pick<Config, 'scanners'>): string[] =>
  Object.entries(scanners).flatMap(([name, settings]) => (settings === undefined ? [] : [name]))

/** What `over` says where it says something. */
function merge<T extends object>(base: T, over: { [K in keyof T]?: T[K] | undefined } = {}): T {
  const said = Object.entries(over).filter(([, value]) => value !== undefined)
  return { ...base, ...Object.fromEntries(said) }
}
