// Seals what goes through Redis with a key that lies in the spool: whoever else can write to Redis forges no job.
import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, open, readFile } from 'node:fs/promises'
import path from 'node:path'
import { syncPath, unlinkIfThere } from '../spool/disk.ts'

export type Seal = {
  /** `purpose` keeps what is meant for one queue from being taken by another. */
  close(purpose: string, text: string): string
  /** The text, or undefined where it was not sealed by one of us for this purpose. */
  open(purpose: string, sealed: unknown): string | undefined
}

const KEY_FILE = 'queue.key'
const KEY = /^[0-9a-f]{64}\n$/

/** Every process on one spool shares its key; the first one makes it. Rejects where it is not a key of ours. */
export async function createSeal(spool: string): Promise<Seal> {
  const file = path.join(spool, KEY_FILE)
  const text = (await readFile(file, 'utf8').catch(() => undefined)) ?? (await makeKey(spool, file))
  if (!KEY.test(text)) throw new Error(`${file} is not a key: remove it, and a new one is made`)
  // A key object: with the octets themselves, each HMAC would make one first, at five times its own cost.
  const key = createSecretKey(text.trim(), 'hex')
  const sign = (purpose: string, content: string) =>
    createHmac('sha256', key).update(`${purpose}\0${content}`).digest('base64url')
  return {
    close: (purpose, content) => `${sign(purpose, content)}.${content}`,
    open(purpose, sealed) {
      if (typeof sealed !== 'string') return undefined
      const dot = sealed.indexOf('.')
      const content = sealed.slice(dot + 1)
      const [given, right] = [sealed.slice(0, Math.max(0, dot)), sign(purpose, content)]
      const same =
        given.length === right.length && timingSafeEqual(Buffer.from(given), Buffer.from(right))
      return same ? content : undefined
    },
  }
}

/** Linked into place whole: of several that start at once the first wins, and all read the same. */
async function makeKey(spool: string, file: string): Promise<string> {
  const aside = `${file}.${randomBytes(6).toString('hex')}`
  await using handle = await open(aside, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(32).toString('hex')}\n`)
    await handle.sync()
    await link(aside, file).catch(error => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    unlinkIfThere(aside)
  }
  await syncPath(spool)
  return readFile(file, 'utf8')
}
