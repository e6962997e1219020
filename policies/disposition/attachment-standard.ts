// The attachment rules we ship: files that run when they are opened, and those that nobody can have looked into.
import type { AttachmentRule } from '../policy.ts'

/** What opens these runs them, or what is in them. Databases, certificates and everyday compression are not among them. */
const RUNS = `
  ace ade adp ani apk app appinstaller application appref-ms appx appxbundle arj bas bat
  btm cab chm cmd cnt com cpl csh deb desktop diagcab dll dmg drv elf exe fxp gadget hlp
  hpj hta htc img inf ins iso isp jar jnlp js jse jsx ksh lha library-ms lnk lzh mad maf
  mag mam maq mas mau mav maw mcf mda mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml
  mshxml msi msix msixbundle msp mst msu ops osd pcd pif pkg plg prg printerexport ps1
  ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 psm1 reg rev rpm scf scr sct search-ms
  settingcontent-ms shb shs sys udf uif url vb vbe vbp vbs vhd vhdx vsmacros vsw vxd
  webpnp website wim ws wsb wsc wsf wsh xbap xll xnk
`

const names = RUNS.trim()
  .split(/\s+/)
  .map(extension => `*.${extension}`)

/**
 * A refusal in the session loses nothing: the sender learns of it at once. What may well be wanted is kept, and
 * what is usual but closed or able to run is marked.
 */
export const STANDARD: readonly AttachmentRule[] = [
  { names, action: 'reject' },
  {
    kinds: [
      'windows-executable',
      'elf',
      'mach-o',
      'script',
      'disk-image',
      'shortcut',
      'double-extension',
      'right-to-left',
      'mismatch',
    ],
    action: 'reject',
  },
  { kinds: ['auto-run-macro', 'encrypted-archive', 'onenote'], action: 'quarantine' },
  { kinds: ['office-macro', 'encrypted-document'], action: 'relayMarked' },
]
