// The command behind `npm run chaos:overload`: what too many clients do to us; exit 0 where that is what should be.
import { parseArgs } from 'node:util'
import { overload } from './overload-run.ts'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '30' },
    idle: { type: 'string', default: '10000' },
    slow: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
})

const number = (name: keyof typeof values) => Number(values[name])
const options = {
  clients: number('clients'),
  seconds: number('seconds'),
  idle: number('idle'),
  slow: number('slow'),
  seed: number('seed'),
}
const { rush, crowd, faults } = await overload(options)
const { unanswered, ...rest } = rush
const lines: [string, unknown][] = [
  ...Object.entries(rest),
  ['without an answer', unanswered.length],
  ['crowd', { idle: crowd.idle, slow: crowd.slow, memoryBytes: crowd.memoryBytes }],
  ['through in ms', crowd.sentMs.map(Math.round)],
  ['wrong', faults],
]
for (const [name, value] of lines)
  process.stdout.write(`${`${name}:`.padEnd(20)} ${JSON.stringify(value)}\n`)
process.exitCode = faults.length === 0 ? 0 : 1
