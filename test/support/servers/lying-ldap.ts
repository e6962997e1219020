// An LDAP server that says whatever octets a test gives it: for what a real one can't be made to do.
import net from 'node:net'
import { freePort } from '../process.ts'

const tlv = (tag: number, ...contents: Buffer[]): Buffer => {
  const value = Buffer.concat(contents)
  const length = Buffer.from([0x82, value.length >> 8, value.length & 0xff])
  return Buffer.concat([Buffer.from([tag]), length, value])
}
const integer = (n: number) => Buffer.from([0x02, 0x01, n])
const enumerated = (n: number) => Buffer.from([0x0a, 0x01, n])
const octets = (text: string) => tlv(0x04, Buffer.from(text))

/** RFC 4511 §4: what a server may say to a search, in octets. */
export const say = {
  entry: (id: number) => tlv(0x30, integer(id), tlv(0x64, octets('cn=x'), tlv(0x30))),
  reference: (id: number, uri: string) => tlv(0x30, integer(id), tlv(0x73, octets(uri))),
  done: (id: number, code = 0) =>
    tlv(0x30, integer(id), tlv(0x65, enumerated(code), octets(''), octets(''))),
  bound: (id: number, code = 0) =>
    tlv(0x30, integer(id), tlv(0x61, enumerated(code), octets(''), octets(''))),
}

/** `base` is true for a search of the base object alone. */
export type Asked = { id: number; base: boolean; socket: net.Socket }

export type LyingLdap = { port: number; url: string; connections: number } & AsyncDisposable

/** Calls `answer` for each search request; `accepted` may end a connection before. */
export async function startLyingLdap(
  answer: (asked: Asked) => void,
  accepted: (socket: net.Socket) => void = () => {},
): Promise<LyingLdap> {
  const port = await freePort()
  const open = new Set<net.Socket>()
  const server = net.createServer(socket => {
    lying.connections++
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    accepted(socket)
    socket.on('data', data => {
      const search = readSearch(data)
      if (search) answer({ ...search, socket })
    })
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const lying: LyingLdap = {
    port,
    url: `ldap://127.0.0.1:${port}`,
    connections: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return lying
}

/** Enough of BER for one request a segment: message id, and the scope after the base DN. */
function readSearch(data: Buffer): { id: number; base: boolean } | undefined {
  let at = 0
  const header = () => {
    const tag = data[at++]
    let length = data[at++] ?? 0
    for (let more = length > 0x80 ? length - 0x80 : 0, first = true; more > 0; more--) {
      length = (first ? 0 : length << 8) | (data[at++] ?? 0)
      first = false
    }
    return { tag, length }
  }
  header()
  const idLength = header().length
  const id = data.readUIntBE(at, idLength)
  at += idLength
  if (header().tag !== 0x63) return undefined
  const dn = header().length
  at += dn
  return { id, base: data[at + 2] === 0 }
}
