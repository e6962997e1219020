// One question to an ICAP service on one connection: is there something in this? Sends and listens at the same time.
import { createHash } from 'node:crypto'
import { piecesOf, type Sendable } from '../content.ts'
import type { Verdict } from '../scanner.ts'
import { type IcapConnection, type IcapService, NotUnderstood, Over } from './connection.ts'
import { type Digest, type IcapReply, readIcapBody, readIcapReply } from './reply.ts'
import { judgeIcapReply, threatIn } from './verdict.ts'

export type Method = 'REQMOD' | 'RESPMOD'

/** `preview`: octets the service wants to see first; undefined for none. */
export type Question = { service: IcapService; method: Method; preview: number | undefined }

export type Answer = {
  verdict: Verdict
  /** The connection can take another question. */
  reusable: boolean
  /** The version of the service's signatures (RFC 3507 §4.7). */
  istag: string | undefined
  /** It wants no more than the preview: it has not seen the rest, so this is no verdict. */
  declined: boolean
}

const SITE = 'sallyport.invalid'
const EMPTY_LINE = '\r\n'

/** Rejects with `NotUnderstood` or `Over`, or with another error where the content can't be read. */
export async function askIcap(
  connection: IcapConnection,
  content: Sendable,
  question: Question,
): Promise<Answer> {
  const { socket } = connection
  const fits = question.preview !== undefined && content.sizeBytes <= question.preview
  socket.write(headOf(content, question))
  let sentBytes = 0
  if (question.preview !== undefined && !fits) {
    await sendPreview(connection, content, question.preview)
    const reply = await readIcapReply(connection)
    // RFC 3507 §4.5: without 100 Continue it does not want the rest.
    if (reply.status !== 100) return withoutRest(reply)
    sentBytes = question.preview
  }
  const listening = listen(connection, content, question.method)
  const settled = listening.then(
    () => undefined,
    () => undefined,
  )
  const complete = await send(connection, content, sentBytes, fits, settled).catch(
    async (error: unknown) => {
      socket.destroy()
      await settled
      throw error
    },
  )
  const { reply, same, wholeRead, early } = await listening
  const isComplete = complete && !early
  return {
    verdict: judgeIcapReply(reply, { same, complete: isComplete }),
    reusable: isComplete && wholeRead && !/\bclose\b/i.test(reply.fields.get('connection') ?? ''),
    istag: reply.fields.get('istag'),
    declined: false,
  }
}

function withoutRest(reply: IcapReply): Answer {
  const verdict = judgeIcapReply(reply, { same: false, complete: false })
  return {
    ...{ verdict, reusable: false, istag: reply.fields.get('istag') },
    declined: reply.status === 204 && threatIn(reply) === undefined,
  }
}

/** Names, and all else, are ours: nothing of the message stands outside the body. */
function headOf(content: Sendable, { service, method, preview }: Question): string {
  const isMessage = 'path' in content
  const name = isMessage ? 'message.eml' : 'part'
  const entity =
    `Content-Type: ${isMessage ? 'message/rfc822' : 'application/octet-stream'}\r\n` +
    `Content-Length: ${content.sizeBytes}\r\n\r\n`
  const target = `http://${SITE}/${name} HTTP/1.1\r\nHost: ${SITE}\r\n`
  const request = method === 'REQMOD' ? `POST ${target}${entity}` : `GET ${target}\r\n`
  const response = method === 'REQMOD' ? '' : `HTTP/1.1 200 OK\r\n${entity}`
  const encapsulated =
    method === 'REQMOD'
      ? `req-hdr=0, req-body=${request.length}`
      : `req-hdr=0, res-hdr=${request.length}, res-body=${request.length + response.length}`
  const fields = [
    `${method} ${service.uri} ICAP/1.0`,
    `Host: ${service.host.includes(':') ? `[${service.host}]` : service.host}:${service.port}`,
    'User-Agent: Sallyport',
    // RFC 3507 §4.6: it may say "nothing to change" instead of sending all of it back.
    'Allow: 204',
    ...(preview === undefined ? [] : [`Preview: ${Math.min(preview, content.sizeBytes)}`]),
    `Encapsulated: ${encapsulated}`,
  ]
  return `${fields.join('\r\n')}\r\n\r\n${request}${response}`
}

