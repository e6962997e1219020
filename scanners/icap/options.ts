// Asks an ICAP service what it wants (RFC 3507 §4.10): methods, preview, connections, and its signatures' version.
import { type IcapConnection, type IcapService, NotUnderstood } from './connection.ts'
import type { Method } from './exchange.ts'
import { type IcapReply, readIcapReply } from './reply.ts'

/** Octets of a preview; content up to this length needs one round trip. */
const PREVIEW_BYTES = 65_536
/** Seconds options are believed; the service may ask for less. */
const TTL_SECONDS = { least: 10, default: 60, most: 3_600 }

export type IcapOptions = {
  method: Method
  preview: number | undefined
  maxConnections: number | undefined
  /** Empty where it has none. */
  istag: string
  service: string
  expiresAt: number
}

/** Rejects with `NotUnderstood`, or `Over`, or where the service is none for us. */
export async function askOptions(
  connection: IcapConnection,
  service: IcapService,
): Promise<IcapOptions> {
  const host = service.host.includes(':') ? `[${service.host}]` : service.host
  connection.socket.write(
    `OPTIONS ${service.uri} ICAP/1.0\r\nHost: ${host}:${service.port}\r\n` +
      'User-Agent: Sallyport\r\n\r\n',
  )
  const reply = await readIcapReply(connection)
  if (reply.hasBody) connection.socket.destroy()
  return readOptions(reply)
}

export function readOptions({ status, fields }: Pick<IcapReply, 'status' | 'fields'>): IcapOptions {
  if (status !== 200 && status !== 204) throw new NotUnderstood(`OPTIONS: replied ${status}`)
  const methods = (fields.get('methods') ?? '').toUpperCase().split(/[,\s]+/)
  const method = (['RESPMOD', 'REQMOD'] as const).find(name => methods.includes(name))
  if (method === undefined) throw new NotUnderstood('OPTIONS: it knows no method that we do')
  const preview = numberIn(fields.get('preview'))
  const ttl = numberIn(fields.get('options-ttl')) ?? TTL_SECONDS.default
  const seconds = Math.min(TTL_SECONDS.most, Math.max(TTL_SECONDS.least, ttl))
  const connections = numberIn(fields.get('max-connections'))
  return {
    method,
    preview: preview === undefined ? undefined : Math.min(preview, PREVIEW_BYTES),
    maxConnections: connections === undefined || connections === 0 ? undefined : connections,
    istag: printable(fields.get('istag') ?? '').replaceAll('"', ''),
    service: printable(fields.get('service') ?? fields.get('server') ?? 'ICAP'),
    expiresAt: Date.now() + seconds * 1000,
  }
}

const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 100)
