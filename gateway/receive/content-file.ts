// Writes a message's content behind its client: gathers pieces while the disk works, bounded, and says when it is full.
import type { NewFile } from '../spool/new-file.ts'

/**
 * So much is gathered before it is written; as much again may be under way. A small message is written once, whole. Twice
 * as much costs more again: it is in no cache any more when it is written.
 */
const GATHER_BYTES = 128 * 1024

/** Without putting the pieces together first: with many large messages at once those copies were most of our memory. */
async function writeAll(file: NewFile, pieces: Buffer[]): Promise<void> {
  let left = pieces
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left)
    const next = left.findIndex(piece => {
      if (bytesWritten < piece.length) return true
      bytesWritten -= piece.length
      return false
    })
    left = next < 0 ? [] : [left[next]?.subarray(bytesWritten) ?? [], left.slice(next + 1)].flat()
  }
}

export class ContentFile {
  readonly #opening: Promise<NewFile | undefined>
  readonly #failed: (error: unknown) => void
  readonly #onRoom: () => void
  readonly #free: (piece: Buffer) => void
  #pieces: Buffer[] = []
  #gathered = 0
  #working: Promise<void> | undefined
  #broken = false

  /**
   * `failed` is told of what the disk refuses, once or more; from then on nothing is kept. `onRoom`: it was `full`, and
   * is not any more. `free`: a piece is not needed any more.
   */
  constructor(
    opening: Promise<NewFile>,
    told: {
      failed: (error: unknown) => void
      onRoom: () => void
      free: (piece: Buffer) => void
    },
  ) {
    this.#failed = told.failed
    this.#onRoom = told.onRoom
    this.#free = told.free
    this.#opening = opening.catch(error => this.#fail(error))
  }

  /** More has been gathered than is good while the disk is behind. */
  get full(): boolean {
    return this.#working !== undefined && this.#gathered >= GATHER_BYTES
  }

  write(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#gathered += piece.length
    if (this.#gathered >= GATHER_BYTES) this.#working ??= this.#work()
  }

  /** Writes what is left, if it is to be `kept`, and closes. Says whether there is a file now. */
  async finish(kept: boolean): Promise<boolean> {
    if (!kept) this.#broken = true
    await this.#working
    await this.#flush()
    const file = await this.#opening
    try {
      await file?.close()
    } catch (error) {
      // NFS tells of a full disk only now.
      this.#fail(error)
    }
    return file !== undefined
  }

  async #work(): Promise<void> {
    while (this.#gathered >= GATHER_BYTES) {
      const full = this.#flush()
      this.#onRoom()
      await full
    }
    this.#working = undefined
  }

  /** Takes up what is gathered at once, and resolves when it is written. */
  async #flush(): Promise<void> {
    const pieces = this.#pieces
    this.#pieces = []
    this.#gathered = 0
    const file = await this.#opening
    try {
      if (file && !this.#broken) await writeAll(file, pieces)
    } catch (error) {
      this.#fail(error)
    }
    for (const piece of pieces) this.#free(piece)
  }

  #fail(error: unknown): undefined {
    this.#broken = true
    this.#failed(error)
  }
}
