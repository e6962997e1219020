// amavis as Debian ships it: mail in by SMTP, scanned by the same clamd, and out again.
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort, listening, start, temporaryFolder, until, userOf } from '../support/process.ts'

const PROGRAM = '/usr/sbin/amavisd'
const DEFAULTS = ['01-debian', '20-debian_defaults'].map(name => `/etc/amavis/conf.d/${name}`)

/** Why it can't be measured here; undefined where it can. */
export function amavisMissing(): string | undefined {
  if (!existsSync(PROGRAM)) return 'the Debian package amavisd-new is not installed'
  return userOf('amavis') ? undefined : 'it wants to be started as root'
}

export type AmavisOptions = {
  /** Its socket. */
  clamd: string
  /** The port of who gets what it lets through. */
  next: number
  domain: string
  /** Processes. */
  servers: number
  /** What becomes of infected mail: refused, or acknowledged and thrown away. */
  infected: 'D_REJECT' | 'D_DISCARD'
}
type Settings = AmavisOptions & { folder: string; port: number }

const configuration = (settings: Settings): string => {
  const { folder, port, next, clamd, domain, servers, infected } = settings
  return `use strict;
$max_servers = ${servers}; $daemon_user = 'amavis'; $daemon_group = 'amavis';
$mydomain = '${domain}'; $myhostname = 'gw.${domain}';
$MYHOME = '${folder}'; $TEMPBASE = '${folder}/tmp'; $ENV{TMPDIR} = $TEMPBASE;
$QUARANTINEDIR = '${folder}/virusmails'; $db_home = '${folder}/db';
$lock_file = '${folder}/amavisd.lock'; $pid_file = '${folder}/amavisd.pid';
$do_syslog = 0; $DO_SYSLOG = 0; $LOGFILE = '${folder}/amavis.log'; $log_level = 0;
@local_domains_maps = (['.${domain}']); @mynetworks = qw(127.0.0.0/8);
$unix_socketname = undef; $inet_socket_bind = '127.0.0.1'; $inet_socket_port = ${port};
@inet_acl = qw(127.0.0.1); $forward_method = $notify_method = 'smtp:[127.0.0.1]:${next}';
@bypass_virus_checks_maps = (0); @bypass_spam_checks_maps = (1);
@bypass_banned_checks_maps = (1); @bypass_header_checks_maps = (1);
$enable_dkim_verification = 0; $enable_dkim_signing = 0; $virus_admin = undef;
$final_virus_destiny = ${infected}; $final_spam_destiny = D_PASS;
@av_scanners = (['ClamAV-clamd', \\&ask_daemon, ["CONTSCAN {}\\n", '${clamd}'],
  qr/\\bOK$/m, qr/\\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m ]);
@av_scanners_backup = ();
1;
`
}

export type Amavis = { port: number; pid: number } & AsyncDisposable

/** Its virus checks only. */
export async function startAmavis(options: AmavisOptions): Promise<Amavis> {
  const temporary = await temporaryFolder('amavis')
  // It refuses a configuration that lies where it may write.
  const folder = path.join(temporary.path, 'home')
  await chmod(temporary.path, 0o755)
  const port = await freePort()
  const user = userOf('amavis')
  for (const name of ['', 'tmp', 'db', 'virusmails']) {
    await mkdir(path.join(folder, name), { recursive: true })
    if (user) await chown(path.join(folder, name), user.uid, user.gid)
  }
  const file = path.join(temporary.path, 'amavisd.conf')
  await writeFile(file, configuration({ ...options, folder, port }))
  const files = [...DEFAULTS, file].flatMap(name => ['-c', name])
  const running = await start(PROGRAM, [...files, 'foreground'])
  await until('amavis to listen', () => listening(port), 60_000).catch(async error => {
    const log = await readFile(path.join(folder, 'amavis.log'), 'utf8').catch(() => '')
    await running.kill()
    throw new Error(`${error}\n${running.output()}${log}`)
  })
  return {
    ...{ port, pid: running.pid },
    async [Symbol.asyncDispose]() {
      await running.stop()
      await temporary[Symbol.asyncDispose]()
    },
  }
}
