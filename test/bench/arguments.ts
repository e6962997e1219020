// What `npm run bench` is told on its command line: cells, peers, how often and how long.
import path from 'node:path'
import { parseArgs } from 'node:util'
import { PEERS, type PeerName } from './peers.ts'

/** One load: `size:sessions:perConnection`, as `4096:10:keep`, `51200:50:1` or `mix:10:keep@0.5`. */
export type Cell = {
  name: string
  /** Octets of content of every message, or a mix of them. */
  size: number | 'mix'
  sessions: number
  /** Messages on one connection; `keep` sends all of a session's on one. */
  perConnection: number | 'keep'
  /** The share of the peer's full rate at which messages are due; without it each session sends as fast as it can. */
  pace?: number
}

export type Arguments = {
  cells: Cell[]
  peers: PeerName[]
  /** How often each cell is measured at each peer; medians are reported. */
  repeat: number
  /** How long clients begin messages; what they began is waited for. */
  seconds: number
  /** At most so many are sent in one turn. */
  messages: number
  /** Before the first cell of each peer, so that nobody is measured cold. */
  warmSeconds: number
  seed: number
  /** Merged into our gateway's configuration, key by key. */
  config: { [key: string]: unknown }
  /** Merged into clamd.conf, for everybody. */
  clamd: { [key: string]: unknown }
  /** What `sallyport-other` is: another checkout of us, or this one, with settings of its own. */
  other: { folder: string; config: { [key: string]: unknown } }
  /** `ext4`, or the folder for everything that is measured; where temporary files go by default. */
  disk: string | undefined
  /** Where Exim's packages are unpacked, if it is not installed. */
  exim: string | undefined
  json: string | undefined
}

const CELLS = '4096:10:keep,4096:50:keep,4096:50:1,51200:10:keep,1048576:10:keep'
/** Beyond these a cell measures the tool. */
const MOST = { size: 64 * 2 ** 20, sessions: 500, repeat: 100, seconds: 3600 }

/** Throws an error that says what is wrong with them. */
export function argumentsOf(argv: string[]): Arguments {
  const { values } = parseArgs({
    args: argv,
    options: {
      cells: { type: 'string', default: CELLS },
      peers: { type: 'string', default: 'sallyport,postfix,clamav-milter' },
      repeat: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      messages: { type: 'string', default: '1000000' },
      warm: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      config: { type: 'string', default: '{}' },
      clamd: { type: 'string', default: '{}' },
      other: { type: 'string', default: path.join(import.meta.dirname, '../..') },
      'other-config': { type: 'string', default: '{}' },
      disk: { type: 'string' },
      exim: { type: 'string' },
      json: { type: 'string' },
    },
  })
  return {
    cells: values.cells.split(',').map(cellOf),
    peers: values.peers.split(',').map(peerOf),
    repeat: count('--repeat', values.repeat, MOST.repeat),
    seconds: amount('--seconds', values.seconds),
    messages: count('--messages', values.messages, 1_000_000),
    warmSeconds: amount('--warm', values.warm),
    seed: count('--seed', values.seed, 2 ** 31),
    config: configOf('--config', values.config),
    clamd: configOf('--clamd', values.clamd),
    other: {
      folder: path.resolve(values.other),
      config: configOf('--other-config', values['other-config']),
    },
    disk: values.disk,
    exim: values.exim === undefined ? undefined : path.resolve(values.exim),
    json: values.json,
  }
}

function cellOf(name: string): Cell {
  const [load = '', share, ...rest] = name.split('@')
  const [size = '', sessions = '', per = '', ...more] = load.split(':')
  if (more.length + rest.length > 0 || per === '')
    throw new Error(`a cell is size:sessions:per or size:sessions:per@share, not ${name}`)
  return {
    name,
    size: size === 'mix' ? 'mix' : count(`size in ${name}`, size, MOST.size),
    sessions: count(`sessions in ${name}`, sessions, MOST.sessions),
    perConnection: per === 'keep' ? 'keep' : count(`messages in ${name}`, per, 1_000_000),
    ...(share === undefined ? {} : { pace: paceOf(name, share) }),
  }
}

function paceOf(cell: string, text: string): number {
  const value = Number(text)
  if (!(value >= 0.01 && value <= 2))
    throw new Error(`the share of the full rate in ${cell} is a number from 0.01 to 2`)
  return value
}

function peerOf(name: string): PeerName {
  const known = PEERS.find(peer => peer === name)
  if (known === undefined) throw new Error(`no peer ${name}; there are ${PEERS.join(', ')}`)
  return known
}

function configOf(name: string, text: string): { [key: string]: unknown } {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${name} wants a JSON object`)
  return { ...value }
}

function count(what: string, text: string, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > most)
    throw new Error(`${what} is a whole number from 1 to ${most}, not ${text}`)
  return value
}

function amount(what: string, text: string): number {
  const value = Number(text)
  if (!(value >= 0 && value <= MOST.seconds))
    throw new Error(`${what} is a number of seconds up to ${MOST.seconds}, not ${text}`)
  return value
}
