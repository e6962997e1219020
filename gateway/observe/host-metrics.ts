// What only the primary can tell of the host: room on the disks, and how long certificates last.
import { X509Certificate } from 'node:crypto'
import { readFile, statfs } from 'node:fs/promises'
import { declarations } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/** Certificates are read at most this often. */
const CERTIFICATE_LOOK_MS = 60_000

/** A listener's address with the PEM file of its certificate. */
export type ListenerCertificate = { listener: string; cert: string }

/**
 * `folders` maps a name (`spool`, `state`) to a path. `certificates` is asked again after each reload. A certificate
 * that can't be read shows as 0 seconds left.
 */
export function watchHost(
  metrics: Metrics,
  {
    folders,
    certificates,
  }: { folders: Record<string, string>; certificates: () => ListenerCertificate[] },
): void {
  const { gauge } = declarations(metrics.registry)
  const free = gauge('disk_free_bytes', 'Room left for us on the disk.', ['folder'], 'min')
  const size = gauge('disk_size_bytes', 'Size of that disk.', ['folder'], 'max')
  const filesFree = gauge('disk_free_files', 'Files that may still be made.', ['folder'], 'min')
  const remaining = gauge(
    'certificate_remaining_seconds',
    'Time until a certificate expires.',
    ['listener', 'certificate'],
    'min',
  )
  let looked = 0

  metrics.onCollect(async () => {
    for (const [folder, path] of Object.entries(folders)) {
      const disk = await statfs(path).catch(() => undefined)
      if (disk === undefined) continue
      free.set({ folder }, disk.bavail * disk.bsize)
      size.set({ folder }, disk.blocks * disk.bsize)
      filesFree.set({ folder }, disk.ffree)
    }
  })
  metrics.onCollect(async () => {
    if (Date.now() - looked < CERTIFICATE_LOOK_MS) return
    looked = Date.now()
    const found = await Promise.all(
      certificates().map(async certificate => ({
        ...certificate,
        seconds: await secondsLeft(certificate.cert).catch(() => 0),
      })),
    )
    remaining.reset()
    for (const { listener, cert, seconds } of found) {
      remaining.set({ listener, certificate: cert }, seconds)
    }
  })
}

/** Seconds until the first certificate of a PEM file expires, negative when it has. */
export async function secondsLeft(file: string): Promise<number> {
  const { validTo } = new X509Certificate(await readFile(file))
  return (Date.parse(validTo) - Date.now()) / 1000
}
