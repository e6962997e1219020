// What only its addressee can read is noted; what is only signed is read, and what only talks of it passes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EICAR } from '../../../support/eicar.ts'
import { attached, BASE64, b64, CRLF, cms, mail, mixed } from './building.ts'
import { read } from './reading.ts'

const noise = (sizeBytes: number): Buffer =>
  Buffer.from(Array.from({ length: sizeBytes }, (_, i) => (i * i * 167 + i * 89 + 13) & 255))
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const file = (...parts: Buffer[]): Buffer =>
  attached(Buffer.concat(parts), 'application/pkcs7-mime')

/** RFC 5652 §6.1, and RFC 5083; in DER, and with the indefinite lengths of large messages. */
const enveloped = [
  file(hex('30820400 06092a864886f70d010703 a08203f1 308203ed 020100'), noise(1000)),
  file(hex('3080 06092a864886f70d010703 a080 3080 020100'), noise(1000)),
  file(hex('30820400 060b2a864886f70d0109100117 a08203ef 308203eb 020100'), noise(1000)),
]

/** RFC 9580 §5.1 and §5.3: a session key for a recipient, in old and new form, and one for a password. */
const packets = [
  Buffer.concat([hex('85010c 03 0102030405060708 01'), noise(259), hex('d2c0'), noise(300)]),
  Buffer.concat([hex('c1 5e 03 0102030405060708 12'), noise(84), hex('d2c0'), noise(300)]),
  Buffer.concat([hex('c3 0d 04 09 03 08'), noise(9), hex('d2c0'), noise(300)]),
]
const armor = (packet: Buffer): string =>
  ['-----BEGIN PGP MESSAGE-----', '', b64(packet, 64), '=abcd', '-----END PGP MESSAGE-----'].join(
    CRLF,
  )
const pgpMime = (body: string): Buffer =>
  mail(
    'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=bb',
    '',
    '--bb',
    'Content-Type: application/pgp-encrypted',
    '',
    'Version: 1',
    '--bb',
    'Content-Type: application/octet-stream',
    '',
    body,
    '--bb--',
  )

test('S/MIME enveloped data', async () => {
  for (const message of enveloped)
    assert.deepEqual((await read(message)).endings, ['encrypted-mail'])
})

test('PGP: PGP/MIME, in text, and as a file', async () => {
  for (const packet of packets) {
    assert.deepEqual((await read(pgpMime(armor(packet)))).endings, ['encrypted-mail'])
    const text = `Hello,${CRLF}${armor(packet)}${CRLF}Bye.`
    assert.deepEqual((await read(mail('Content-Type: text/plain', '', text))).endings, [
      'encrypted-mail',
    ])
    assert.deepEqual((await read(attached(packet))).endings, ['encrypted-mail'])
  }
})

test('what is signed is read', async () => {
  const inner = mixed(['Content-Type: text/plain', '', EICAR])
  for (const how of ['definite', 'pieces'] as const) {
    const { leaves, endings } = await read(attached(cms(inner, how), 'application/pkcs7-mime'))
    assert.ok(leaves.some(leaf => leaf.includes(EICAR)))
    assert.deepEqual(endings, [])
  }
  const signature = ['Content-Type: application/pkcs7-signature', BASE64, '']
  const clear = mixed(
    [...signature, b64(Buffer.concat([hex('308204d0 06092a864886f70d010702'), noise(1200)]))],
    'multipart/signed; protocol="application/pkcs7-signature"; boundary=bb',
  )
  assert.deepEqual((await read(clear)).endings, [])
  const pgp = [
    '-----BEGIN PGP SIGNED MESSAGE-----',
    'Hash: SHA512',
    '',
    'Hello.',
    '-----BEGIN PGP SIGNATURE-----',
    '',
    b64(Buffer.concat([hex('890233 04 01 0a 001d'), noise(500)]), 64),
    '=abcd',
    '-----END PGP SIGNATURE-----',
  ].join(CRLF)
  assert.deepEqual((await read(mail('', pgp))).endings, [])
})

test('a public key, and prose about the marks, are not encrypted', async () => {
  const key = b64(Buffer.concat([hex('99020d 04 5f000000 01'), noise(520)]), 64)
  const lines = [
    '-----BEGIN PGP PUBLIC KEY BLOCK-----',
    '',
    key,
    '-----END PGP PUBLIC KEY BLOCK-----',
  ]
  assert.deepEqual((await read(mail('', lines.join(CRLF)))).endings, [])
  const prose =
    'The line "-----BEGIN PGP MESSAGE-----" starts it.\r\n-----BEGIN PGP MESSAGE-----\r\nand so on.'
  assert.deepEqual((await read(mail('', prose))).endings, [])
})

test('a document with a password, and one without', async () => {
  const ole = (storage: string): Buffer => {
    const document = Buffer.alloc(4096, 1)
    hex('d0cf11e0a1b11ae1').copy(document)
    Buffer.from(storage, 'utf16le').copy(document, 1024)
    return document
  }
  assert.deepEqual((await read(attached(ole('EncryptedPackage')))).endings, ['encrypted-document'])
  assert.deepEqual((await read(attached(ole('WordDocument')))).endings, [])
})
