// What a worker process runs; told `compile`, it only loads what workers load, so that they find it compiled, and ends.
import { runWorker } from './worker.ts'

if (process.argv[2] === 'compile') {
  await Promise.all([
    import('./receive-worker.ts'),
    import('./work-worker.ts'),
    import('../../scanners/clamav/clamd.ts'),
    import('../../scanners/verdict-cache.ts'),
  ])
  // Written at the exit: stripped of its types, so that no worker has to carry what strips them.
  process.exit(0)
}
await runWorker()
