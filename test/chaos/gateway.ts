// The gateway of a run: started, killed and started again on the same state, its log in a file.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { type GatewayConfig, type Samples, samplesOf } from '../support/gateway.ts'
import { type Running, start, until } from '../support/process.ts'
import { endNow, livingIn, treeOf } from '../support/process-tree.ts'

/** SIGTERM to exit takes 30 seconds at most; a loaded machine gets a little more. */
const STOP_MS = 35_000
/** Until then Node.js runs no line of ours, and a signal ends it before it has begun anything. */
const BOOT_MS = 1000
const ENDED_BY_SIGNAL = 128
const COMMAND = path.join(import.meta.dirname, '..', '..', 'gateway', 'sallyport')

export type ChaosGateway = {
  name: string
  /** Where its journal and its quarantine lie. */
  state: string
  /** Its workers' process ids. */
  workers(): number[]
  /** Octets of memory that all its processes have, what they share counted once. */
  memoryBytes(): number
  /** Whether it runs. */
  up(): boolean
  start(change?: Partial<GatewayConfig>): Promise<void>
  /** SIGKILL to all of its processes at once. */
  kill(): Promise<void>
  /** SIGTERM; answers the exit code, or undefined where it had to be killed. */
  stop(): Promise<number | undefined>
  /** SIGHUP with this text as its configuration, and then the right one again. */
  reload(text: string): Promise<void>
  ready(timeoutMs: number): Promise<void>
  /** Why /health/ready says no; undefined where it says yes. */
  unready(): Promise<string | undefined>
  metrics(): Promise<Samples>
  log(): Promise<string>
}

/** `roles` are those of `sallyport run --roles`; all of them by default. `name` names its files. */
export function createGateway(
  folder: string,
  first: GatewayConfig,
  http: string,
  { name = 'gateway', roles = 'receive,scan,relay' } = {},
): ChaosGateway {
  const file = path.join(folder, `${name}.yaml`)
  const log = path.join(folder, `${name}.log`)
  let config = first
  let running: Running | undefined
  let startedAt = 0
  const gone = (server: Running) => {
    if (running === server) running = undefined
  }
  const gateway: ChaosGateway = {
    name,
    state: first.state,
    workers: () => (running ? treeOf(running.pid).slice(1) : []),
    memoryBytes: () =>
      running ? treeOf(running.pid).reduce((sum, pid) => sum + pssOf(pid), 0) : 0,
    up: () => running !== undefined,
    async start(change = {}) {
      config = { ...config, ...change }
      await writeFile(file, stringify(config))
      const server = await start(
        '/bin/sh',
        ['-c', 'exec "$0" run --config "$1" --roles "$2" >>"$3" 2>&1', COMMAND, file, roles, log],
        { env: { ...process.env, SALLYPORT_TEST_STATE: first.state } },
      )
      running = server
      startedAt = Date.now()
      void server.ended.then(() => gone(server))
    },
    async kill() {
      if (!running) return
      const { pid, ended } = running
      endNow([...treeOf(pid), ...livingIn(first.state)])
      await ended
    },
    async stop() {
      if (!running) return 0
      const server = running
      const young = Date.now() - startedAt < BOOT_MS
      server.signal('SIGTERM')
      const code = await Promise.race([server.ended, sleep(STOP_MS, undefined, { ref: false })])
      if (code === undefined) await gateway.kill()
      return young && code === ENDED_BY_SIGNAL ? 0 : code
    },
    async reload(text) {
      await writeFile(file, text)
      running?.signal('SIGHUP')
      await sleep(300)
      await writeFile(file, stringify(config))
    },
    async unready() {
      const said = await fetch(`http://${http}/health/ready`, {
        signal: AbortSignal.timeout(5000),
      }).catch((error: Error) => error)
      if (said instanceof Error) return said.message
      return said.status === 200 ? undefined : said.text()
    },
    async ready(timeoutMs) {
      let why: string | undefined
      const asked = async () => {
        why = await gateway.unready()
        return why === undefined
      }
      await until('the gateway to be ready', asked, timeoutMs).catch((error: Error) => {
        throw new Error(`${error.message}; it says ${why}`)
      })
    },
    metrics: async () => samplesOf(await (await fetch(`http://${http}/metrics`)).text()),
    log: () => readFile(log, 'utf8').catch(() => ''),
  }
  return gateway
}

/** Its proportional set size; 0 once it is gone. */
function pssOf(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** A file system of its own for the spool; undefined where we may not mount one. */
export function mountTmpfs(place: string, sizeMiB: number): { unmount(): void } | undefined {
  const options = `size=${sizeMiB}m,mode=0755`
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place])
  if (mounted.status !== 0) return undefined
  return { unmount: () => void spawnSync('umount', ['-l', place]) }
}
