// What the gateway's processes hold at rest, under many large messages (`--memory`), and after many small (`--flat N`).
import { chmodSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { temporaryFolder } from '../support/process.ts'
import type { Cell } from './arguments.ts'
import { startBackends } from './backends.ts'
import { openDisk } from './disk.ts'
import { flat } from './flat.ts'
import { type Bench, mib, partNamed, say, stateOf, tell } from './gateway-state.ts'
import { createGuard } from './interruption.ts'
import { measure } from './measure.ts'
import { startPeer } from './peers.ts'
import { watchMemory } from './processes.ts'
import { startTool } from './tool.ts'

/** All processes together at 50 messages of 20 MB at once. */
const MOST_MIB = 250
const SETTLE_MS = 3000
const SAMPLE_MS = 50
const LARGE: Cell = { name: 'large', size: 20_000_000, sessions: 50, perConnection: 1 }

/** What comes into custody because a scan took too long is tried again while we wait. */
const CONFIG = { retry: { first: '5s' } }

/** Answers what was wrong. */
async function large(bench: Bench, repeat: number): Promise<string[]> {
  const wrongs: string[] = []
  for (let turn = 0; turn < repeat; turn++) {
    await sleep(SETTLE_MS)
    tell('at rest', await stateOf(bench, false))
    using memory = watchMemory(partNamed(bench.peer, 'gateway'), SAMPLE_MS)
    const { load, backends } = bench
    const order = { seconds: 600, messages: LARGE.sessions, seed: turn + 1 }
    const result = await measure(bench.peer, LARGE, { load, backends }, order)
    const peak = memory.peak()
    const cpu = result.cpuMs.gateway ?? 0
    say(
      `${LARGE.sessions} x ${mib(Number(LARGE.size))} MiB at once`.padEnd(26) +
        ` PSS ${peak.toFixed(0).padStart(4)} MiB at most: ${memory.each().map(Math.round).join(' | ')};` +
        ` ${result.messages} arrived,` +
        ` ${result.rate.toFixed(1)}/s, ${cpu.toFixed(0)} ms of CPU each`,
    )
    for (const wrong of result.wrongs) say(wrong)
    wrongs.push(...result.wrongs)
    if (peak > MOST_MIB) wrongs.push(`${peak.toFixed(0)} MiB are more than ${MOST_MIB}`)
  }
  await sleep(SETTLE_MS)
  tell('at rest again', await stateOf(bench, false))
  tell('collected', await stateOf(bench, true))
  return wrongs
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      memory: { type: 'boolean' },
      flat: { type: 'string' },
      repeat: { type: 'string', default: '2' },
      config: { type: 'string', default: '{}' },
      command: { type: 'string' },
      disk: { type: 'string' },
    },
  })
  const messages = Number(values.flat ?? 1)
  if (!(Number.isInteger(messages) && messages > 0))
    throw new Error(`--flat is a number of messages, not ${values.flat}`)
  const guard = createGuard()
  await using stack = new AsyncDisposableStack()
  const disk = stack.use(await openDisk(values.disk))
  for (const line of disk.lines) say(line)
  const probes = stack.use(await temporaryFolder('bench-probe')).path
  // They run as somebody else where we are root.
  chmodSync(probes, 0o777)
  const env = {
    NODE_OPTIONS: `--expose-gc --import ${path.join(import.meta.dirname, 'probe.ts')}`,
    SALLYPORT_BENCH_PROBE: probes,
  }
  const backends = stack.use(await startBackends())
  const load = stack.use(await startTool('load.ts'))
  const other = { folder: path.resolve(values.command ?? '.'), config: {} }
  const peer = stack.use(
    await startPeer('sallyport-other', backends, {
      ...{
        config: { ...CONFIG, ...(JSON.parse(values.config) as object) },
        other,
        env,
        exim: undefined,
      },
    }),
  )
  const bench: Bench = { peer, load, backends, probes }
  const wrongs = await guard(() =>
    values.flat === undefined ? large(bench, Number(values.repeat)) : flat(bench, messages),
  )
  if (wrongs.length > 0) say(peer.said().slice(-2000))
  say(wrongs.length === 0 ? 'right' : `WRONG: ${wrongs.join('; ')}`)
  process.exitCode = wrongs.length === 0 ? 0 : 1
}

await main().catch(error => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
