// Starts the real command `sallyport run` on a configuration of the test's own, and looks at it from outside only.
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { configSchema } from '../../gateway/config/schema.ts'
import { freePort, type Running, start, temporaryFolder, until } from './process.ts'
import { endNow, livingIn, treeOf } from './process-tree.ts'

export type GatewayConfig = z.input<typeof configSchema>
export type LogLine = { event?: string; id?: string; level?: string | number } & Record<
  string,
  unknown
>
/** The sum of the samples of a name that carry all these labels; 0 where there is none. */
export type Samples = (name: string, labels?: Record<string, string>) => number

export type Gateway = {
  /** The first listener's. */
  port: number
  /** `http://127.0.0.1:PORT`. */
  http: string
  /** The configuration file, and the folder it names as `state`. */
  configFile: string
  state: string
  spool: string
  pid(): number
  /** Every process below it, itself included. */
  pids(): number[]
  output(): string
  log(event?: string): LogLine[]
  metrics(): Promise<Samples>
  health(kind: 'live' | 'ready'): Promise<{ status: number; text: string }>
  /** Names of the files in one of the spool's folders, without temporary ones. */
  spooled(folder: 'incoming' | 'queued' | 'corrupt'): Promise<string[]>
  signal(name: NodeJS.Signals): void
  /** SIGTERM; answers the exit code. Rejects after 40 s. */
  stop(): Promise<number>
  /** SIGKILL to it and all below it at once, as a power cut would. */
  kill(): Promise<void>
  /** Starts it again, on the same state; by default it must have ended before. */
  restart(change?: Partial<GatewayConfig>): Promise<void>
  /** Resolves when /health/ready says 200. */
  ready(timeoutMs?: number): Promise<void>
} & AsyncDisposable

const SAMPLE = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)/

export function samplesOf(text: string): Samples {
  const samples = text.split('\n').flatMap(line => {
    const match = SAMPLE.exec(line)
    return match ? [{ name: match[1], labels: match[2] ?? '', value: Number(match[3]) }] : []
  })
  return (name, labels = {}) =>
    samples
      .filter(sample => sample.name === name)
      .filter(sample =>
        Object.entries(labels).every(([k, v]) => `,${sample.labels}`.includes(`,${k}="${v}"`)),
      )
      .reduce((sum, sample) => sum + sample.value, 0)
}

export type GatewayOptions = {
  /** Replaces ours key by key; what a gateway needs and the test doesn't care about is filled in. */
  config: Partial<GatewayConfig> & Pick<GatewayConfig, 'domains'>
  /** Wait for /health/ready (the default), or only for the process. */
  waitReady?: boolean
  /** Where everything of it lies; a temporary folder by default. */
  folder?: string
  env?: NodeJS.ProcessEnv
  /** The program; that of this checkout by default. */
  command?: string
  /** Of `sallyport run --roles`; all of them by default. */
  roles?: string
}

/** Started again so often, a worker will not come up. */
const WORKER_ENDS = 4
const COMMAND = path.join(import.meta.dirname, '..', '..', 'gateway', 'sallyport')

/** Starts it, with one plain listener on 127.0.0.1 unless the configuration says more. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const temporary = options.folder === undefined ? await temporaryFolder('gw') : undefined
  const folder = options.folder ?? temporary?.path ?? ''
  const state = options.config.state ?? path.join(folder, 'state')
  await mkdir(state, { recursive: true, mode: 0o755 })
  const configFile = path.join(folder, 'sallyport.yaml')
  let config: GatewayConfig = {
    hostname: 'mx.test',
    state,
    listen: [{ address: `127.0.0.1:${await freePort()}` }],
    postmaster: 'postmaster@example.org',
    http: { address: `127.0.0.1:${await freePort()}` },
    ...options.config,
  }
  const http = `http://${config.http?.address ?? '127.0.0.1:9090'}`
  const spool = config.spool ?? path.join(state, 'spool')
  let earlier = ''
  let over: number | undefined
  let running: Running
  const output = () => earlier + running.output()
  const health = async (kind: 'live' | 'ready') => {
    const response = await fetch(`${http}/health/${kind}`, { signal: AbortSignal.timeout(5000) })
    return { status: response.status, text: await response.text() }
  }
  const workerEnds = () => output().split('"cause":"ended with ').length - 1
  const ready = async (timeoutMs = 60_000) => {
    let last = ''
    const probe = async () => {
      if (over !== undefined)
        throw new Error(`sallyport ended with ${over}:\n${output().slice(-4000)}`)
      if (workerEnds() > WORKER_ENDS)
        throw new Error(`workers keep ending:\n${output().slice(0, 4000)}`)
      const said = await health('ready').catch((error: Error) => ({
        status: 0,
        text: String(error),
      }))
      last = said.text
      return said.status === 200
    }
    await until('sallyport to be ready', probe, timeoutMs).catch((error: Error) => {
      throw new Error(`${error.message}; it says ${last}\n${output().slice(-4000)}`)
    })
  }
  const launch = async () => {
    await writeFile(configFile, stringify(config))
    over = undefined
    const roles = options.roles === undefined ? [] : ['--roles', options.roles]
    running = await start(options.command ?? COMMAND, ['run', '--config', configFile, ...roles], {
      env: { ...process.env, ...options.env, SALLYPORT_TEST_STATE: state },
    })
    void running.ended.then(code => {
      over = code
    })
  }
  const kill = async () => {
    endNow([...treeOf(running.pid), ...livingIn(state)])
    await running.ended
  }
  await launch()
  const gateway: Gateway = {
    port: Number(config.listen[0]?.address.split(':').at(-1)),
    http,
    configFile,
    state,
    spool,
    pid: () => running.pid,
    pids: () => treeOf(running.pid),
    output,
    log: event =>
      output()
        .split('\n')
        .flatMap(line => (line.startsWith('{') ? parsed(line) : []))
        .filter(line => event === undefined || line.event === event),
    async metrics() {
      return samplesOf(await (await fetch(`${http}/metrics`)).text())
    },
    health,
    async spooled(name) {
      const names = await readdir(path.join(spool, name)).catch(() => [] as string[])
      return names.filter(file => /^m[0-9a-z]+(-dsn\d+)?\.[a-z]+$/.test(file)).sort()
    },
    signal: name => running.signal(name),
    async stop() {
      running.signal('SIGTERM')
      await until('sallyport to end after SIGTERM', () => over !== undefined, 40_000)
      return running.ended
    },
    kill,
    async restart(change = {}) {
      if (over === undefined) throw new Error('sallyport still runs')
      earlier = output()
      config = { ...config, ...change }
      await launch()
      await ready()
    },
    ready,
    async [Symbol.asyncDispose]() {
      if (over === undefined) {
        running.signal('SIGTERM')
        await until('the end', () => over !== undefined, 15_000).catch(() => {})
      }
      if (over === undefined) await kill()
      endNow(livingIn(state))
      await temporary?.[Symbol.asyncDispose]()
    },
  }
  if (options.waitReady === false) return gateway
  try {
    await ready()
    return gateway
  } catch (error) {
    await gateway[Symbol.asyncDispose]()
    throw error
  }
}

function parsed(line: string): LogLine[] {
  try {
    return [JSON.parse(line) as LogLine]
  } catch {
    return []
  }
}
