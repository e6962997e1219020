// Gives replies that smtp-server words itself their enhanced code (RFC 3463) and a fixed reason for the metrics.
import { type Reply, replyText } from '../reply.ts'

export type Described = { enhanced: string; reason: string; words: string }

/** 421 is said for many reasons, which only the library's words tell apart. */
const CLOSING: [RegExp, string, string, string][] = [
  [/^Timeout/, '4.4.2', 'idle', 'Idle for too long'],
  [/shutting down/, '4.3.2', 'stopping', 'Service closing, try again later'],
  [/talk too soon/, '4.7.0', 'early-talker', 'You talk too soon'],
  [/HTTP/, '4.7.0', 'http', 'This is not HTTP'],
  [/too long/, '4.5.2', 'line-too-long', 'Line too long'],
]

const BY_CONTEXT: Record<string, string> = {
  MAIL_FROM_OK: '2.1.0',
  RCPT_TO_OK: '2.1.5',
  DATA_OK: '2.6.0',
  MESSAGE_TOO_BIG: '5.3.4',
  NOT_AUTHORIZED: '5.7.0',
}

const BY_CODE: Record<number, [enhanced: string, reason: string]> = {
  451: ['4.3.0', 'fault'],
  452: ['4.3.1', 'storage'],
  500: ['5.5.1', 'unrecognized'],
  501: ['5.5.4', 'syntax'],
  502: ['5.5.1', 'unrecognized'],
  503: ['5.5.1', 'sequence'],
  504: ['5.5.4', 'syntax'],
  552: ['5.3.4', 'size'],
}

export function describeReply(code: number, text: string, context?: string | false): Described {
  const words = text.replace(/^Error: /, '').replace(/^./, first => first.toUpperCase())
  if (code === 421) {
    const found = CLOSING.find(([pattern]) => pattern.test(text))
    if (found) return { enhanced: found[1], reason: found[2], words: found[3] }
    return { enhanced: '4.3.0', reason: 'other', words }
  }
  const [byCode, reason] = BY_CODE[code] ?? [`${String(code).charAt(0)}.0.0`, 'other']
  const byContext = typeof context === 'string' ? BY_CONTEXT[context] : undefined
  return { enhanced: byContext ?? byCode, reason, words }
}

/** Whether a reply's text begins with an enhanced code of the reply's class: then it is ours. */
export const isComplete = (code: number, text: string): boolean =>
  /^[245]\.\d{1,3}\.\d{1,3} /.test(text) && text.charAt(0) === String(code).charAt(0)

const TEXT_OCTETS = 400

/** One line of printable ASCII, bounded (RFC 5321 §4.5.3.1.5), the id last. */
export const printable = (text: string, id?: string): string =>
  text.replace(/[^ -~]/g, '?').slice(0, TEXT_OCTETS) + (id === undefined ? '' : ` [${id}]`)

/** A reply as the error that smtp-server's callbacks want. */
export const failure = (said: Reply): Error & { responseCode: number } =>
  Object.assign(new Error(replyText(said)), { responseCode: said.code })
