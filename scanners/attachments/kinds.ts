// What a file is by its first octets, whatever it is called; and what its name makes of it.
import type { Octets } from '../mime/octets.ts'
import type { AttachmentKind } from '../scanner.ts'

export const HEAD_BYTES = 4_096
/** PE's header lies further back only in files made to look odd; Windows itself allows it anywhere. */
const LNK = Buffer.from('4c0000000114020000000000c000000000000046', 'hex')
/** {7B5C52E4-D88C-4DA7-AEB1-5378D02996D3}, as it stands in a file. */
const ONENOTE = Buffer.from('e4525c7b8cd8a74daeb15378d02996d3', 'hex')
const MACH_O = new Set([0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe])
const FAT_MACH_O = 0xcafebabe
/** A Java class has its version, 45 and more, where a universal binary counts its architectures. */
const MOST_ARCHITECTURES = 44
/** ISO 9660's and UDF's first three descriptors (ECMA-119 §6.2.1, ECMA-167 2/8). */
const VOLUMES = [0x8001, 0x8801, 0x9001]
const VOLUME_NAMES = new Set(['CD001', 'BEA01', 'NSR02', 'NSR03'])
const FOOTER_BYTES = 512

/** By the first octets alone; `head` should have `HEAD_BYTES` of them where there are so many. */
export function kindsOfHead(head: Buffer): AttachmentKind[] {
  const text = head.toString('latin1', 0, 64)
  const kinds: AttachmentKind[] = []
  if (isDosExecutable(head)) kinds.push('windows-executable')
  if (/^\x7fELF[\x01\x02][\x01\x02]/.test(text)) kinds.push('elf')
  if (isMachO(head)) kinds.push('mach-o')
  if (/^(\xef\xbb\xbf)?#![ \t]*\//.test(text)) kinds.push('script')
  if (head.subarray(0, LNK.length).equals(LNK)) kinds.push('shortcut')
  if (/^(\xef\xbb\xbf|\s){0,9}\[(InternetShortcut|Desktop Entry)\]/i.test(text))
    kinds.push('shortcut')
  if (head.subarray(0, ONENOTE.length).equals(ONENOTE)) kinds.push('onenote')
  if (/^(conectix|vhdxfile|KDMV)/.test(text)) kinds.push('disk-image')
  return kinds
}

/** What can be told only by looking further into it. */
export function isDiskImage(octets: Octets): boolean {
  const at = (from: number, length: number): string =>
    from < 0 ? '' : octets.slice(from, from + length).toString('latin1')
  return (
    VOLUMES.some(from => VOLUME_NAMES.has(at(from, 5))) ||
    /^(conectix|koly)/.test(at(octets.sizeBytes - FOOTER_BYTES, 8))
  )
}

/** MZ with PE, NE, LE or LX behind it; or with a header that DOS would load. Text may begin with these two letters. */
function isDosExecutable(head: Buffer): boolean {
  const magic = head.toString('latin1', 0, 2)
  if ((magic !== 'MZ' && magic !== 'ZM') || head.length < 28) return false
  const next = head.length >= 64 ? head.readUInt32LE(60) : 0
  if (next > 0 && /^(PE\0\0|NE|LE|LX)/.test(head.toString('latin1', next, next + 4))) return true
  const [inLastPage, pages, headerParagraphs] = [2, 4, 8].map(at => head.readUInt16LE(at))
  return (
    (inLastPage ?? 512) < 512 &&
    (pages ?? 0) > 0 &&
    (pages ?? 0) < 0x2000 &&
    (headerParagraphs ?? 0) > 0 &&
    (headerParagraphs ?? 0) < 0x1000
  )
}

function isMachO(head: Buffer): boolean {
  if (head.length < 8) return false
  const magic = head.readUInt32BE(0)
  if (MACH_O.has(magic)) return true
  const count = head.readUInt32BE(4)
  return magic === FAT_MACH_O && count > 0 && count <= MOST_ARCHITECTURES
}

const SCRIPTS =
  'js|jse|mjs|vb|vbs|vbe|wsf|wsh|wsc|ws|sct|hta|ps1|ps1xml|ps2|ps2xml|psc1|psc2|psd1|psm1|bat|cmd|btm|jsx|msh|msh1|msh2'
const SHORTCUTS = 'lnk|url|website|desktop|scf|pif|library-ms|search-ms|appref-ms|settingcontent-ms'
const PROGRAMS = 'exe|com|scr|cpl|dll|msi|msp|jar|app|gadget|reg|inf|chm'
const DOCUMENTS =
  'pdf|docx?|xlsx?|pptx?|od[tsp]|rtf|txt|csv|jpe?g|png|gif|bmp|tiff?|heic|mp[34]|avi|mov|wav|zip|rar|7z|html?|xml|eml|msg'
const SCRIPT = new RegExp(`\\.(${SCRIPTS})$`, 'i')
const SHORTCUT = new RegExp(`\\.(${SHORTCUTS})$`, 'i')
const RUNS = `(?:${PROGRAMS}|${SCRIPTS}|${SHORTCUTS})`
/** `invoice.pdf.exe`, and `invoice.pdf` with an extension too far to the right to be seen. */
const DOUBLE = new RegExp(`\\.(?:${DOCUMENTS})[\\s\\p{Z}_.-]{0,250}\\.${RUNS}$`, 'iu')
const FAR = new RegExp(`[\\s\\p{Z}_]{8,250}\\.${RUNS}$`, 'iu')
const DISGUISE = new RegExp(`\\.(?:${DOCUMENTS})$`, 'i')
const HARMLESS_TYPE =
  /^(image|audio|video|text|message)\/|^application\/(pdf|rtf|msword|vnd\.(ms-(excel|powerpoint|word)|openxmlformats|oasis))/
const NEVER_HARMLESS: readonly AttachmentKind[] = [
  'windows-executable',
  'elf',
  'mach-o',
  'disk-image',
  'onenote',
]

export function kindsOfNames(
  names: readonly string[],
  types: readonly string[],
  kinds: readonly AttachmentKind[],
): AttachmentKind[] {
  const found: AttachmentKind[] = []
  if (names.some(name => SCRIPT.test(name))) found.push('script')
  if (names.some(name => SHORTCUT.test(name))) found.push('shortcut')
  if (names.some(name => DOUBLE.test(name) || FAR.test(name))) found.push('double-extension')
  const claimed = names.some(n => DISGUISE.test(n)) || types.some(t => HARMLESS_TYPE.test(t))
  if (claimed && kinds.some(kind => NEVER_HARMLESS.includes(kind))) found.push('mismatch')
  return found
}
