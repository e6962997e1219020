// A real createReceive on free ports with a store in a temporary folder, directories of a list, and a hold as told.
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, configSchema } from '../../gateway/config/schema.ts'
import type { Message } from '../../gateway/message.ts'
import type { Answer, HoldDot, IncomingStore } from '../../gateway/receive/answer.ts'
import { createReceive, type Receive, type ReceiveOptions } from '../../gateway/receive/server.ts'
import { type Reply, reply } from '../../gateway/reply.ts'
import { newId } from '../../gateway/spool/id.ts'
import { createFile } from '../../gateway/spool/new-file.ts'
import type { Directory, Existence } from '../../policies/directory/directory.ts'
import { type RecordedEvents, recordEvents } from './events.ts'
import { temporaryFolder } from './process.ts'

/** `incoming/` and nothing else: what a session sees of the spool. */
export function folderStore(folder: string): IncomingStore {
  const contentPath = (id: string) => path.join(folder, `${id}.eml`)
  return {
    newId,
    contentPath,
    openContent: async id => createFile(contentPath(id)),
    removeContent: id => rm(contentPath(id), { force: true }),
  }
}

/** A store whose disk takes `writeMs` for each write, of a part only as the system may, and counts them in `told`. */
export function slowStore(
  store: IncomingStore,
  writeMs: number,
  told: { writes: number } = { writes: 0 },
): IncomingStore {
  return {
    ...store,
    async openContent(id) {
      const file = await store.openContent(id)
      const write = file.writev.bind(file)
      file.writev = async pieces => {
        told.writes++
        await sleep(writeMs)
        return await write(pieces.length > 1 ? pieces.slice(0, -1) : pieces)
      }
      return file
    },
  }
}

/** Knows the addresses it is told, lower case; `down@…` can't be looked up. */
export function listDirectory(...known: string[]): Directory {
  return {
    name: 'staff',
    async lookup(address) {
      const down = address.startsWith('down@')
      const existence: Existence = known.includes(address.toLowerCase()) ? 'exists' : 'unknown'
      return down
        ? { existence: 'unavailable', cached: false, cause: 'told so' }
        : { existence, cached: false }
    },
    async [Symbol.asyncDispose]() {},
  }
}

export type Held = { message: Message; gone: AbortSignal; fate?: 'heard' | 'unheard'; told: number }

/** Answers every dot with `said`, once `until` is settled, and keeps what it was asked. */
export function recordHold(said: Reply = reply(250, '2.0.0', 'Delivered'), until?: Promise<void>) {
  const held: Held[] = []
  const hold: HoldDot = async (message, gone) => {
    const one: Held = { message, gone, told: 0 }
    held.push(one)
    await until
    const tell = (fate: 'heard' | 'unheard') => async () => {
      one.fate = fate
      one.told++
    }
    return { reply: said, heard: tell('heard'), unheard: tell('unheard') } satisfies Answer
  }
  return { hold, held }
}

type Input = Omit<Parameters<typeof configSchema.parse>[0] & object, never>

/** A whole configuration with one listener on a free port; `changes` replaces top keys. */
export function receiveConfig(changes: Record<string, unknown> = {}): Config {
  const input: Input = {
    hostname: 'mx.test',
    state: '/nonexistent',
    listen: [{ address: '127.0.0.1:0' }],
    maxMessageSize: 2000,
    postmaster: 'admin@example.org',
    domains: {
      'example.org': { nextHop: 'smtp://127.0.0.1:1', directory: 'staff' },
      'open.example': { nextHop: 'smtp://127.0.0.1:1' },
      'münchen.example': { nextHop: 'smtp://127.0.0.1:1' },
    },
    ...changes,
  }
  return { ...configSchema.parse(input), spool: '/nonexistent' }
}

export const STAFF = [
  'user@example.org',
  'admin@example.org',
  '"a b"@example.org',
  '"a@b"@example.org',
  'other@example.org',
]

export type Ground = {
  receive: Receive
  port: number
  events: RecordedEvents
  held: Held[]
  directories: ReadonlyMap<string, Directory>
  folder: string
  /** Names of the files in the store. */
  files(): Promise<string[]>
} & AsyncDisposable

export async function startReceive(
  options: {
    config?: Config
    said?: Reply
    until?: Promise<void>
    change?: (options: ReceiveOptions) => Partial<ReceiveOptions>
  } = {},
): Promise<Ground> {
  const folder = await temporaryFolder('receive')
  const events = recordEvents()
  const { hold, held } = recordHold(options.said, options.until)
  const directories = new Map([['staff', listDirectory(...STAFF)]])
  const base: ReceiveOptions = {
    config: options.config ?? receiveConfig(),
    events,
    store: folderStore(folder.path),
    directories,
    checks: [],
    hold,
    unready: () => undefined,
  }
  const receive = await createReceive({ ...base, ...options.change?.(base) })
  return {
    receive,
    port: receive.listening[0]?.port ?? 0,
    events,
    held,
    directories,
    folder: folder.path,
    files: () => readdir(folder.path),
    async [Symbol.asyncDispose]() {
      await receive[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}
