// `npm run bench:scan`: what one message's scan costs, reader and clamd, beside clamd on the message as it is.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { clamdConfig } from '../../gateway/embedded/clamd-config.ts'
import type { Message } from '../../gateway/message.ts'
import { clamavSettings, createClamav } from '../../scanners/clamav/clamav.ts'
import { createClamd } from '../../scanners/clamav/clamd.ts'
import { attachment, plainMessage, zip } from '../support/eicar.ts'
import { type Folder, temporaryFolder } from '../support/process.ts'
import { type Clamd, type ClamdOverrides, startClamd } from '../support/servers/clamd.ts'
import { envelopeOf } from '../unit/scanners/fixtures.ts'
import { writeSignatures } from './backends.ts'
import { median, ratio } from './statistics.ts'

const TICK_MS = 10
const KIB = 1024
const LARGEST_BYTES = 50 * KIB * KIB

type Cost = { clamd: number; ours: number }
type Shape = { count: number; make(): Buffer }

const LETTERS = 'abcdefghijklmnopqrstuvwxyz      '

/** Random words, so that no two messages are the same. */
function prose(bytes: number): string {
  const letters = randomBytes(bytes).toString('latin1')
  const words = letters.replace(/[\s\S]/g, letter => LETTERS[letter.charCodeAt(0) % 32] ?? ' ')
  return words.replace(/(.{60,70}) /g, '$1\r\n')
}

const pdf = (bytes: number): Buffer =>
  Buffer.concat([Buffer.from('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n', 'latin1'), randomBytes(bytes)])
const markup = (bytes: number): string =>
  `<html><body><p>${prose(bytes).replaceAll('\r\n', '</p>\r\n<p style="margin: 0">')}</p></body></html>`

/** Plain and HTML text of a usual letter. */
const letter = (): Buffer =>
  Buffer.from(
    [
      'From: Alice <alice@sender.test>',
      'Subject: A letter',
      'MIME-Version: 1.0',
      'Content-Type: multipart/alternative; boundary="=_alt"',
      '',
      '--=_alt',
      'Content-Type: text/plain; charset=utf-8',
      '',
      prose(4 * KIB),
      '--=_alt',
      'Content-Type: text/html; charset=utf-8',
      '',
      markup(12 * KIB),
      '--=_alt--',
      '',
    ].join('\r\n'),
    'latin1',
  )

/** `count`: messages in one turn, so that a turn takes some hundred milliseconds. */
const SHAPES: Record<string, Shape> = {
  'text 4 KB': { count: 300, make: () => plainMessage({ body: prose(4 * KIB - 250) }) },
  'plain + HTML 20 KB': { count: 100, make: letter },
  'attachment 50 KB': { count: 60, make: () => attachment({}, 'a.bin', randomBytes(36 * KIB)) },
  'PDF 1 MB': { count: 10, make: () => attachment({}, 'a.pdf', pdf(766 * KIB)) },
  'octets 1 MB': { count: 10, make: () => attachment({}, 'a.bin', randomBytes(766 * KIB)) },
  'zip 10 MB': {
    count: 2,
    make: () => attachment({}, 'a.zip', zip('a.bin', randomBytes(10 * KIB * KIB))),
  },
}

/** clamd as the gateway's own would be set up, with the benchmark's signatures. */
async function startEngine(folder: Folder, more: ClamdOverrides): Promise<Clamd> {
  await writeSignatures(path.join(folder.path, 'signatures'))
  const where = { folder: folder.path, socket: '-', database: '-' }
  const lines = clamdConfig({ ...where, maxMessageSizeBytes: LARGEST_BYTES }).split('\n')
  const pairs = lines.filter(line => /^[A-Z]/.test(line)).map(line => line.split(' '))
  const settings = Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]))
  for (const name of ['LocalSocket', 'DatabaseDirectory', 'TemporaryDirectory'])
    delete settings[name]
  return startClamd({ folder: folder.path, config: { ...settings, ...more } })
}

/** proc(5): utime and stime. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

type Scan = (message: Message) => Promise<{ kind: string }>

async function costOf(scan: Scan, messages: Message[], clamd: Clamd, atOnce: number) {
  const engineBefore = cpuMsOf(clamd.pid())
  const before = process.cpuUsage()
  let next = 0
  const worker = async (): Promise<void> => {
    for (let message = messages[next++]; message; message = messages[next++]) {
      const { kind } = await scan(message)
      if (kind !== 'clean') throw new Error(`a clean message is called ${kind}`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const { user, system } = process.cpuUsage(before)
  return {
    clamd: (cpuMsOf(clamd.pid()) - engineBefore) / messages.length,
    ours: (user + system) / 1000 / messages.length,
  }
}

async function writeMessages({ count, make }: Shape, folder: Folder): Promise<Message[]> {
  const messages: Message[] = []
  for (let i = 0; i < count; i++) {
    const content = make()
    const file = path.join(folder.path, `${i}.eml`)
    await writeFile(file, content)
    const sizeBytes = content.length
    messages.push({ envelope: envelopeOf({ sizeBytes }), content: { path: file, sizeBytes } })
  }
  return messages
}

const sum = ({ clamd, ours }: Cost): number => clamd + ours
const show = (costs: Cost[]): string =>
  [sum, ({ clamd }: Cost) => clamd, ({ ours }: Cost) => ours]
    .map(of => median(costs.map(of)).toFixed(2).padStart(9))
    .join('')

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      repeat: { type: 'string', default: '7' },
      only: { type: 'string', default: '' },
      'at-once': { type: 'string', default: '4' },
      clamd: { type: 'string', default: '{}' },
    },
  })
  await using folder = await temporaryFolder('bench-scan')
  await using clamd = await startEngine(folder, JSON.parse(values.clamd))
  const atOnce = Number(values['at-once'])
  const settings = clamavSettings.parse({ addresses: [clamd.unix], deadlineMs: 60_000 })
  await using scanner = await createClamav(settings)
  const alone = await createClamd(clamd.unix)
  const patient = new AbortController().signal
  const raw: Scan = async ({ content }) => (await alone.scan(content, patient)).verdict
  const ours: Scan = async message => (await scanner.scan(message, patient)).verdict
  console.log('CPU ms a message          clamd on the message: all  clamd  ours')
  console.log('                          as a mail program opens it: all  clamd  ours  ratio')
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (!name.includes(values.only)) continue
    const costs: { raw: Cost[]; ours: Cost[] } = { raw: [], ours: [] }
    for (let turn = 0; turn <= Number(values.repeat); turn++) {
      // Each side its own: clamd remembers what it called clean, so that the second would cost nothing.
      const turnRaw = await costOf(raw, await writeMessages(shape, folder), clamd, atOnce)
      const turnOurs = await costOf(ours, await writeMessages(shape, folder), clamd, atOnce)
      // The first is the warming.
      if (turn > 0) costs.raw.push(turnRaw)
      if (turn > 0) costs.ours.push(turnOurs)
    }
    const times = ratio(costs.ours.map(sum), costs.raw.map(sum))
    console.log(`${name.padEnd(20)}${show(costs.raw)} |${show(costs.ours)}  x${times.toFixed(2)}`)
  }
}

await main()
