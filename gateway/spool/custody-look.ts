// A look into `queued/` for the ledger: which messages are in custody, and for how many recipients. Changes nothing.
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Envelope } from '../message.ts'
import { statIfThere, textIfThere } from './disk.ts'
import { isId } from './id.ts'

export type Seen = { id: string; recipients: number; since: number }

/** Envelopes never change, so each is read once for as long as it is there. */
export function createCustodyLook(queued: string): () => Promise<Seen[]> {
  let known = new Map<string, Seen>()
  return async () => {
    const now = new Map<string, Seen>()
    for (const name of await readdir(queued)) {
      const id = name.endsWith('.json') ? name.slice(0, -5) : ''
      const seen = isId(id)
        ? (known.get(id) ?? (await read(path.join(queued, name), id)))
        : undefined
      if (seen) now.set(id, seen)
    }
    known = now
    return [...now.values()]
  }
}

async function read(file: string, id: string): Promise<Seen | undefined> {
  const text = textIfThere(file)
  const modified = statIfThere(file)
  if (text === undefined || !modified) return undefined
  try {
    const { envelope } = JSON.parse(text) as { envelope: Envelope }
    return { id, recipients: envelope.recipients.length, since: modified.mtimeMs }
  } catch {
    // The sweep will put it into `corrupt/`.
    return undefined
  }
}
