// The command behind `npm run bench`: everybody in turn on the same servers; a table, JSON, and exit 0 if all was right.
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { type Arguments, argumentsOf, type Cell } from './arguments.ts'
import { startBackends } from './backends.ts'
import { openDisk } from './disk.ts'
import { createGuard, type Guard } from './interruption.ts'
import { type Measure, measure } from './measure.ts'
import { missing, type Peer, type PeerName, startPeer } from './peers.ts'
import { type CellMeasures, rowsOf, tableOf, turnsOf } from './report.ts'
import { startTool } from './tool.ts'

const WARM: Cell = { name: 'warm', size: 4096, sessions: 10, perConnection: 'keep' }
/** Characters of a peer's own log, shown when something went wrong. */
const LOG_SHOWN = 2000
const say = (line: string) => process.stdout.write(`${line}\n`)

function there(options: Arguments): PeerName[] {
  return options.peers.filter(name => {
    const reason = missing(name, options)
    if (reason !== undefined) say(`without ${name}: ${reason}`)
    return reason === undefined
  })
}

/** Measures one cell at everybody in turn. */
async function inTurn(
  cell: Cell,
  peers: ReadonlyMap<PeerName, Peer>,
  turns: number,
  once: (name: PeerName, peer: Peer, turn: number) => Promise<Measure>,
): Promise<CellMeasures> {
  const measures: CellMeasures = { cell, peers: new Map() }
  for (const name of peers.keys()) measures.peers.set(name, [])
  for (let turn = 0; turn < turns; turn++)
    for (const [name, peer] of peers) {
      const result = await once(name, peer, turn)
      measures.peers.get(name)?.push(result)
      progress(cell, turn, name, result)
      if (result.wrongs.length > 0 && peer.said() !== '')
        process.stderr.write(`${name} says: ${peer.said().slice(-LOG_SHOWN)}\n`)
    }
  return measures
}

async function bench(options: Arguments, guard: Guard): Promise<CellMeasures[]> {
  await using stack = new AsyncDisposableStack()
  const backends = stack.use(await startBackends(options.clamd))
  const load = stack.use(await startTool('load.ts'))
  const peers = new Map<PeerName, Peer>()
  for (const name of there(options))
    peers.set(name, stack.use(await startPeer(name, backends, options)))
  if (peers.size === 0) throw new Error('nobody is left to be measured')
  const cellInTurn = (cell: Cell, turns: number, seconds: number) =>
    inTurn(cell, peers, turns, (name, peer, turn) => {
      const order = { seconds, messages: options.messages, seed: options.seed + turn }
      return guard(() =>
        measure(peer, cell, { load, backends }, order).catch(error => {
          throw new Error(`${name}, ${cell.name}: ${error}\n${peer.said().slice(-LOG_SHOWN)}`)
        }),
      )
    })
  if (options.warmSeconds > 0) await cellInTurn(WARM, 1, options.warmSeconds)
  const all: CellMeasures[] = []
  for (const cell of options.cells) {
    const measures = await cellInTurn(cell, options.repeat, options.seconds)
    all.push(measures)
    say(`\n${cell.name}  (size:sessions:per connection)\n${tableOf(rowsOf(measures))}\n`)
  }
  return all
}

function progress(cell: Cell, turn: number, name: PeerName, { rate, wrongs }: Measure): void {
  if (!process.stderr.isTTY) return
  const state = wrongs.length === 0 ? '' : ` WRONG ${wrongs.join(', ')}`
  process.stderr.write(`${cell.name} turn ${turn + 1} ${name} ${rate.toFixed(1)}/s${state}\n`)
}

/** Answers whether all was right. */
async function run(options: Arguments): Promise<boolean> {
  const guard = createGuard()
  await using disk = await openDisk(options.disk)
  const cores = availableParallelism()
  const turns = `${options.repeat} turns of ${options.seconds} s each`
  say(`${cores} cores, ${cpus()[0]?.model}, ${turns}, ${disk.lines.join('\n')}`)
  const startedAt = new Date().toISOString()
  const measures = await bench(options, guard)
  const rows = measures.flatMap(rowsOf)
  if (options.json !== undefined) {
    const report = {
      ...{ startedAt, cores, node: process.version, fileSystem: disk.fileSystem },
      ...{ arguments: options, rows, turns: turnsOf(measures) },
    }
    await writeFile(options.json, `${JSON.stringify(report, undefined, 1)}\n`)
  }
  return rows.every(row => row.wrongs.length === 0)
}

const complain = (error: unknown) =>
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)

async function main(): Promise<void> {
  let options: Arguments
  try {
    options = argumentsOf(process.argv.slice(2))
  } catch (error) {
    complain(error)
    process.exitCode = 2
    return
  }
  try {
    const isRight = await run(options)
    say(isRight ? 'right' : 'WRONG')
    process.exitCode = isRight ? 0 : 1
  } catch (error) {
    complain(error)
    process.exitCode = 1
  }
}

await main()
