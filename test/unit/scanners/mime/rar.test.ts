// RAR archives: what is only stored in them is read, and of everything else it is said what nobody looks into.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { EICAR } from '../../../support/eicar.ts'
import { attached, mail } from './building.ts'
import { tar, zipOf } from './packing.ts'
import { rar4, rar5, stub } from './rar-packing.ts'
import { read } from './reading.ts'

const payload = Buffer.from(EICAR)
const endingsOf = async (archive: Buffer): Promise<readonly string[]> =>
  (await read(attached(archive))).endings
const zipped = (content: Buffer, name: string): Buffer =>
  zipOf(8, deflateRawSync(content), content.length, name)

for (const [version, rar] of Object.entries({ rar4, rar5 })) {
  test(`${version}: what is stored is a leaf, and nothing is left to ask`, async () => {
    for (const shape of [
      rar(payload),
      gzipSync(rar(payload)),
      rar(rar(payload), { name: 'b.rar' }),
      zipped(rar(payload), 'a.txt'),
    ]) {
      const { leaves, endings } = await read(attached(shape))
      assert.ok(leaves.some(leaf => leaf.equals(payload)))
      assert.deepEqual(endings, [])
    }
  })

  test(`${version}: what is packed is left to an engine, wherever it lies`, async () => {
    const packed = rar(Buffer.alloc(300, 7), { method: 3 })
    for (const shape of [
      packed,
      Buffer.concat([stub(300_000), packed]),
      Buffer.concat([stub(1_500_000), packed]),
      Buffer.concat([packed, Buffer.from('junk')]),
      Buffer.concat([rar(payload), packed]),
      packed.subarray(0, -20),
      zipped(packed, 'a.rar'),
      zipped(packed, 'a.r01'),
      zipped(packed, 'holiday.jpg'),
      zipped(Buffer.concat([stub(200_000), packed]), 'a.exe'),
      zipOf(0, packed, packed.length, 'a.dat'),
      gzipSync(packed),
      tar('a.rar', packed),
      attached(packed),
    ])
      assert.deepEqual(await endingsOf(shape), ['rar'])
  })

  test(`${version}: a mark found later is opened as if it came alone`, async () => {
    const { leaves } = await read(attached(Buffer.concat([stub(100_000), rar(payload)])))
    assert.ok(leaves.some(leaf => leaf.equals(payload)))
    assert.ok(leaves.some(leaf => leaf.equals(rar(payload))))
  })

  test(`${version}: a header that was changed is not believed`, async () => {
    const changed = rar(payload)
    const name = changed.indexOf('a.com')
    changed.write('b', name)
    assert.deepEqual(await endingsOf(changed), ['rar'])
  })

  test(`${version}: passwords and volumes`, async () => {
    for (const locked of ['file', 'all'] as const)
      assert.ok((await endingsOf(rar(payload, { locked }))).includes('encrypted-archive'))
    assert.deepEqual(await endingsOf(rar(payload, { split: true })), ['unsupported-archive'])
  })

  test(`${version}: every octet may be another: it ends, and throws nothing`, async () => {
    const whole = rar(payload)
    for (let at = 0; at < whole.length - payload.length; at++)
      for (const octet of [0, 0x7f, 0x80, 0xff]) {
        const changed = Buffer.from(whole)
        changed[at] = octet
        await read(attached(changed))
        await read(attached(whole.subarray(0, at)))
      }
  })
}

test('RAR 1.4: nobody opens that', async () => {
  const oldest = Buffer.concat([Buffer.from('RE~^\x07\x00\x00', 'latin1'), Buffer.alloc(100, 1)])
  assert.deepEqual(await endingsOf(oldest), ['unsupported-archive'])
})

test('texts about RAR, and its mark without an archive, are nothing', async () => {
  const marks = ['Rar!\x1a\x07\x00', 'Rar!\x1a\x07\x01\x00']
  for (const mark of marks) {
    const around = [Buffer.alloc(500, 1), Buffer.from(mark, 'latin1'), Buffer.alloc(500, 2)]
    assert.deepEqual(await endingsOf(Buffer.concat(around)), [])
  }
  const text = 'A RAR archive starts with Rar!, an old one with RE~^. It must be\r\nsaid so.'
  assert.deepEqual((await read(mail('', text))).endings, [])
  assert.deepEqual(await endingsOf(Buffer.from(`RE~^ ${text}`)), [])
})
