// Stands before a real clamd: counts what it is given to look at, and names signatures of whatever version is wished.
import net from 'node:net'

export type VersionedClamd = {
  address: string
  /** Contents handed to clamd so far. */
  looks(): number
  /** What it answers to VERSION from now on: `27450`. */
  signaturesAre(version: string): void
} & AsyncDisposable

export async function versionedClamd(target: string, at: string): Promise<VersionedClamd> {
  let looks = 0
  let signatures = '27450'
  const server = net.createServer(client => {
    client.on('error', () => undefined)
    client.once('data', first => {
      if (first.includes('VERSION')) {
        client.end(`ClamAV 1.4.6/${signatures}/Mon Nov 23 09:26:04 2026\0`)
        return
      }
      if (first.includes('INSTREAM')) looks++
      const engine = net.connect({ path: target })
      engine.on('error', () => client.destroy())
      engine.write(first)
      client.pipe(engine).pipe(client)
    })
  })
  await new Promise<void>(resolve => server.listen(at, resolve))
  return {
    address: `unix:${at}`,
    looks: () => looks,
    signaturesAre(version) {
      signatures = version
    },
    async [Symbol.asyncDispose]() {
      await new Promise(resolve => server.close(resolve))
    },
  }
}
