// Reads golden dialogs and plays the client's part on a real connection, in whole segments or in random chunks.
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { setImmediate as breathe } from 'node:timers/promises'
import { until } from '../support/process.ts'

/**
 * One line each:
 * - `# …` a comment
 * - `@key value` before the conversation: `@hold 550 5.7.1 Virus found`, `@set limits.errors 3`, `@unready 452 4.3.1 Full`
 * - `C: …` the client sends this and CRLF; `C~ …` without the CRLF. `\r \n \0 \\ \xNN` are octets.
 * - `C*100: …` a hundred times
 * - `S: …` the server's next line begins so; `S: /…/` it matches; `S*20: …`; `S: <closed>` the connection ends
 * - `= received 1`, `= recipients a b`, `= reverse-path a`, `= content …`, `= fate heard`, `= refused reason reason` afterwards
 */
export type Dialog = {
  settings: [key: string, value: string][]
  turns: { send: Buffer; expect: string[] }[]
  after: [key: string, value: string][]
}

const ESCAPES: Record<string, string> = { r: '\r', n: '\n', '0': '\0', '\\': '\\', t: '\t' }

export const octets = (text: string): Buffer =>
  Buffer.from(
    Buffer.from(text, 'utf8')
      .toString('latin1')
      .replace(/\\(?:x([0-9a-f]{2})|([rn0t\\]))/g, (_all, hex, name) =>
        hex === undefined ? (ESCAPES[name] ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    'latin1',
  )

const keyValue = (text: string): [string, string] => {
  const [key = '', ...rest] = text.split(' ')
  return [key, rest.join(' ')]
}

export function readDialog(file: string): Dialog {
  const dialog: Dialog = { settings: [], turns: [], after: [] }
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('@')) {
      dialog.settings.push(keyValue(line.slice(1)))
      continue
    }
    if (line.startsWith('= ')) {
      dialog.after.push(keyValue(line.slice(2)))
      continue
    }
    const [, who, times = '1', end, text = ''] =
      /^([CS])(?:\*(\d+))?([:~])(?: (.*))?$/.exec(line) ?? []
    if (who === undefined) throw new Error(`${file}: not understood: ${line}`)
    const last = dialog.turns.at(-1)
    if (who === 'S') {
      const turn = last ?? { send: Buffer.alloc(0), expect: [] }
      if (!last) dialog.turns.push(turn)
      for (let i = 0; i < Number(times); i++) turn.expect.push(text)
      continue
    }
    const once = octets(end === '~' ? text : `${text}\\r\\n`)
    const send = Buffer.concat(Array.from({ length: Number(times) }, () => once))
    if (last && last.expect.length === 0) last.send = Buffer.concat([last.send, send])
    else dialog.turns.push({ send, expect: [] })
  }
  return dialog
}

/** mulberry32: the same chunks for the same seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const matches = (line: string, expected: string): boolean =>
  /^\/.*\/$/.test(expected)
    ? new RegExp(expected.slice(1, -1)).test(line)
    : line.startsWith(expected)

/** `chunk` gives the size of the next segment. Answers what went wrong, or undefined. */
export async function play(
  dialog: Dialog,
  port: number,
  chunk: () => number,
): Promise<string | undefined> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  let heard = ''
  let closed = false
  socket.on('data', data => {
    heard += data.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.once('close', () => {
    closed = true
  })
  const nextLine = async (expected: string): Promise<string | undefined> => {
    await until(`"${expected}"`, () => heard.includes('\n') || closed, 10_000).catch(
      () => undefined,
    )
    const end = heard.indexOf('\n')
    if (end < 0) return closed ? '<closed>' : undefined
    const line = heard.slice(0, end).replace(/\r$/, '')
    heard = heard.slice(end + 1)
    return line
  }
  try {
    for (const { send, expect } of dialog.turns) {
      for (let at = 0; at < send.length && !closed; ) {
        const size = chunk()
        socket.write(send.subarray(at, at + size))
        at += size
        await breathe()
      }
      for (const expected of expect) {
        const line = await nextLine(expected)
        if (line === undefined) return `waited in vain for: ${expected}`
        if (!matches(line, expected)) return `expected: ${expected}\nbut heard: ${line}`
      }
    }
    return heard === '' ? undefined : `said more than expected: ${heard}`
  } finally {
    socket.end()
    socket.destroySoon()
  }
}
