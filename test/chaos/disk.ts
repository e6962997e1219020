// A disk of our own whose power can be cut: what it was not told to flush may be gone, as with a drive's volatile cache.
//
// Two file systems, one in the other, both ext4 on loop devices. The inner one is what the gateway sees. Its loop device
// writes through the page cache, which is its volatile cache: a flush of the inner file system is an fsync of the image.
// The cut shuts the outer file system down without a flush of its own log (EXT4_IOC_SHUTDOWN, as xfstests cut power): from
// that moment nothing more reaches the outer device, and what lies in the page cache is lost. So what the inner file
// system flushed survives, and of the rest any part or none.
import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'

const INNER_MIB = 256
const OUTER_MIB = 400
/** `_IOR('X', 125, __u32)` with EXT4_GOING_FLAGS_NOLOGFLUSH, in a language that has ioctl and is always there. */
const CUT =
  'open(F, "<", $ARGV[0]) or die $!; my $f = pack("L", 2); ioctl(F, 0x8004587D, $f) or die $!'

export type CuttableDisk = {
  /** Where the gateway's files lie. */
  place: string
  cut(): void
  /** Power is back: its journal is replayed, it is checked, and lies at its place again. Answers what e2fsck found. */
  mend(): string | undefined
  /** Empties it for the next cut. */
  renew(): Promise<void>
} & AsyncDisposable

export type DiskOptions = {
  /** Below it lies everything. */
  folder: string
  /** Never asks its device to flush: a disk that must lose mail, to see that the prover sees it. */
  careless?: boolean
}

function must(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status === 0) return stdout.trim()
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** Rejects where loop devices, ext4 or its shutdown can't be had here, with what is missing. */
export async function createDisk({ folder, careless = false }: DiskOptions): Promise<CuttableDisk> {
  if (process.getuid?.() !== 0) throw new Error('only root may mount')
  const at = (name: string) => path.join(folder, name)
  const [outerImage, outer, innerImage, place] = [
    at('outer.img'),
    at('outer'),
    at('outer/inner.img'),
    at('disk'),
  ]
  for (const each of [outer, place]) await mkdir(each, { mode: 0o755 })
  /** What is attached, the outermost first. */
  const layers: { device: string; mountedAt: string }[] = []

  const attach = (image: string, mountedAt: string, options: string) => {
    const device = must('losetup', '--find', '--show', image)
    layers.push({ device, mountedAt })
    must('mount', '-o', options, device, mountedAt)
  }
  const mountOuter = () => attach(outerImage, outer, 'noatime')
  const mountInner = () => attach(innerImage, place, `noatime${careless ? ',nobarrier' : ''}`)
  const letGoInner = () => {
    const layer = layers.pop()
    if (!layer) return
    if (isMounted(layer.mountedAt)) must('umount', layer.mountedAt)
    must('losetup', '--detach', layer.device)
  }
  const letGo = () => {
    while (layers.length > 0) letGoInner()
  }
  const make = () => {
    must('truncate', '--size', `${OUTER_MIB}M`, outerImage)
    must('mkfs.ext4', '-q', '-F', outerImage)
    mountOuter()
    // Written once, so that later writes change no metadata of the outer one.
    must('dd', 'if=/dev/zero', `of=${innerImage}`, 'bs=1M', `count=${INNER_MIB}`, 'conv=fsync')
    format()
  }
  const format = () => {
    must(
      'mkfs.ext4',
      ...['-q', '-F', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0', innerImage],
    )
    must('sync', innerImage)
    mountInner()
    must('chmod', '755', place)
  }
  try {
    make()
    must('perl', '-e', '1')
  } catch (error) {
    letGo()
    throw error
  }
  return {
    place,
    cut: () => void must('perl', '-e', CUT, outer),
    mend() {
      letGo()
      mountOuter()
      mountInner()
      must('umount', place)
      const device = layers.at(-1)?.device ?? ''
      const checked = spawnSync('e2fsck', ['-f', '-n', device], { encoding: 'utf8' })
      must('mount', '-o', 'noatime', device, place)
      return checked.status === 0 ? undefined : checked.stdout
    },
    async renew() {
      letGoInner()
      format()
    },
    async [Symbol.asyncDispose]() {
      letGo()
    },
  }
}

const isMounted = (place: string): boolean => spawnSync('mountpoint', ['-q', place]).status === 0
