// Asks an antivirus service over ICAP (RFC 3507): the message as it is, and each thing a mail program would open.
import { z } from 'zod'
import type { Message } from '../../gateway/message.ts'
import { askInTurn } from '../ask-in-turn.ts'
import type { Sendable } from '../content.ts'
import { calledOff, type Deadline, deadlineOf } from '../deadline.ts'
import { createEnginePool } from '../engine-pool.ts'
import { graver, isFinal, scanLeaves } from '../leaves.ts'
import { inMemory } from '../mime/octets.ts'
import { rarProbe } from '../rar-probe.ts'
import { REMEMBERS_NOTHING } from '../remembers-nothing.ts'
import type { About, Probe, Scanner, Verdict } from '../scanner.ts'
import type { SharedMemory } from '../verdict-cache.ts'
import { parseIcapUrl } from './connection.ts'
import type { IcapEndpoint } from './endpoint.ts'

/** One entry of `scanners.icap` in the configuration. */
export const icapSettings = z.strictObject({
  urls: z
    .array(z.string())
    .min(1)
    .max(64)
    .describe('The service, `icap://10.0.0.5:1344/avscan`; several servers are a pool.'),
  bundle: z
    .boolean()
    .default(false)
    .describe(
      'Small parts of a message are sent together in one tar archive: faster, but only for ' +
        'services that are known to look into archives.',
    ),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .default(10)
    .describe(
      'Connections at once per server and process; fewer where its Max-Connections says so.',
    ),
  deadlineMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(25_000)
    .describe('Milliseconds a scan may take before it counts as `failed` (`slow`).'),
  restMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(5_000)
    .describe('Milliseconds a server rests after a failure.'),
})
export type IcapSettings = z.infer<typeof icapSettings>

const VERSION_DEADLINE_MS = 5_000

/** Throws where a URL can't be understood. `name` is its key in the configuration. */
export async function createIcap(
  name: string,
  settings: IcapSettings,
  others?: SharedMemory,
): Promise<Scanner> {
  const { createIcapEndpoint } = await import('./endpoint.ts')
  const { createVerdictCache } = await import('../verdict-cache.ts')
  const endpoints = new Map<string, IcapEndpoint>()
  for (const url of settings.urls)
    endpoints.set(url, createIcapEndpoint(parseIcapUrl(url), settings.concurrency))
  const endpointOf = (url: string) => endpoints.get(url) as IcapEndpoint
  const pool = createEnginePool(settings.urls, {
    ...settings,
    atMost: url => endpointOf(url).maxConnections(),
  })
  const cache = createVerdictCache(name, others)
  const closing = new AbortController()
  function renewCache(): void {
    const tags = [...endpoints.values()].map(endpoint => endpoint.istag())
    const isShared = !tags.includes('') && pool.states().every(({ up }) => up)
    cache.versionIs(tags.join('\n'), isShared ? [...new Set(tags)].toSorted().join() : undefined)
  }

  async function ask(
    content: Sendable,
    deadline: Deadline,
    outer: AbortSignal,
    probe?: Probe,
  ): Promise<Verdict> {
    const turns = { pool, addresses: settings.urls, deadline, probe, causes: CAUSES }
    const verdict = await askInTurn(turns, async ({ engine, cut }) => {
      const said = await endpointOf(engine.address).scan(content, cut)
      const failed = said.kind === 'failed' && said.failure !== 'limit'
      engine.release(calledOff(outer) ? 'unknown' : failed ? 'failed' : 'answered')
      // Its OPTIONS say nothing of the engine behind it, which may have lost its signatures meanwhile.
      if (said.kind === 'failed' && said.failure === 'down') pool.doubt(engine.address)
      return said
    })
    renewCache()
    return verdict
  }

  async function judge({ content }: Message, outer: AbortSignal, probe?: Probe): Promise<Verdict> {
    using deadline = deadlineOf(settings.deadlineMs, outer, closing.signal)
    const whole = await ask(content, deadline, outer, probe)
    if (isFinal(whole)) return whole
    const memory = probe ? REMEMBERS_NOTHING : cache
    const askLeaf = (leaf: Sendable) => ask(leaf, deadline, outer, probe)
    const leaves = scanLeaves(content, askLeaf, memory, deadline.signal, {
      together: settings.bundle,
      opensRar: async () => {
        const { kind } = await askLeaf(inMemory(rarProbe()))
        return kind === 'failed' ? undefined : kind !== 'clean'
      },
    })
    return graver(whole, await leaves)
  }

  async function version(): Promise<About | undefined> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(VERSION_DEADLINE_MS)])
    const found = await Promise.all(
      [...endpoints].map(async ([url, endpoint]) => {
        const options = await endpoint.look(signal)
        if (!closing.signal.aborted) pool.mark(url, options !== undefined)
        return options
      }),
    )
    renewCache()
    const first = found.find(options => options !== undefined)
    return first && { version: first.service, signatures: first.istag }
  }

  return {
    name,
    deadlineMs: settings.deadlineMs,
    sees: 'viruses',
    scan: async (message, signal, probe) => ({ verdict: await judge(message, signal, probe) }),
    trust(address, passed) {
      if (!passed) cache.distrust()
      pool.trust(address, passed)
    },
    version,
    engines: () => pool.states(),
    async [Symbol.asyncDispose]() {
      closing.abort()
      for (const endpoint of endpoints.values()) endpoint.close()
    },
  }
}

const CAUSES = {
  free: 'no connection was free',
  trusted: 'no server has passed its canary',
}
