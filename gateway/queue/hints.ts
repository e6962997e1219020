// Short messages between processes over Redis pub/sub: hints to look at the spool. A lost one costs time, never mail.
import type { Config } from '../config/schema.ts'
import type { Hint } from './jobs.ts'
import { connectRedis, PREFIX } from './redis.ts'
import type { Seal } from './seal.ts'

const channelOf = (name: string) => `${PREFIX}:hint:${name}`
/** Every sweep listens here for ids that came into custody or were deferred. */
const CUSTODY = channelOf('custody')

/** Sweeps look twice a second: ids for them are told together, so many at most. */
const GATHER_MS = 25
const MOST_GATHERED = 100

export type Hints = {
  /** This process's own address, for `replyTo`. */
  address: string
  /** Hears hints about a message until the returned function is called. */
  listen(id: string, heard: (hint: Hint) => void): () => void
  /** Tells the process that holds the dot. */
  tell(replyTo: string, hint: Hint): void
  /** Tells the sweeps to look at a message in custody now. */
  tellSweep(id: string): void
  /** Hears what `tellSweep` says, from any process. */
  listenAsSweep(heard: (id: string) => void): void
} & Disposable

export function createHints(setting: Config['redis'], address: string, seal: Seal): Hints {
  const publisher = connectRedis(setting, 'ask')
  const subscriber = connectRedis(setting, 'wait')
  const listeners = new Map<string, (hint: Hint) => void>()
  let sweep: ((id: string) => void) | undefined
  const own = channelOf(address)

  subscriber.subscribe(own).catch(() => undefined)
  subscriber.on('message', (channel: string, sealed: string) => {
    const text = seal.open(channel, sealed)
    if (text === undefined) return
    if (channel === CUSTODY) for (const id of text.split(' ')) sweep?.(id)
    else if (channel === own) {
      const hint = JSON.parse(text) as Hint
      listeners.get(hint.id)?.(hint)
    }
  })

  const publish = (channel: string, text: string) => {
    publisher.publish(channel, seal.close(channel, text)).catch(() => undefined)
  }

  let gathered: string[] = []
  const tellGathered = () => {
    if (gathered.length > 0) publish(CUSTODY, gathered.join(' '))
    gathered = []
  }

  return {
    address,
    listen(id, heard) {
      listeners.set(id, heard)
      return () => void listeners.delete(id)
    },
    tell: (replyTo, hint) => publish(channelOf(replyTo), JSON.stringify(hint)),
    tellSweep(id) {
      if (gathered.push(id) === 1) setTimeout(tellGathered, GATHER_MS)
      else if (gathered.length >= MOST_GATHERED) tellGathered()
    },
    listenAsSweep(heard) {
      sweep = heard
      subscriber.subscribe(CUSTODY).catch(() => undefined)
    },
    [Symbol.dispose]() {
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}
