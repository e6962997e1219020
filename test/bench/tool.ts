// A process of the bench's own, the load or the sink: asked over IPC, one question at a time.
import { fork } from 'node:child_process'
import path from 'node:path'

export type Tool = {
  pid: number
  /** What it said when it had started. */
  hello: unknown
  /** Rejects when it ends before it answers. */
  ask(question: object | string): Promise<unknown>
} & AsyncDisposable

export async function startTool(file: 'load.ts' | 'sink.ts'): Promise<Tool> {
  const child = fork(path.join(import.meta.dirname, file), {
    serialization: 'advanced',
    // Fewer collections: the tool shares the machine with what it measures.
    execArgv: ['--max-semi-space-size=32'],
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const heard = () =>
    new Promise<unknown>((resolve, reject) => {
      const gone = () => reject(new Error(`${file} ended`))
      child.once('exit', gone)
      child.once('message', message => {
        child.off('exit', gone)
        resolve(message)
      })
    })
  const hello = await heard()
  return {
    pid: child.pid ?? 0,
    hello,
    ask(question) {
      const answer = heard()
      child.send(question)
      return answer
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      const late = setTimeout(() => child.kill('SIGKILL'), 3000)
      await ended
      clearTimeout(late)
    },
  }
}
