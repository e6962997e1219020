// Preloaded into the gateway's processes by the bench: on SIGUSR2, writes what the heap holds after a collection.
import { renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isMainThread } from 'node:worker_threads'

export type Heap = {
  /** Bytes of live objects. */
  usedBytes: number
  totalBytes: number
  /** Buffers and what else lies outside the heap but belongs to it. */
  externalBytes: number
}

/** Where each process writes `<pid>.json`. */
const folder = process.env.SALLYPORT_BENCH_PROBE

if (isMainThread && folder !== undefined)
  process.on('SIGUSR2', () => {
    // What finalizers let go in the first is collected by the second.
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, heapTotal, external } = process.memoryUsage()
    const heap: Heap = { usedBytes: heapUsed, totalBytes: heapTotal, externalBytes: external }
    const file = path.join(folder, `${process.pid}.json`)
    writeFileSync(`${file}.new`, JSON.stringify(heap))
    renameSync(`${file}.new`, file)
  })
