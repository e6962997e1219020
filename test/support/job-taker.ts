// A process that takes scan jobs and never ends them: says `taken` on standard output, and waits to be killed.
import { createConsumer } from '../../gateway/queue/consumer.ts'
import { createSeal } from '../../gateway/queue/seal.ts'

const [redis = '', spool = ''] = process.argv.slice(2)
createConsumer({
  ...{ redis, queue: 'scan', concurrency: 50, seal: await createSeal(spool) },
  fault: error => process.stdout.write(`${error}\n`),
  run() {
    process.stdout.write('taken\n')
    return new Promise(() => undefined)
  },
})
