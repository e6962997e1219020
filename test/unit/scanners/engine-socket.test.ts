// What is written to an engine in one turn of the loop goes out together, not call by call.
import assert from 'node:assert/strict'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { openEngine } from '../../../scanners/engine-socket.ts'
import { temporaryFolder } from '../../support/process.ts'

test('a command, a length and a piece wait for the end of the turn, and all arrive', async () => {
  await using folder = await temporaryFolder('engine-socket')
  const where = path.join(folder.path, 'engine.sock')
  const heard = Promise.withResolvers<string>()
  const server = net.createServer(async engine => {
    const chunks = []
    for await (const chunk of engine) chunks.push(chunk)
    heard.resolve(Buffer.concat(chunks).toString())
  })
  await new Promise<void>(resolve => server.listen(where, resolve))
  const socket = await openEngine(`unix:${where}`, new AbortController().signal)
  for (const written of ['command ', 'length ', 'piece']) socket.write(written)
  assert.equal(socket.writableLength, 'command length piece'.length)
  await new Promise<void>(resolve => setImmediate(resolve))
  assert.equal(socket.writableLength, 0)
  socket.end()
  assert.equal(await heard.promise, 'command length piece')
  socket.destroy()
  server.close()
})
