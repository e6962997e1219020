// Checks SPF and DKIM with mailauth in a thread of its own, since a hostile message can keep it busy for minutes.

import { Resolver } from 'node:dns/promises'
import { createReadStream } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { dkimVerify, spf } from 'mailauth'
import { aligned } from './alignment.ts'
import type { Authentication } from './scanner.ts'

export type AuthenticationTask = {
  path: string
  address: string
  helo: string
  reversePath: string
  /** The reverse-path's domain, lower case. */
  domain: string
  hostname: string
  servers?: string[]
}

/** DNS queries for one message; mailauth itself would make one per signature without end. */
const QUERIES_LIMIT = 50
const QUERY_TIMEOUT_MS = 2_000
const SPF_ELAPSED_MS = 10_000

function boundedResolver(servers?: string[]) {
  const resolver = new Resolver({
    timeout: QUERY_TIMEOUT_MS,
    tries: 2,
    maxTimeout: QUERY_TIMEOUT_MS,
  })
  if (servers) resolver.setServers(servers)
  let queries = 0
  return async (domain: string, type: string): Promise<string[]> => {
    if (++queries > QUERIES_LIMIT)
      throw Object.assign(new Error('too many DNS queries'), { code: 'ESERVFAIL' })
    return (await resolver.resolve(domain, type)) as string[]
  }
}

async function authenticate(task: AuthenticationTask): Promise<Authentication> {
  const resolver = boundedResolver(task.servers)
  const bySpf = spf({
    ip: task.address,
    helo: task.helo,
    sender: task.reversePath,
    mta: task.hostname,
    resolver,
    maxElapsedTime: SPF_ELAPSED_MS,
    strict: true,
  })
  const byDkim = dkimVerify(createReadStream(task.path), {
    sender: task.reversePath,
    resolver,
    strict: true,
    rejectRsaSha1: true,
  })
  const [path, signatures] = await Promise.allSettled([bySpf, byDkim])
  return {
    spf:
      path.status === 'fulfilled' &&
      path.value.status.result === 'pass' &&
      path.value.domain.toLowerCase() === task.domain,
    dkim:
      signatures.status === 'fulfilled' &&
      signatures.value.results.some(
        ({ signingDomain, status }) =>
          status.result === 'pass' &&
          !status.underSized &&
          aligned(signingDomain ?? '', task.domain),
      ),
  }
}

parentPort?.postMessage(await authenticate(workerData as AuthenticationTask))
