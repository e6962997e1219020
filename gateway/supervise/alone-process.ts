// The process in which mail is tried alone: one message at a time, from the scanners to the next hop, until nobody asks.
import { once } from 'node:events'
import { createWorkerMetrics } from '../observe/metrics-worker.ts'
import { nextStop } from '../spool/sweep.ts'
import { type House, makeRelay, makeScan, openHouse } from './house.ts'
import { observe } from './instance.ts'
import { type FromAlone, isToAlone, type Start } from './messages.ts'

const tell = (message: FromAlone): void => {
  process.send?.(message, undefined, undefined, () => undefined)
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.once('disconnect', () => process.exit(0))

const [start] = (await once(process, 'message')) as [Start]
const observed = observe(start.config, start.instance, 'alone')
const metrics = createWorkerMetrics(observed.metrics)
const house = await openHouse(start.config, observed.events, true)
const tryOne = await createTry(house)
process.on('message', async (message: unknown) => {
  if (!isToAlone(message)) return
  const { id } = message
  await tryOne(id).catch(error => observed.events.fault({ where: 'alone', error, id }))
  await metrics.push()
  tell({ sallyport: 'tried', id })
})
tell({ sallyport: 'started' })

async function createTry(house: House): Promise<(id: string) => Promise<void>> {
  const { spool, live } = house
  const relay = await makeRelay(house)
  const scan = await makeScan(house, relay.run)
  return async id => {
    const envelope = await spool.envelope(id)
    if (!envelope) return
    const log = await spool.log(id)
    const job = { envelope, attempt: log.attempt }
    if (nextStop(envelope, log, live.config) === 'scan') {
      await scan.canary.look(scan.scanners())
      await scan.run(job)
    } else await relay.run({ ...job, plan: log.plan ?? { recipients: [] } })
  }
}
