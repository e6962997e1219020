// What spamd's reply to SYMBOLS means. Only a whole, well-formed reply with a score is a verdict.
import type { FailureKind, Verdict } from './scanner.ts'

const SYMBOLS_LIMIT = 100
const SYMBOL = /^[A-Za-z0-9_.-]{1,64}$/
const STATUS = /^SPAMD\/\d+\.\d+ (\d{1,3}) ([\x20-\x7e]{1,60})$/
const SPAM = /^Spam: (?:True|False) ; (-?\d{1,7}(?:\.\d{1,4})?) \/ -?\d{1,7}(?:\.\d{1,4})?$/i
const LENGTH = /^Content-length: (\d{1,9})$/i

/** EX_UNAVAILABLE, EX_OSERR, EX_IOERR, EX_TEMPFAIL of sysexits.h; EX_TIMEOUT is spamd's own. */
const FAILURES: Record<number, FailureKind> = {
  69: 'down',
  71: 'down',
  74: 'down',
  75: 'down',
  79: 'slow',
}

const failed = (failure: FailureKind, cause: string): Verdict => ({
  kind: 'failed',
  failure,
  cause,
})

export function judgeSpamdReply(reply: string): Verdict {
  if (reply === '') return failed('down', 'closed without a reply')
  const end = reply.indexOf('\r\n\r\n')
  if (end < 0) return failed('garbled', 'reply was cut off')
  const [status = '', ...fields] = reply.slice(0, end).split('\r\n')
  const code = STATUS.exec(status)
  if (!code) return failed('garbled', 'not a reply of spamd')
  if (code[1] !== '0') return failed(FAILURES[Number(code[1])] ?? 'garbled', status)
  const body = reply.slice(end + 4)
  const length = fields.map(field => LENGTH.exec(field)?.[1]).find(found => found !== undefined)
  if (length === undefined || Number(length) !== body.length)
    return failed('garbled', 'reply has not the length it says')
  const score = fields.map(field => SPAM.exec(field)?.[1]).find(found => found !== undefined)
  if (score === undefined) return failed('garbled', 'reply has no score')
  const symbols = body.split(/[,\s]+/).filter(name => SYMBOL.test(name))
  return { kind: 'scored', score: Number(score), symbols: symbols.slice(0, SYMBOLS_LIMIT) }
}
