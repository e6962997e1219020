// A seeded source of chance, and mutations of messages that keep most of their structure.

/** Mulberry32: the same numbers for the same seed. */
export function chance(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  '--',
  '--bb',
  '--bb--',
  '=',
  '==',
  '\0',
  '\xff',
  ' ',
  ':',
  ';',
  '"',
  '(',
  'Content-Type: multipart/mixed; boundary=bb\r\n',
  'Content-Type: message/rfc822\r\n\r\n',
  'Content-Transfer-Encoding: base64\r\n\r\n',
  'Content-Transfer-Encoding: quoted-printable\r\n\r\n',
  'begin 644 x\r\n',
  '=ybegin \r\n',
  'data:x;base64,',
  '{\\rtf1{\\objdata 41',
  '\x78\x9f\x3e\x22\x01\x00',
  '\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x24\x80',
  'PK\x03\x04',
  'x'.repeat(300),
].map(text => Buffer.from(text, 'latin1'))

/** One to eight changes: octets flipped, runs removed, doubled, moved, or replaced by what readers trip over. */
export function mutate(message: Buffer, next: (below: number) => number): Buffer {
  let out = message
  for (let changes = 1 + next(8); changes > 0; changes--) {
    const at = next(out.length + 1)
    const end = Math.min(out.length, at + 1 + next(next(4) === 0 ? 400 : 20))
    const [before, run, after] = [out.subarray(0, at), out.subarray(at, end), out.subarray(end)]
    const token = TOKENS[next(TOKENS.length)] ?? run
    const flipped = Buffer.from(run).map(octet => octet ^ (1 << next(8)))
    const elsewhere = next(before.length + 1)
    const choices = [
      [before, flipped, after],
      [before, after],
      [before, run, run, after],
      [before, token, run, after],
      [before, token, after],
      [before.subarray(0, elsewhere), run, before.subarray(elsewhere), after],
    ]
    out = Buffer.concat(choices[next(choices.length)] ?? [])
  }
  return out
}
