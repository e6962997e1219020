// One short question to a unix socket, one short answer.
import net from 'node:net'

const ANSWER_BYTES = 4096

/**
 * Connects, writes, and resolves with what came until `ends` is seen, the other side closed, or 4 KB; undefined when
 * nobody listens or `timeoutMs` passed. Never rejects.
 */
export function ask(
  socketPath: string,
  question: string,
  { ends, timeoutMs }: { ends: string; timeoutMs: number },
): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = net.connect({ path: socketPath })
    let answer = ''
    const finish = (result: string | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    const timer = setTimeout(finish, timeoutMs, undefined)
    socket.once('connect', () => socket.write(question))
    socket.on('data', chunk => {
      answer += chunk.toString('latin1')
      if (answer.includes(ends) || answer.length > ANSWER_BYTES) finish(answer)
    })
    socket.once('error', () => finish(undefined))
    socket.once('close', () => finish(answer === '' ? undefined : answer))
  })
}
