// The demo's internal mail server: takes everything over SMTP and keeps it, octet by octet, in a Maildir per user.
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'

export type MaildirSink = {
  /** `smtp://127.0.0.1:PORT`. */
  url: string
  /** The contents of a user's `new/`, oldest first. */
  mailOf(user: string): Promise<Buffer[]>
  folder: string
} & AsyncDisposable

/** Everything is held in memory once: this is for demos, behind a gateway with a size limit. */
export async function startMaildirSink(folder: string, port: number): Promise<MaildirSink> {
  let kept = 0
  const keep = async (user: string, content: Buffer) => {
    for (const name of ['tmp', 'new', 'cur'])
      await mkdir(path.join(folder, user, name), { recursive: true })
    const name = `${Date.now()}.${process.pid}_${String(++kept).padStart(6, '0')}.mail.internal`
    await writeFile(path.join(folder, user, 'tmp', name), content)
    await rename(path.join(folder, user, 'tmp', name), path.join(folder, user, 'new', name))
  }
  const server = new SMTPServer({
    name: 'mail.internal',
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    logger: false,
    onData(stream, session, callback) {
      buffer(stream)
        .then(async content => {
          for (const { address } of session.envelope.rcptTo)
            await keep(address.split('@')[0]?.replace(/[^\w.+-]/g, '_') ?? '', content)
          callback(null)
        })
        .catch((error: Error) => callback(error))
    },
  })
  server.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `smtp://127.0.0.1:${port}`,
    folder,
    async mailOf(user) {
      const box = path.join(folder, user, 'new')
      const names = await readdir(box).catch(() => [] as string[])
      return Promise.all(names.sort().map(name => readFile(path.join(box, name))))
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}
