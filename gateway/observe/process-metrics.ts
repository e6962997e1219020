// Memory, CPU, file descriptors and event loop of one process, labelled by its role.
import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Registry } from 'prom-client'
import { declarations } from './instruments.ts'

const LOOP_RESOLUTION_MS = 20

/**
 * prom-client's own default metrics are not used: several break the naming rules (gauges ending in `_total`), and
 * they sum over processes what can't be summed.
 */
export function watchProcess(registry: Registry, role: string) {
  const { gauge, counter } = declarations(registry)
  const processes = gauge('processes', 'Processes running.', ['role'], 'sum')
  const started = gauge(
    'process_start_time_seconds',
    'When the oldest process started, since the epoch.',
    ['role'],
    'min',
  )
  const resident = gauge('process_resident_memory_bytes', 'Resident memory.', ['role'], 'sum')
  const heap = gauge('process_heap_used_bytes', 'V8 heap in use.', ['role'], 'sum')
  const external = gauge('process_external_memory_bytes', 'Buffers beside it.', ['role'], 'sum')
  const descriptors = gauge('process_open_fds', 'Open file descriptors.', ['role'], 'sum')
  const cpu = counter('process_cpu_seconds_total', 'CPU time used.', ['role', 'mode'])
  const lag = gauge(
    'event_loop_lag_seconds',
    'Delay of the event loop since the last look, the worst of all processes.',
    ['role', 'statistic'],
    'max',
  )
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  delay.enable()
  let before = process.cpuUsage()
  processes.set({ role }, 1)
  started.set({ role }, Date.now() / 1000 - process.uptime())

  const overResolution = (nanoseconds: number) =>
    Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1000) : 0

  return {
    async collect() {
      const memory = process.memoryUsage()
      resident.set({ role }, memory.rss)
      heap.set({ role }, memory.heapUsed)
      external.set({ role }, memory.external)
      const now = process.cpuUsage()
      cpu.inc({ role, mode: 'user' }, Math.max(0, now.user - before.user) / 1e6)
      cpu.inc({ role, mode: 'system' }, Math.max(0, now.system - before.system) / 1e6)
      before = now
      lag.set({ role, statistic: 'mean' }, overResolution(delay.mean))
      lag.set({ role, statistic: 'p99' }, overResolution(delay.percentile(99)))
      lag.set({ role, statistic: 'max' }, overResolution(delay.max))
      delay.reset()
      descriptors.set({ role }, (await readdir('/proc/self/fd').catch(() => [])).length)
    },
    [Symbol.dispose]: () => void delay.disable(),
  }
}
