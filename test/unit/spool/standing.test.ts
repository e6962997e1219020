// What may be said to a waiting client, for every mixture of outcomes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reply } from '../../../gateway/reply.ts'
import { readLines } from '../../../gateway/spool/outcome-log.ts'
import { settledIn, standingOf } from '../../../gateway/spool/standing.ts'
import { envelopeOf, recipientsOf } from '../../support/order.ts'

const REPLIES = { refused: reply(550, '5.1.1', 'no'), deferred: reply(450, '4.2.0', 'later') }
const KINDS = ['none', 'relayed', 'quarantined', 'discarded', 'notified', 'refused', 'deferred']

const lineOf = (recipient: string, kind: string): object[] => {
  if (kind === 'none') return []
  if (kind === 'deferred')
    return [{ kind, recipient, at: 1, attempt: 2, dueAt: 2, reply: REPLIES.deferred }]
  const said = kind === 'refused' ? { reply: REPLIES.refused } : {}
  return [{ kind: 'end', end: kind, recipient, at: 1, ...said }]
}

function standing(kinds: string[], tempfail: (domain: string) => boolean = () => false) {
  const to = kinds.map((_, i) => `${i}@d${i}.example`)
  const lines = kinds.flatMap((kind, i) => lineOf(to[i] ?? '', kind))
  const log = readLines(lines.map(line => JSON.stringify(line)).join('\n'))
  return { log, ...standingOf(envelopeOf({ recipients: recipientsOf(to) }), log, tempfail) }
}

test('4xx and 5xx are never said once anybody has it, whatever became of the others', () => {
  for (const first of KINDS)
    for (const second of KINDS)
      for (const third of KINDS) {
        const kinds = [first, second, third]
        for (const tempfail of [false, true]) {
          const { kind, log } = standing(kinds, () => tempfail)
          const settled = settledIn(log).length
          const open = kinds.includes('none')
          const left = kinds.some(k => k === 'deferred' || k === 'refused')
          const expected = open
            ? 'open'
            : settled === 3
              ? 'done'
              : kinds.every(k => k === 'refused')
                ? 'refused'
                : tempfail && settled === 0
                  ? 'tempfail'
                  : 'custody'
          assert.equal(kind, expected, `${kinds} ${tempfail} ${left}`)
        }
      }
})

test('all refused: the first refusal, in its own code', () => {
  const said = standing(['refused', 'refused'])
  assert.deepEqual('reply' in said && said.reply, REPLIES.refused)
})

test('one domain that does not ask for 4xx is enough for custody', () => {
  const only = (domain: string) => domain === 'd0.example'
  assert.equal(standing(['deferred', 'deferred'], only).kind, 'custody')
  assert.equal(standing(['deferred', 'refused'], only).kind, 'tempfail')
})

test('ends are counted by kind', () => {
  const said = standing(['relayed', 'quarantined', 'discarded', 'relayed'])
  assert.deepEqual('ends' in said && said.ends, {
    ...{ relayed: 2, quarantined: 1, discarded: 1, notified: 0 },
  })
})
