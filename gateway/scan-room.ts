// How much content is scanned at once in one process: what is too large to fit beside others waits for its turn.

/** Smaller messages take no room: how many of them there are at once has a limit of its own. */
const LEAST_BYTES = 1024 * 1024

export type ScanRoom = {
  /** In the order of asking; a message alone always fits. Undefined once closed: it is not to be scanned here any more. */
  enter(sizeBytes: number): Promise<Disposable | undefined>
  /** Lets go of all who wait. */
  close(): void
}

/** `mostBytes`: asked anew for everyone who enters. */
export function createScanRoom(mostBytes: () => number): ScanRoom {
  const waiting: { sizeBytes: number; resolve(place: Disposable | undefined): void }[] = []
  let takenBytes = 0
  let closed = false

  const fits = (sizeBytes: number) => takenBytes === 0 || takenBytes + sizeBytes <= mostBytes()

  function occupy(sizeBytes: number): Disposable {
    takenBytes += sizeBytes
    let left = false
    return {
      [Symbol.dispose]() {
        if (left) return
        left = true
        takenBytes -= sizeBytes
        admit()
      },
    }
  }

  function admit(): void {
    for (let next = waiting[0]; next && fits(next.sizeBytes); next = waiting[0]) {
      waiting.shift()
      next.resolve(occupy(next.sizeBytes))
    }
  }

  return {
    async enter(sizeBytes) {
      if (closed) return undefined
      if (sizeBytes < LEAST_BYTES) return occupy(0)
      if (waiting.length === 0 && fits(sizeBytes)) return occupy(sizeBytes)
      return new Promise(resolve => waiting.push({ sizeBytes, resolve }))
    },
    close() {
      closed = true
      for (const { resolve } of waiting.splice(0)) resolve(undefined)
    },
  }
}
