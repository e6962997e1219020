// Who a process is, in a form another process can check: host, pid name space, pid and start time.
import { readFileSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'

export type Identity = { host: string; pid: number; startedAt: string }

/** Two containers may share a host name, never a boot and a pid name space. */
function hostOf(): string {
  let place = ''
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
    place = `+${boot}+${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`
  } catch {
    // No /proc: only the host name tells hosts apart.
  }
  return `${hostname().replace(/[^\w.-]/g, '_')}${place}`
}

/** Of /proc/PID/stat, from field 3 on: a program's name may hold anything. */
const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ')
/** Field 22, in clock ticks since boot; a pid used again has another one. */
const startOf = (stat: string): string => fieldsOf(stat)[19] ?? '0'
/** Field 20. */
const threadsOf = (stat: string): number => Number(fieldsOf(stat)[17])

export function ownIdentity(): Identity {
  let startedAt = '0'
  try {
    startedAt = startOf(readFileSync('/proc/self/stat', 'utf8'))
  } catch {
    // No /proc: the pid alone has to do.
  }
  return { host: hostOf(), pid: process.pid, startedAt }
}

export const writeIdentity = (who: Identity): string => `${who.host}:${who.pid}:${who.startedAt}`

export function readIdentity(text: string): Identity | undefined {
  const [host, pid, startedAt] = text.split(':')
  if (!host || !pid || !startedAt || !/^\d+$/.test(pid)) return undefined
  return { host, pid: Number(pid), startedAt }
}

/** `unknown` for a process of another host, or where it can't be found out: only its silence can tell. */
export async function liveness(
  who: Identity,
  own: Identity,
): Promise<'alive' | 'dead' | 'unknown'> {
  if (who.host !== own.host) return 'unknown'
  try {
    const stat = await readFile(`/proc/${who.pid}/stat`, 'utf8')
    if (startOf(stat) !== who.startedAt) return 'dead'
    // A zombie has ended, though its parent hasn't noticed yet; but a thread that a slow disk has not let go may still
    // be about to rename or to write.
    return fieldsOf(stat)[0] === 'Z' && threadsOf(stat) <= 1 ? 'dead' : 'alive'
  } catch (error) {
    // ESRCH: it ended between open and read. Anything else (no file descriptor left, say) tells about us, not about it.
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ESRCH' ? 'dead' : 'unknown'
  }
}
