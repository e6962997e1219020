// Packs small leaves into one tar archive, so that a message of many parts costs the engine one call, not thousands.
//
// The engine takes the archive apart and looks at each member as a file of its own, type and all, as it would
// if it came alone.
import { inMemory, type Octets } from './octets.ts'
import type { Leaf } from './reader.ts'

const BLOCK_BYTES = 512

/** POSIX.1-1988 (ustar); the members are numbered, since names from a message are nobody's business. */
export function bundle(leaves: readonly Pick<Leaf, 'octets'>[]): Octets {
  const blocks: Buffer[] = []
  for (const [index, { octets }] of leaves.entries()) {
    const padding = -octets.sizeBytes & (BLOCK_BYTES - 1)
    blocks.push(headerOf(index, octets.sizeBytes), octets.slice(0, octets.sizeBytes))
    blocks.push(Buffer.alloc(padding))
  }
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES))
  return inMemory(Buffer.concat(blocks))
}

const octal = (value: number, digits: number): string =>
  `${value.toString(8).padStart(digits, '0')}\0`

function headerOf(index: number, sizeBytes: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES)
  header.write(`leaf-${index}`, 0)
  header.write(octal(0o644, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(sizeBytes, 11), 124)
  header.write(octal(0, 11), 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, octet) => total + octet, 0)
  header.write(`${octal(sum, 6)} `, 148)
  return header
}
