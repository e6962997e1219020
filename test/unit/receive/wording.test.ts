// Every reply gets one enhanced code of its own class, and stays one bounded line.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeReply, isComplete, printable } from '../../../gateway/receive/wording.ts'

describe('wording', () => {
  it('gives each code an enhanced code of its class', () => {
    for (const code of [214, 220, 221, 250, 252, 421, 450, 451, 452, 500, 501, 503, 530, 552]) {
      const { enhanced } = describeReply(code, 'Error: whatever', undefined)
      assert.match(enhanced, /^\d\.\d{1,3}\.\d{1,3}$/)
      assert.equal(enhanced[0], String(code)[0])
    }
  })

  it('tells ours from the library', () => {
    assert.ok(isComplete(550, '5.1.1 No such recipient'))
    assert.ok(!isComplete(550, '4.1.1 Of another class'))
    assert.ok(!isComplete(500, 'Error: command not recognized'))
  })

  it('keeps to printable ASCII and 400 octets, the id last', () => {
    const text = printable(`5.1.1 é\r\n250 ${'x'.repeat(1000)}`, 'm1')
    assert.match(text, /^[ -~]{1,410} \[m1\]$/)
    assert.ok(text.startsWith('5.1.1 ???250'))
  })
})