async function sendPreview(
  { socket }: IcapConnection,
  content: Sendable,
  previewBytes: number,
): Promise<void> {
  let left = previewBytes
  for await (const piece of piecesOf(content)) {
    if (left === 0) break
    const part = piece.subarray(0, left)
    left -= part.length
    writeChunk(socket, part)
  }
  if (left > 0) throw new Error('the content is shorter than it was')
  socket.write(`0${EMPTY_LINE}${EMPTY_LINE}`)
}

type Writable = IcapConnection['socket']

function writeChunk(socket: Writable, piece: Buffer): void {
  if (piece.length === 0) return
  socket.cork()
  socket.write(`${piece.length.toString(16)}\r\n`)
  socket.write(piece)
  socket.write(EMPTY_LINE)
  socket.uncork()
}

/** True when all from `sentBytes` on was sent; false when `settled` came before. */
async function send(
  { socket }: IcapConnection,
  content: Sendable,
  sentBytes: number,
  fits: boolean,
  settled: Promise<void>,
): Promise<boolean> {
  let isSettled = false
  void settled.then(() => {
    isSettled = true
  })
  let total = 0
  for await (const piece of piecesOf(content)) {
    const skipped = Math.min(piece.length, Math.max(0, sentBytes - total))
    total += piece.length
    writeChunk(socket, piece.subarray(skipped))
    if (socket.writableNeedDrain) await Promise.race([drained(socket), settled])
    // A turn of the loop, so that a reply that came too early is seen.
    else await new Promise(resolve => setImmediate(resolve))
    if (isSettled) return false
  }
  if (total !== content.sizeBytes)
    throw new Error(`it has ${total} octets instead of ${content.sizeBytes}`)
  // RFC 3507 §4.5: `ieof` says that the preview was all there is.
  socket.write(fits ? '0; ieof\r\n\r\n' : '0\r\n\r\n')
  return true
}

function drained(socket: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
    if (socket.destroyed) done()
  })
}

/** `early`: what we had written was not all on its way yet. */
type Heard = { reply: IcapReply; same: boolean; wholeRead: boolean; early: boolean }

/** Listens while we still send: a server may send back what it gets before it has all of it. */
async function listen(
  connection: IcapConnection,
  content: Sendable,
  method: Method,
): Promise<Heard> {
  const reply = await readIcapReply(connection)
  const { socket } = connection
  if (reply.status === 100) throw new NotUnderstood('it wants more than there is')
  const isAnswer = reply.status === 200 && threatIn(reply) === undefined
  let early = socket.writableLength > 0
  let same = false
  let wholeRead = !reply.hasBody
  const kind = method === 'REQMOD' ? 'request' : 'response'
  if (isAnswer && reply.hasBody && reply.carried?.kind === kind) {
    const body = await readIcapBody(connection, content.sizeBytes)
    early = socket.writableLength > 0
    wholeRead = body !== undefined
    same = body !== undefined && (await isSame(body, content))
  }
  return { reply, same, wholeRead, early }
}

async function isSame(body: Digest, content: Sendable): Promise<boolean> {
  if (body.sizeBytes !== content.sizeBytes) return false
  const hash = createHash('sha256')
  for await (const piece of piecesOf(content)) hash.update(piece)
  return hash.digest('hex') === body.sha256
}

/** What an error of `askIcap` means. */
export function failureOf(error: unknown): Verdict {
  const cause = error instanceof Error ? error.message.slice(0, 120) : 'unknown'
  if (error instanceof Over) return { kind: 'failed', failure: 'down', cause }
  if (error instanceof NotUnderstood) return { kind: 'failed', failure: 'garbled', cause }
  return { kind: 'failed', failure: 'garbled', cause: `cannot read content: ${cause}` }
}
