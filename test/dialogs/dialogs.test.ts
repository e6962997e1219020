// Replays every golden dialog against the real thing, as whole segments and in random chunks.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import type { Reply } from '../../gateway/reply.ts'
import { reply } from '../../gateway/reply.ts'
import { until } from '../support/process.ts'
import { type Ground, receiveConfig, startReceive } from '../support/receive.ts'
import { type Dialog, octets, play, random, readDialog } from './dialog.ts'

const FOLDER = import.meta.dirname
const SEEDS = [1, 20_261_124]

function replyOf(text: string): Reply {
  const [code = '', enhanced = '', ...words] = text.split(' ')
  return reply(Number(code), enhanced, words.join(' '))
}

function configOf(dialog: Dialog) {
  const changes: Record<string, unknown> = {}
  for (const [key, value] of dialog.settings) {
    if (key !== 'set') continue
    const [name = '', text = ''] = value.split(' ')
    const [top = '', below] = name.split('.')
    const parsed: unknown = JSON.parse(text)
    changes[top] = below ? { ...(changes[top] as object), [below]: parsed } : parsed
  }
  return receiveConfig(changes)
}

async function start(dialog: Dialog): Promise<Ground> {
  const find = (name: string) => dialog.settings.find(([key]) => key === name)?.[1]
  const [hold, unready] = [find('hold'), find('unready')]
  let asked = 0
  return await startReceive({
    config: configOf(dialog),
    ...(hold === undefined ? {} : { said: replyOf(hold) }),
    // Ready at connect, not any more at MAIL.
    change: () =>
      unready === undefined ? {} : { unready: () => (asked++ ? replyOf(unready) : undefined) },
  })
}

async function checkAfter(dialog: Dialog, ground: Ground): Promise<void> {
  await until('the connection to be gone', () => ground.receive.connections() === 0)
  const [first] = ground.held
  for (const [key, value] of dialog.after) {
    if (key === 'received') assert.equal(ground.held.length, Number(value))
    else if (key === 'recipients') {
      assert.deepEqual(
        first?.message.envelope.recipients.map(one => one.address),
        value.split(' ').map(one => octets(one).toString('utf8').replaceAll('·', ' ')),
      )
    } else if (key === 'reverse-path') {
      assert.equal(first?.message.envelope.reversePath, octets(value).toString('utf8'))
    } else if (key === 'content') {
      assert.deepEqual(readFileSync(first?.message.content.path ?? ''), octets(value))
    } else if (key === 'fate') {
      assert.deepEqual(
        ground.held.map(one => one.fate),
        ground.held.map(() => value),
      )
      assert.ok(ground.held.every(one => one.told === 1))
    } else if (key === 'refused') {
      assert.deepEqual(
        ground.events.of('commandRefused').map(one => one.reason),
        value.split(' '),
      )
    } else assert.fail(`${key} is not known`)
  }
  if (!dialog.after.some(([key]) => key === 'received')) assert.equal(ground.held.length, 0)
  // Refused content is not kept; held content is the hold's.
  assert.equal((await ground.files()).length, ground.held.length)
  assert.deepEqual(ground.events.of('fault'), [])
}

const files = readdirSync(FOLDER).filter(name => name.endsWith('.txt'))

describe('dialogs', { concurrency: 6 }, () => {
  it('are at least 25', () => assert.ok(files.length >= 25))
  for (const name of files) {
    const run = async (chunk: () => number) => {
      const dialog = readDialog(path.join(FOLDER, name))
      await using ground = await start(dialog)
      const fault = await play(dialog, ground.port, chunk)
      assert.equal(fault, undefined)
      await checkAfter(dialog, ground)
    }
    it(`${name}, whole`, () => run(() => Number.POSITIVE_INFINITY))
    for (const seed of SEEDS) {
      const next = random(seed)
      const small = 1 + Math.floor(next() * 40)
      it(`${name}, chunks of seed ${seed}`, () => run(() => 1 + Math.floor(next() * small)))
    }
  }
})
