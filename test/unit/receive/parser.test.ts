// What of DATA is read into memory of its own: given back when asked for, and nobody else's with it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Parser } from '../../../gateway/receive/parser.ts'

const lines = (octets: number) => Buffer.alloc(octets, `${'x'.repeat(62)}\r\n`)

function startData() {
  const parser = new Parser()
  const commands: string[] = []
  parser.oncommand = (command, callback) => {
    commands.push(command.toString())
    callback?.()
  }
  const content = parser.startDataMode()
  const pieces: Buffer[] = []
  content.on('data', piece => pieces.push(piece))
  const free = (piece: Buffer | undefined) => {
    assert.ok(piece)
    content.free?.(piece)
    return piece.length
  }
  return { parser, content, commands, pieces, free }
}
const write = (parser: Parser, chunk: Buffer) =>
  new Promise<void>(resolve => parser.write(chunk, () => resolve()))

describe('memory of DATA', () => {
  it('is given back at once, by whoever was given what is in it', async () => {
    const { parser, content, pieces, free } = startData()
    await write(parser, lines(65_536))
    await write(parser, lines(65_536))
    const [first, second] = pieces
    assert.equal(first?.length, 65_536)
    assert.equal(free(first), 0)
    assert.equal(free(first), 0)
    assert.equal(second?.length, 65_536)
    content.destroy()
  })

  it('is not given back where others have octets in it', async () => {
    const { parser, content, pieces, free } = startData()
    const shared = lines(65_536)
    await write(parser, shared.subarray(0, 32_768))
    assert.equal(free(pieces[0]), 32_768)
    assert.equal(shared.length, 65_536)
    await write(parser, Buffer.from(lines(100)))
    assert.equal(free(pieces[1]), 100)
    assert.ok(free(lines(65_536)) > 0, 'it never was in the content')
    content.destroy()
  })

  it('does not hold the commands behind the final dot', async () => {
    const { parser, content, commands, pieces, free } = startData()
    const ended = new Promise(resolve => content.on('end', resolve))
    parser.write(Buffer.concat([lines(65_536), Buffer.from('.\r\nNOOP\r\nQUIT\r\n')]))
    await ended
    assert.equal(pieces[0]?.length, 65_536)
    assert.equal(free(pieces[0]), 0)
    parser.continue()
    assert.deepEqual(commands, ['NOOP', 'QUIT'])
  })

  it('is read on when there is room again, or the stream is destroyed', async () => {
    for (const go of ['resume', 'destroy'] as const) {
      const parser = new Parser()
      const content = parser.startDataMode()
      let told = 0
      for (let i = 0; i < 3; i++) parser.write(lines(65_536), () => told++)
      await new Promise(setImmediate)
      assert.ok(told < 3, 'nobody reads')
      content[go]()
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      assert.equal(told, 3)
      content.destroy()
    }
  })
})
