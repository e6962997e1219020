// Draws the demo's results as a table that fits a terminal of 100 columns or more.
import type { Result } from './rows.ts'

const WIDTHS = { what: 26, reply: 62, ms: 6, place: 46, ok: 10 }

/** Breaks text at spaces into lines of at most `width`. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function rowOf(cells: string[][], widths: number[]): string {
  const height = Math.max(...cells.map(cell => cell.length))
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((cell, i) => (cell[line] ?? '').padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  ).join('\n')
}

export function table(results: Result[], columns = process.stdout.columns ?? 160): string {
  const narrow = columns < 158
  const widths = [
    WIDTHS.what,
    narrow ? 40 : WIDTHS.reply,
    WIDTHS.ms,
    narrow ? 28 : WIDTHS.place,
    10,
  ]
  const [, reply = 40, , place = 28] = widths
  const lines = results.map(result =>
    rowOf(
      [
        wrapped(result.what, WIDTHS.what),
        result.replies.flatMap(text => wrapped(text, reply)),
        [String(result.tookMs).padStart(WIDTHS.ms)],
        wrapped(result.place, place),
        [result.ok ? 'ok' : 'UNEXPECTED'],
      ],
      widths,
    ),
  )
  const head = rowOf(
    [['what'], ["the client's reply"], ['    ms'], ['where it ended up'], ['']],
    widths,
  )
  return [head, '-'.repeat(widths.reduce((sum, w) => sum + w + 2, -2)), ...lines].join('\n')
}
