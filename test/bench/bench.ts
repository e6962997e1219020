// The command behind `npm run bench`: everybody in turn on the same servers; a table, JSON, and exit 0 if all was right.
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { type Arguments, argumentsOf, type Cell } from './arguments.ts'
import { startBackends } from './backends.ts'
import { type Measure, measure } from './measure.ts'
import { missing, type Peer, type PeerName, startPeer } from './peers.ts'
import { type CellMeasures, type Row, rowsOf, tableOf } from './report.ts'
import { startTool } from './tool.ts'

const WARM: Cell = { name: 'warm', size: 4096, sessions: 10, perConnection: 'keep' }
const say = (line: string) => process.stdout.write(`${line}\n`)

function there(names: readonly PeerName[]): PeerName[] {
  return names.filter(name => {
    const reason = missing(name)
    if (reason !== undefined) say(`without ${name}: ${reason}`)
    return reason === undefined
  })
}

async function bench(options: Arguments, interrupted: AbortSignal): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const backends = stack.use(await startBackends())
  const load = stack.use(await startTool('load.ts'))
  const peers = new Map<PeerName, Peer>()
  for (const name of there(options.peers))
    peers.set(name, stack.use(await startPeer(name, backends, options.config)))
  const once = (name: PeerName, peer: Peer, cell: Cell, seconds: number, seed: number) => {
    interrupted.throwIfAborted()
    return measure(peer, cell, { load, backends }, { seconds, seed }).catch(error => {
      throw new Error(`${name}, ${cell.name}: ${error}`, { cause: error })
    })
  }
  if (options.warmSeconds > 0)
    for (const [name, peer] of peers)
      await once(name, peer, WARM, options.warmSeconds, options.seed)
  const rows: Row[] = []
  for (const cell of options.cells) {
    const measures: CellMeasures = { cell, peers: new Map([...peers].map(([name]) => [name, []])) }
    for (let turn = 0; turn < options.repeat; turn++)
      for (const [name, peer] of peers) {
        const result = await once(name, peer, cell, options.seconds, options.seed + turn)
        measures.peers.get(name)?.push(result)
        progress(cell, turn, name, result)
      }
    const found = rowsOf(measures)
    rows.push(...found)
    say(`\n${cell.name}  (size:sessions:per connection)\n${tableOf(found)}\n`)
  }
  return rows
}

function progress(cell: Cell, turn: number, name: PeerName, { rate, wrongs }: Measure): void {
  if (!process.stderr.isTTY) return
  const state = wrongs.length === 0 ? '' : ` WRONG ${wrongs.join(', ')}`
  process.stderr.write(`${cell.name} turn ${turn + 1} ${name} ${rate.toFixed(1)}/s${state}\n`)
}

async function main(): Promise<void> {
  let options: Arguments
  try {
    options = argumentsOf(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 2
    return
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort(new Error(`${signal}: given up`)))
  const cores = availableParallelism()
  say(`${cores} cores, ${cpus()[0]?.model}, ${options.repeat} turns of ${options.seconds} s each`)
  const startedAt = new Date().toISOString()
  const rows = await bench(options, interrupted.signal)
  if (options.json !== undefined) {
    const report = { startedAt, cores, node: process.version, arguments: options, rows }
    await writeFile(options.json, `${JSON.stringify(report, undefined, 1)}\n`)
  }
  const isRight = rows.every(row => row.wrongs.length === 0)
  say(isRight ? 'right' : 'WRONG')
  process.exitCode = isRight ? 0 : 1
}

await main()
