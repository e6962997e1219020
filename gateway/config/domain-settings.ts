// The settings that apply to one domain: its own over the defaults.
import type { DomainSettings } from '../../policies/policy.ts'
import { serviceName } from '../../scanners/registry.ts'
import { type Config, failureDefaults } from './schema.ts'

/**
 * Complete for every configured scanner. `domain` is in lower case and A-labels; one that is not ours gets
 * the defaults.
 */
export function domainSettings(config: Config, domain: string): DomainSettings {
  const own = Object.hasOwn(config.domains, domain) ? config.domains[domain] : undefined
  const failure: DomainSettings['failure'] = {}
  for (const { name, kind } of scannersOf(config)) {
    failure[name] = merge(merge(failureDefaults, config.failure[kind]), own?.failure?.[kind])
  }
  const { attachments } = config
  return {
    spam: merge(config.spam, own?.spam),
    failure,
    unscannable: merge(config.unscannable, own?.unscannable),
    ...(attachments
      ? {
          // The lists themselves, so that what was made of them for another recipient can be found again.
          attachments: {
            rules: own?.attachments?.rules ?? attachments.rules,
            standard: own?.attachments?.standard ?? attachments.standard,
          },
        }
      : {}),
  }
}

/** Every scanner in the configuration: without a verdict of each of them nothing is relayed (I2). */
export const requiredScanners = (config: Pick<Config, 'scanners' | 'attachments'>): string[] =>
  scannersOf(config).map(({ name }) => name)

type Kind = keyof Config['failure']

/** Of some kinds there are several, each with a name of its own. */
function scannersOf({
  scanners,
  attachments,
}: Pick<Config, 'scanners' | 'attachments'>): { name: string; kind: Kind }[] {
  const { icap = {}, command = {}, ...single } = scanners
  return [
    ...Object.entries({ ...single, attachments }).flatMap(([kind, settings]) =>
      settings === undefined ? [] : [{ name: kind, kind: kind as Kind }],
    ),
    ...Object.keys(icap).map(key => ({ name: serviceName('icap', key), kind: 'icap' as const })),
    ...Object.keys(command).map(key => ({
      name: serviceName('command', key),
      kind: 'command' as const,
    })),
  ]
}

/** What `over` says where it says something. */
function merge<T extends object>(base: T, over: { [K in keyof T]?: T[K] | undefined } = {}): T {
  const said = Object.entries(over).filter(([, value]) => value !== undefined)
  return { ...base, ...Object.fromEntries(said) }
}
