// The folder of an embedded program: private, and within the length a unix socket's path may have.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { giveFolder } from '../spool/disk.ts'
import type { Account } from './account.ts'

/** sun_path of Linux, less the final NUL. */
const SOCKET_PATH_BYTES = 107

/** Makes the folder, for `account` alone where one is given. */
export async function makeFolder(folder: string, account: Account | undefined): Promise<string> {
  // `recursive` would give the mode, and our own user, to what lies above it too: `account` could not get in.
  await mkdir(path.dirname(folder), { recursive: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (account !== undefined) await giveFolder(folder, account)
  return folder
}

/** The socket's path; throws where the kernel would cut it off. */
export function socketIn(folder: string, name: string): string {
  const socket = path.resolve(folder, name)
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES) {
    throw new Error(
      `${socket} is too long for a unix socket (${SOCKET_PATH_BYTES} octets): choose a shorter \`state\``,
    )
  }
  return socket
}
