// What is done to the gateway's own processes.

import { type Doing, type Faults, lasts } from './fault.ts'
import type { ChaosGateway } from './gateway.ts'

/** Killed or stopped in this span, a process may not have written down what it heard shortly before. */
async function disturbing<T>({ record }: Doing, harm: () => Promise<T>): Promise<T> {
  const outage = record.outages.at(-1)
  const from = outage === undefined || outage.to < Date.now() ? Date.now() : outage.from
  const span = { from, to: Number.POSITIVE_INFINITY }
  record.disturbances.push(span)
  try {
    return await harm()
  } finally {
    span.to = Date.now()
  }
}

const someGateway = ({ stage, random }: Doing): ChaosGateway => random.pick(stage.gateways)

export const gatewayFaults: Faults = {
  'worker-kill': {
    of: 'gateway',
    run: doing =>
      disturbing(doing, async () => {
        const workers = someGateway(doing).workers()
        if (workers.length === 0) return 'there was none'
        process.kill(doing.random.pick(workers), 'SIGKILL')
        return undefined
      }),
  },
  'gateway-kill': {
    of: 'gateway',
    async run(doing) {
      const gateway = someGateway(doing)
      await disturbing(doing, () => gateway.kill())
      await lasts(doing, 1500)
      if (!isGone(doing, gateway)) await gateway.start()
      return gateway.name
    },
  },
  restart: {
    of: 'gateway',
    async run(doing) {
      const { random, record } = doing
      const gateway = someGateway(doing)
      const startedAt = Date.now()
      const code = await disturbing(doing, () => gateway.stop())
      const tookMs = Date.now() - startedAt
      if (code !== 0) record.violations.push(`SIGTERM: exit ${code ?? 'never'} after ${tookMs} ms`)
      const hold = { seconds: random.between(2, 8) }
      if (!isGone(doing, gateway)) await gateway.start({ hold })
      return `${gateway.name}, ${tookMs} ms`
    },
  },
  'broken-reload': {
    of: 'gateway',
    async run(doing) {
      await someGateway(doing).reload('hostname: [\nno: configuration\n')
      return undefined
    },
  },
}

/** For good, and maybe while it was being started again. */
const isGone = ({ stage }: Doing, gateway: ChaosGateway): boolean =>
  !stage.gateways.includes(gateway)

/** Kills one of several for good: the others finish its mail. */
export async function endOne(doing: Doing): Promise<string> {
  const { gateways } = doing.stage
  const gateway = gateways[doing.random.between(0, gateways.length - 1)]
  if (!gateway) throw new Error('there is none')
  gateways.splice(gateways.indexOf(gateway), 1)
  await disturbing(doing, () => gateway.kill())
  return gateway.name
}
