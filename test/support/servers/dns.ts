// A small DNS server over UDP that answers TXT, MX, A, AAAA and PTR from a table, and counts what it was asked.
import dgram from 'node:dgram'
import { freePort } from '../process.ts'

/** `example.org` → its records; `mx` as `10 mail.example.org`. `servfail` answers RCODE 2, `silent` nothing. */
export type Zone = Record<
  string,
  | { txt?: string[]; mx?: string[]; a?: string[]; aaaa?: string[]; ptr?: string[] }
  | 'servfail'
  | 'silent'
>

export type TestDns = {
  /** `127.0.0.1:PORT`. */
  address: string
  port: number
  /** `TXT example.org`, as asked, in order. */
  asked: string[]
  /** Replaces the table. */
  serve(zone: Zone): void
} & AsyncDisposable

const TYPES = { 1: 'a', 12: 'ptr', 15: 'mx', 16: 'txt', 28: 'aaaa' } as const
const RCODE = { ok: 0, servfail: 2, nxdomain: 3 }

const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .filter(label => label !== '')
      .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])

function decodeName(packet: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = []
  let at = from
  for (let length = packet[at] ?? 0; length > 0 && at < packet.length; length = packet[at] ?? 0) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 }
}

/** RFC 1035 §3.3 and §3.4, RFC 3596 §2.2. */
function rdata(type: string, value: string): Buffer {
  if (type === 'a') return Buffer.from(value.split('.').map(Number))
  if (type === 'ptr') return encodeName(value)
  if (type === 'mx') {
    const [preference = '10', exchange = ''] = value.split(' ')
    return Buffer.concat([Buffer.from([0, Number(preference)]), encodeName(exchange)])
  }
  if (type === 'txt') {
    const octets = Buffer.from(value, 'utf8')
    const parts: Buffer[] = []
    for (let at = 0; at < octets.length || at === 0; at += 255) {
      const part = octets.subarray(at, at + 255)
      parts.push(Buffer.from([part.length]), part)
    }
    return Buffer.concat(parts)
  }
  const [head = '', tail = ''] = value.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const gap = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array(value.includes('::') ? gap : 0).fill('0'), ...groups(tail)]
  return Buffer.from(all.flatMap(g => [Number.parseInt(g, 16) >> 8, Number.parseInt(g, 16) & 255]))
}

/** The answer to one question; undefined where there is to be none. */
function answer(query: Buffer, zone: Zone, asked: string[]): Buffer | undefined {
  const { name, end } = decodeName(query, 12)
  const type = TYPES[query.readUInt16BE(end) as keyof typeof TYPES]
  asked.push(`${type?.toUpperCase() ?? query.readUInt16BE(end)} ${name}`)
  const entry = zone[name]
  if (entry === 'silent') return undefined
  const values = typeof entry === 'object' && type !== undefined ? (entry[type] ?? []) : []
  const rcode =
    entry === 'servfail' ? RCODE.servfail : entry === undefined ? RCODE.nxdomain : RCODE.ok
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  // QR, AA, RD and RA (RFC 1035 §4.1.1).
  header.writeUInt16BE(0x8580 | rcode, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(values.length, 6)
  const records = values.map(value => {
    const data = rdata(type ?? '', value)
    const fixed = Buffer.alloc(12)
    fixed.writeUInt16BE(0xc00c, 0)
    query.copy(fixed, 2, end, end + 4)
    fixed.writeUInt32BE(60, 6)
    fixed.writeUInt16BE(data.length, 10)
    return Buffer.concat([fixed, data])
  })
  return Buffer.concat([header, query.subarray(12, end + 4), ...records])
}

/** Listens on 127.0.0.1. Names of the table are lower case; what is not in it is NXDOMAIN. */
export async function startDns(table: Zone = {}): Promise<TestDns> {
  const port = await freePort()
  const asked: string[] = []
  let zone = table
  const socket = dgram.createSocket('udp4')
  socket.on('message', (query, from) => {
    const reply = answer(query, zone, asked)
    if (reply) socket.send(reply, from.port, from.address)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, '127.0.0.1', () => resolve())
  })
  return {
    address: `127.0.0.1:${port}`,
    port,
    asked,
    serve: next => {
      zone = next
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => socket.close(() => resolve()))
    },
  }
}
