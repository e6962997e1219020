// The command line of the bench: cells, peers and numbers, and what is wrong with them in words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { argumentsOf } from '../../bench/arguments.ts'

test('cells are size:sessions:perConnection', () => {
  const { cells, repeat, seconds, json } = argumentsOf([
    ...[
      '--cells',
      '4096:10:keep,mix:50:1,4096:10:keep@0.5',
      '--repeat',
      '7',
      '--seconds',
      '0.5',
      '--json',
      'x',
    ],
  ])
  assert.deepEqual(cells, [
    { name: '4096:10:keep', size: 4096, sessions: 10, perConnection: 'keep' },
    { name: 'mix:50:1', size: 'mix', sessions: 50, perConnection: 1 },
    { name: '4096:10:keep@0.5', size: 4096, sessions: 10, perConnection: 'keep', pace: 0.5 },
  ])
  assert.deepEqual({ repeat, seconds, json }, { repeat: 7, seconds: 0.5, json: 'x' })
})

test('what is not said has a default', () => {
  const { cells, peers, repeat, config } = argumentsOf([])
  assert.ok(cells.length >= 5)
  assert.deepEqual(peers, ['sallyport', 'postfix', 'clamav-milter'])
  const { other } = argumentsOf(['--other', '/elsewhere/x', '--other-config', '{"a":{"b":1}}'])
  assert.deepEqual(other, { folder: '/elsewhere/x', config: { a: { b: 1 } } })
  assert.deepEqual({ repeat, config }, { repeat: 5, config: {} })
})

test('what is wrong is refused, and named', () => {
  const wrong: [string[], RegExp][] = [
    [['--cells', '4096:10'], /size:sessions:per@share, not 4096:10/],
    [['--cells', '4096:10:keep:1'], /size:sessions:per/],
    [['--cells', '4096:10:keep@'], /the share of the full rate in 4096:10:keep@ is/],
    [['--cells', '4096:10:keep@half'], /the share of the full rate/],
    [['--cells', '4096:10:keep@0.5@0.5'], /size:sessions:per@share/],
    [['--cells', '4096:0:keep'], /sessions in 4096:0:keep/],
    [['--cells', '1e3:1:keep'], /size in 1e3/],
    [['--cells', 'mix:1:often'], /messages in mix:1:often/],
    [['--peers', 'sallyport,sendmail'], /no peer sendmail; there are sallyport,/],
    [['--repeat', '2.5'], /--repeat is a whole number/],
    [['--seconds', 'long'], /--seconds is a number/],
    [['--config', '[]'], /JSON object/],
    [['--peer', 'postfix'], /--peer/],
  ]
  for (const [argv, message] of wrong) assert.throws(() => argumentsOf(argv), message)
})
