// The internal mail server's own process: takes everything, and checks and times what it takes.
import net from 'node:net'
import { crc32 } from 'node:zlib'
import { now } from './clock.ts'

/** Forget what came, and look for the messages of this run from now on. */
export type SinkOrder = { run: string } | 'count' | 'report'

/** One message for the recipients of one transaction. */
export type Arrival = {
  sequence: number
  recipients: string[]
  /** The body is what was sent, octet by octet as far as its checksum and length tell. */
  intact: boolean
  infected: boolean
  at: number
}
export type SinkReport = { arrivals: Arrival[]; strange: number }

const END = Buffer.from('\r\n.\r\n')
const BLANK = Buffer.from('\r\n\r\n')
const MARK = /^X-Bench: (\S+) (\d+) ([0-9a-f]+) (\d+) ([01])\r$/im

let run = ''
let arrivals: Arrival[] = []
let strange = 0
/** Recipients that got something. */
let count = 0

type Transaction = {
  recipients: string[]
  head: Buffer
  inBody: boolean
  sum: number
  size: number
}

const fresh = (): Transaction => ({
  ...{ recipients: [], inBody: false, sum: 0, size: 0 },
  head: Buffer.alloc(0),
})

function take(mail: Transaction, octets: Buffer): void {
  let body = octets
  if (!mail.inBody) {
    mail.head = mail.head.length === 0 ? octets : Buffer.concat([mail.head, octets])
    const at = mail.head.indexOf(BLANK)
    if (at < 0) return
    mail.inBody = true
    body = mail.head.subarray(at + BLANK.length)
    mail.head = mail.head.subarray(0, at + 2)
  }
  mail.sum = crc32(body, mail.sum)
  mail.size += body.length
}

function arrived(mail: Transaction): void {
  const [, of, sequence, sum, size, infected] = MARK.exec(mail.head.toString('latin1')) ?? []
  if (of !== run) {
    strange++
    return
  }
  count += mail.recipients.length
  arrivals.push({
    sequence: Number(sequence),
    recipients: mail.recipients,
    intact: sum === mail.sum.toString(16) && Number(size) === mail.size,
    infected: infected === '1',
    at: now(),
  })
}

function answer(line: string, mail: Transaction): string {
  const verb = line.slice(0, 4).toUpperCase()
  if (verb === 'EHLO')
    return '250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n'
  if (verb === 'RCPT') {
    const address = line.slice(line.indexOf('<') + 1, line.indexOf('>'))
    if (address.startsWith('nobody')) return '550 5.1.1 no such user\r\n'
    mail.recipients.push(address)
  }
  if (verb === 'DATA') return '354 go on\r\n'
  if (verb === 'QUIT') return '221 bye\r\n'
  return '250 ok\r\n'
}

function serve(socket: net.Socket): void {
  let mail = fresh()
  let inData = false
  let rest: Buffer = Buffer.alloc(0)
  /** Takes what it can of the octets and answers the replies; the rest waits for more. */
  const commands = (octets: Buffer, from: number): { replies: string; from: number } => {
    let replies = ''
    let at = from
    while (!inData) {
      const end = octets.indexOf(10, at)
      if (end < 0) break
      const line = octets.toString('latin1', at, end).trimEnd()
      at = end + 1
      if (/^(MAIL|RSET|EHLO)/i.test(line)) mail = fresh()
      replies += answer(line, mail)
      inData = line.toUpperCase() === 'DATA'
    }
    return { replies, from: at }
  }
  socket.on('data', (chunk: Buffer) => {
    let octets = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    rest = Buffer.alloc(0)
    let replies = ''
    while (octets.length > 0) {
      if (!inData) {
        const done = commands(octets, 0)
        replies += done.replies
        octets = octets.subarray(done.from)
        if (!inData) break
      }
      const end = octets.indexOf(END)
      if (end < 0) break
      take(mail, octets.subarray(0, end + 2))
      arrived(mail)
      mail = fresh()
      inData = false
      replies += '250 2.0.0 taken\r\n'
      octets = octets.subarray(end + END.length)
    }
    // What may be the beginning of the end is kept.
    const keep = inData ? Math.min(octets.length, END.length - 1) : octets.length
    if (octets.length > keep) take(mail, octets.subarray(0, octets.length - keep))
    if (keep > 0) rest = octets.subarray(octets.length - keep)
    if (replies !== '') socket.write(replies, 'latin1')
  })
  socket.on('end', () => socket.end())
  socket.on('error', () => socket.destroy())
  socket.write('220 sink.test ESMTP\r\n')
}

const server = net.createServer({ noDelay: true }, serve)
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  const address = server.address()
  process.send?.(typeof address === 'object' && address ? address.port : 0)
})
process.on('message', (order: SinkOrder) => {
  if (order === 'count') process.send?.(count)
  else if (order === 'report') process.send?.({ arrivals, strange } satisfies SinkReport)
  else {
    run = order.run
    arrivals = []
    strange = 0
    count = 0
    process.send?.('ready')
  }
})
process.on('disconnect', () => process.exit())
