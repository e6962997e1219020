// fsync of a folder, shared by everybody who asked before it began: one for all who take custody at the same moment.
import { syncPath } from './disk.ts'

/**
 * What was done to the folder before the call is on disk when it resolves. Rejects for everybody who waited for an fsync
 * that failed.
 */
export function createSharedSync(
  folder: string,
  sync: (path: string) => Promise<void> = syncPath,
): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  function begin(): Promise<void> {
    next = undefined
    running = sync(folder).finally(() => {
      running = undefined
    })
    return running
  }

  return () => {
    if (!running) return begin()
    // The one under way may have passed over what was done since it began.
    next ??= running.then(begin, begin)
    return next
  }
}
