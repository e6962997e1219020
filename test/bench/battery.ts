// `npm run bench -- --battery`: how much of the battery we, plain clamd and amavis catch, and how much harmless mail passes.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createClamd } from '../../scanners/clamav/clamd.ts'
import { sendMail } from '../support/client.ts'
import { EICAR } from '../support/eicar.ts'
import { startGateway } from '../support/gateway.ts'
import { temporaryFolder } from '../support/process.ts'
import { startClamd } from '../support/servers/clamd.ts'
import { type NextHop, startNextHop } from '../support/servers/next-hop.ts'
import { HARMLESS, type Variant, variants } from '../unit/scanners/mime/variants.ts'
import { amavisMissing, startAmavis } from './amavis.ts'

const DOMAIN = 'example.org'
const TO = `bob@${DOMAIN}`
const say = (line: string) => process.stdout.write(`${line}\n`)

/** Whether a message gets to the inside. */
type Passes = (content: Buffer) => Promise<boolean>
type Tally = { caught: number; twins: number; usual: number; missed: string[]; lost: string[] }

async function tally(passes: Passes): Promise<Tally> {
  const result: Tally = { caught: 0, twins: 0, usual: 0, missed: [], lost: [] }
  for (const { name, build, isLegitimate } of variants) {
    if (await passes(build(EICAR))) result.missed.push(name)
    else result.caught++
    const isDelivered = await passes(build(HARMLESS))
    if (isDelivered) result.twins++
    if (isDelivered && isLegitimate) result.usual++
    if (!isDelivered && isLegitimate) result.lost.push(name)
  }
  return result
}

function bySmtp(port: number, inside: NextHop): Passes {
  return async content => {
    const before = inside.received.length
    await sendMail({ port, from: 'alice@sender.test', to: [TO], content })
    return inside.received.length > before
  }
}

const percent = (part: number, of: number): string => `${((100 * part) / of).toFixed(1)} %`

function report(who: string, { caught, twins, usual, missed, lost }: Tally, all: Variant[]): void {
  const legitimate = all.filter(each => each.isLegitimate).length
  say(
    `| ${who} | ${caught} of ${all.length} (${percent(caught, all.length)}) | ` +
      `${usual} of ${legitimate} (${percent(usual, legitimate)}) | ${twins} of ${all.length} |`,
  )
  if (process.argv.includes('--names')) {
    say(`  missed: ${missed.join(', ')}`)
    say(`  usual shapes not delivered: ${lost.join(', ')}`)
  }
}

await using stack = new AsyncDisposableStack()
const clamd = stack.use(await startClamd())
const inside = stack.use(await startNextHop())
const folder = stack.use(await temporaryFolder('battery'))
say('| who | caught | harmless twins of usual shapes delivered | all twins delivered |')
say('|---|---|---|---|')

const recipients = path.join(folder.path, 'recipients.txt')
await writeFile(recipients, `${TO}\n`)
const gateway = stack.use(
  await startGateway({
    config: {
      redis: 'embedded',
      domains: { [DOMAIN]: { nextHop: `smtp://127.0.0.1:${inside.port}`, directory: 'people' } },
      directory: { people: { file: recipients } },
      scanners: { clamav: { addresses: [clamd.unix] } },
      limits: { exempt: ['127.0.0.0/8'] },
    },
  }),
)
report('Sallyport', await tally(bySmtp(gateway.port, inside)), variants)

const alone = await createClamd(clamd.unix)
const file = path.join(folder.path, 'message.eml')
const byClamd: Passes = async content => {
  await writeFile(file, content)
  const asked = alone.scan({ path: file, sizeBytes: content.length }, AbortSignal.timeout(30_000))
  return (await asked).verdict.kind === 'clean'
}
report('clamd on the message', await tally(byClamd), variants)

const missing = amavisMissing()
if (missing !== undefined) say(`without amavis: ${missing}`)
else {
  const amavis = stack.use(
    await startAmavis({
      ...{ clamd: clamd.socket, next: inside.port, domain: DOMAIN, servers: 2 },
      infected: 'D_REJECT',
    }),
  )
  report('amavis with the same clamd', await tally(bySmtp(amavis.port, inside)), variants)
}
