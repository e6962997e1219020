// What is done to the spool's file system.
import { chmod, open, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { start } from '../support/process.ts'
import { type Doing, type Faults, lasts } from './fault.ts'

/** Outcomes that could not be written are tried again each second. */
const STILL_WRITING_MS = 3000

/** While nothing can be written, outcomes wait in memory: for a while after, a kill takes more with it than usual. */
async function unwritable({ record }: Doing, harm: () => Promise<void>): Promise<void> {
  const span = { from: Date.now(), to: Number.POSITIVE_INFINITY }
  record.outages.push(span)
  await harm()
  span.to = Date.now() + STILL_WRITING_MS
}

export const spoolFaults: Faults = {
  'spool-slow': {
    of: 'spool',
    async run(doing) {
      const { stage, random, record } = doing
      const pids = stage.gateways.flatMap(gateway => gateway.workers())
      if (pids.length === 0) return 'there was nobody to slow down'
      const delayMs = random.between(10, 200)
      const span = { from: Date.now(), to: Number.POSITIVE_INFINITY }
      record.outages.push(span)
      await using tracer = await slowed(pids, delayMs)
      await lasts(doing, 6000)
      await tracer.stop()
      span.to = Date.now() + STILL_WRITING_MS
      return `${delayMs} ms`
    },
  },
  'spool-full': {
    of: 'spool',
    async run(doing) {
      if (!doing.stage.mounted) return 'not possible without a file system of its own'
      const filler = path.join(doing.stage.spool, 'filler')
      await unwritable(doing, async () => {
        await fill(filler)
        await lasts(doing)
        await rm(filler)
      })
      return undefined
    },
  },
  'spool-read-only': {
    of: 'spool',
    async run(doing) {
      const carried = path.join(doing.stage.spool, 'unanswered')
      const folders = ['incoming', 'queued', 'unanswered']
      for (const name of await readdir(carried)) folders.push(`unanswered/${name}`)
      const change = async (mode: number) => {
        for (const name of folders) await chmod(path.join(doing.stage.spool, name), mode)
      }
      await unwritable(doing, async () => {
        await change(0o550)
        await lasts(doing)
        await change(0o750)
      })
      return undefined
    },
  },
}

/** What waits for the disk where the disk is slow. */
const WAITING = 'fsync,fdatasync,rename,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat'

/** Each of these calls takes longer, for whatever thread of these processes and of those they fork. */
function slowed(pids: readonly number[], delayMs: number) {
  const what = ['-e', `trace=${WAITING}`, '-e', `inject=${WAITING}:delay_enter=${delayMs * 1000}`]
  const whom = pids.flatMap(pid => ['-p', String(pid)])
  return start('strace', ['-f', '-qq', '-o', '/dev/null', ...what, ...whom])
}

/** To the last octet. */
async function fill(place: string): Promise<void> {
  const file = await open(place, 'w')
  try {
    for (let size = 1 << 20; size >= 512; ) {
      try {
        const { bytesWritten } = await file.write(Buffer.alloc(size))
        if (bytesWritten < size) size >>= 1
      } catch {
        size >>= 1
      }
    }
  } finally {
    await file.close()
  }
}
