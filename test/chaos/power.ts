// The command behind `npm run chaos:power`: cuts the power under load, and counts the mail; exit 0 where it is right.
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { temporaryFolder } from '../support/process.ts'
import { createDisk } from './disk.ts'
import { type Cut, cutPower, wrongWith } from './power-cut.ts'

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    clients: { type: 'string', default: '20' },
    /** A disk that never flushes: it loses mail, which the account must see. */
    careless: { type: 'boolean', default: false },
    /** The gateway's log goes into this folder. */
    keep: { type: 'string' },
  },
})

/** Why there can be no such disk here; undefined where there can. */
async function missing(): Promise<string | undefined> {
  await using folder = await temporaryFolder('power')
  try {
    await using disk = await createDisk({ folder: folder.path })
    disk.cut()
    disk.mend()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const say = (text: string) => process.stdout.write(`${text}\n`)

function show(number: number, cut: Cut): void {
  const { scene, afterMs, acknowledgedBefore, custodyAfter, account, settledMs } = cut
  const { acknowledged, arrived, quarantined, lost, twice, excused } = account
  const wrong = wrongWith(cut)
  say(
    `cut ${number} in ${scene} after ${afterMs} ms: ${acknowledgedBefore} acknowledged before, ` +
      `${custodyAfter} messages in custody after; at the end ${acknowledged} acknowledged, ` +
      `${arrived} arrived, ${quarantined} quarantined, ${lost.length} lost, ${twice} copies ` +
      `(${excused} of them had no 250 yet); ` +
      `${settledMs ?? '?'} ms${wrong.length === 0 ? '' : `; WRONG: ${wrong.join('; ')}`}`,
  )
}

async function run(): Promise<number> {
  say(`npm run chaos:power -- --cuts ${values.cuts} --seed ${values.seed}`)
  const why = await missing()
  if (why !== undefined) {
    say(`power cuts: NOT RUN, nothing is proven: ${why}`)
    return 0
  }
  if (values.keep !== undefined) {
    await rm(path.join(values.keep, 'gateway.log'), { force: true })
    await mkdir(values.keep, { recursive: true })
  }
  let number = 0
  const cuts = await cutPower({
    seed: Number(values.seed),
    cuts: Number(values.cuts),
    clients: Number(values.clients),
    careless: values.careless,
    ...(values.keep === undefined ? {} : { keep: values.keep }),
    told: cut => show(++number, cut),
  })
  const sum = (of: (cut: Cut) => number) => cuts.reduce((total, cut) => total + of(cut), 0)
  say(
    `${cuts.length} cuts: ${sum(c => c.acknowledgedBefore)} acknowledged before, ` +
      `${sum(c => c.account.lost.length)} lost, ${sum(c => c.account.twice)} copies, ` +
      `${sum(c => c.account.excused)} of them for transactions that had no 250 yet; ` +
      `of the others ${Math.max(...cuts.map(c => c.account.unexcused.length))} at most in a cut`,
  )
  const right = cuts.every(cut => wrongWith(cut).length === 0)
  say(right ? 'right' : 'WRONG')
  return right ? 0 : 1
}

process.exitCode = await run()
