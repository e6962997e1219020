// The log: JSON lines on standard output, none lost at exit, at a handled signal, or to a slow reader.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'

const source = new URL('../../../gateway/observe/log.ts', import.meta.url).href

/** Runs a program that has `log`, and answers what it wrote. */
async function run(body: string, signal?: NodeJS.Signals) {
  const program = `import { createLog } from '${source}'
    const log = createLog({ level: 'info', base: { role: 'test' } })
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (signal) {
    child.stdout.once('readable', () => child.kill(signal))
  }
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return output
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

const LINES = `for (let n = 0; n < 5000; n++) log.write('info', 'tick', { id: 'x' + n, fill: 'f'.repeat(200) })`

describe('log', () => {
  test('a line has time, level, event, base and detail; levels below are left out', async () => {
    const [line, ...others] = await run(
      `log.write('debug', 'no', {}); log.write('warn', 'engineChanged', { id: 'a', up: false })`,
    )
    assert.equal(others.length, 0)
    const { at, ...rest } = line ?? {}
    assert.ok(!Number.isNaN(Date.parse(String(at))))
    assert.deepEqual(rest, {
      level: 'warn',
      role: 'test',
      id: 'a',
      up: false,
      event: 'engineChanged',
    })
  })

  test('process.exit loses nothing', async () => {
    assert.equal((await run(`${LINES}; process.exit(3)`)).length, 5000)
  })

  test('a handled SIGTERM loses nothing', async () => {
    const lines = await run(
      `process.on('SIGTERM', () => { ${LINES}; log[Symbol.dispose](); process.kill(process.pid, 'SIGKILL') })
       log.write('info', 'up', {}); setInterval(() => undefined, 1000)`,
      'SIGTERM',
    )
    assert.equal(lines.length, 5001)
  })

  test('a reader that went away ends nothing', async () => {
    const program = `import { createLog } from '${source}'
      const log = createLog({ level: 'info', base: {} })
      let n = 0
      setInterval(() => { log.write('info', 'tick', {}); if (++n === 20) process.exit(7) }, 5)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'readable')
    child.stdout.destroy()
    const [code] = await once(child, 'exit')
    assert.equal(code, 7)
  })
})
