// The command behind `npm run chaos`: one run as told, and its account on standard output; exit 0 where it is right.
import { cp, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { FAULTS } from './faults.ts'
import { type Outcome, run } from './run.ts'
import { LAYOUTS } from './stage.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'string', default: Object.keys(FAULTS).join() },
    layout: { type: 'string', default: 'one' },
    clients: { type: 'string', default: '20' },
    /** Milliseconds between two faults, at most. */
    pause: { type: 'string', default: '1500' },
    /** Copies spool, quarantine, journal and log there before they are removed. */
    keep: { type: 'string' },
  },
})

function show({ account, record, settledMs, ledger, right }: Outcome): void {
  const { lost, unexcused, altered, infectedInside, refusedYetArrived, ...counts } = account
  const faults: { [name: string]: number } = {}
  for (const { name } of record.faults) faults[name] = (faults[name] ?? 0) + 1
  const lines: [string, unknown][] = [
    ['faults', faults],
    ['told', record.told],
    ['account', counts],
    ['ledger', ledger],
    ['settled', settledMs === undefined ? 'never' : `${settledMs} ms after the last fault`],
    ['lost', lost],
    ['twice without excuse', unexcused],
    ['altered', altered],
    ['infected inside', infectedInside],
    ['refused, yet arrived', refusedYetArrived],
    ['violations', record.violations],
  ]
  for (const [name, value] of lines)
    process.stdout.write(`${`${name}:`.padEnd(22)} ${JSON.stringify(value)}\n`)
  process.stdout.write(right ? 'right\n' : 'WRONG\n')
}

const faults = values.faults.split(',').filter(name => name !== 'none')
const strange = faults.find(name => !(name in FAULTS))
const layout = LAYOUTS.find(name => name === values.layout)
if (layout === undefined) {
  process.stderr.write(`no layout ${values.layout}; there are ${LAYOUTS.join(', ')}\n`)
  process.exitCode = 2
} else if (strange !== undefined) {
  process.stderr.write(`no fault ${strange}; there are ${Object.keys(FAULTS).join(', ')}\n`)
  process.exitCode = 2
} else {
  const repeat = `--seconds ${values.seconds} --seed ${values.seed} --faults ${values.faults}`
  process.stdout.write(
    `npm run chaos -- ${repeat} --layout ${layout} --clients ${values.clients} --pause ${values.pause}\n`,
  )
  const outcome = await run({
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    faults: faults.length === 0 ? [] : faults,
    layout,
    clients: Number(values.clients),
    longestPauseMs: Number(values.pause),
    patient: Number(values.seconds) > 120,
    async look(stage, record) {
      if (values.keep === undefined) return
      await cp(stage.folder, values.keep, { recursive: true })
      const kept = [...record.kept].map(([number, { recipients, ...rest }]) => ({
        ...{ number, ...rest },
        recipients: Object.fromEntries(recipients),
      }))
      const text = JSON.stringify({ ...record, kept }, undefined, 1)
      await writeFile(path.join(values.keep, 'record.json'), text)
    },
  })
  show(outcome)
  process.exitCode = outcome.right ? 0 : 1
}
