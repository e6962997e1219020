// Makes a file and writes it piece by piece. By its descriptor: a FileHandle costs as much as all that is done to the file.
import { close, openSync, writev } from 'node:fs'

/** The part of a FileHandle that this needs of one. */
export type NewFile = {
  writev(pieces: readonly Uint8Array[]): Promise<{ bytesWritten: number }>
  /** Once, and by whoever made it. */
  close(): Promise<void>
}

/** Throws where there is a file of that name. To make one is done at once, as all that is done to names (disk.ts). */
export function createFile(path: string): NewFile {
  const file = openSync(path, 'wx', 0o640)
  return {
    writev: pieces =>
      new Promise((resolve, reject) => {
        writev(file, pieces, (error, bytesWritten) => {
          if (error) reject(error)
          else resolve({ bytesWritten })
        })
      }),
    close: () =>
      new Promise((resolve, reject) => {
        close(file, error => (error ? reject(error) : resolve()))
      }),
  }
}
