// A tiny RAR archive by which is found out whether an engine looks into RAR: Debian's clamd does not, for want of unrar.
import { crc32, gzipSync } from 'node:zlib'

/** In pieces, so that this file is not taken for what it names. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')
const MARK = Buffer.from('Rar!\x1a\x07\x00', 'latin1')
const [MAIN, FILE, END] = [0x73, 0x74, 0x7b]
const [HAS_DATA, SKIPPABLE] = [0x8000, 0x4000]
const STORED = 0x30
const NAME = 'eicar.com.gz'

/**
 * EICAR stored in it, compressed by gzip: no signature matches these octets as they stand in the archive, so whoever
 * reports it has opened that.
 */
export function rarProbe(): Buffer {
  const content = gzipSync(EICAR)
  const about = Buffer.alloc(25)
  about.writeUInt32LE(content.length, 0)
  about.writeUInt32LE(content.length, 4)
  about.writeUInt32LE(crc32(content), 9)
  about.writeUInt8(20, 17)
  about.writeUInt8(STORED, 18)
  about.writeUInt16LE(NAME.length, 19)
  return Buffer.concat([
    MARK,
    blockOf(MAIN, 0, Buffer.alloc(6)),
    blockOf(FILE, HAS_DATA, Buffer.concat([about, Buffer.from(NAME)])),
    content,
    blockOf(END, SKIPPABLE, Buffer.alloc(0)),
  ])
}

/** The technical note of RAR 4: a checksum, type, flags and length before the header's own fields. */
function blockOf(type: number, flags: number, body: Buffer): Buffer {
  const block = Buffer.concat([Buffer.alloc(7), body])
  block.writeUInt8(type, 2)
  block.writeUInt16LE(flags, 3)
  block.writeUInt16LE(block.length, 5)
  block.writeUInt16LE(crc32(block.subarray(2)) & 0xffff, 0)
  return block
}
