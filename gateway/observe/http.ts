// The one HTTP server: /metrics, /health/live and /health/ready, nothing else, to GET and HEAD only.
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const LIMITS = {
  connections: 64,
  headerBytes: 8192,
  headers: 50,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 5000,
  /** What an answer may take to be made. */
  answerTimeoutMs: 8000,
}

export type Http = { /** `host:port` it listens on. */ address: string } & AsyncDisposable

type Answer = { status: number; type: string; body: string }
const TEXT = 'text/plain; charset=utf-8'
const METRICS = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * `address` is `host:port`, IPv6 in brackets, port 0 for any. Rejects where it can't listen. `ready` is asked at each
 * request: 200 and `ready`, or 503 and the reasons.
 */
export async function createHttp({
  address,
  metrics,
  ready,
  limits: given = {},
}: {
  address: string
  metrics(): Promise<string>
  ready(): Promise<{ ready: boolean; reasons: string[] }>
  limits?: Partial<typeof LIMITS>
}): Promise<Http> {
  const limits = { ...LIMITS, ...given }
  const routes: Record<string, () => Promise<Answer>> = {
    '/metrics': async () => ({ status: 200, type: METRICS, body: await metrics() }),
    '/health/live': async () => ({ status: 200, type: TEXT, body: 'live\n' }),
    '/health/ready': async () => {
      const state = await ready()
      if (state.ready) return { status: 200, type: TEXT, body: 'ready\n' }
      const body = `${JSON.stringify({ ready: false, reasons: state.reasons })}\n`
      return { status: 503, type: 'application/json', body }
    },
  }
  const server = http.createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      answerTo(request, routes, limits.answerTimeoutMs).then(answer =>
        send(request, response, answer),
      )
    },
  )
  server.maxHeadersCount = limits.headers
  server.maxConnections = limits.connections
  server.setTimeout(limits.requestTimeoutMs)
  const { host, port } = hostAndPort(address)
  server.listen({ host, port })
  await once(server, 'listening')
  const bound = server.address() as AddressInfo
  return {
    address: `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answerTo(
  request: IncomingMessage,
  routes: Record<string, () => Promise<Answer>>,
  timeoutMs: number,
): Promise<Answer> {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined
  if (route === undefined) return { status: 404, type: TEXT, body: 'not found\n' }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: TEXT, body: 'method not allowed\n' }
  }
  const late = Promise.withResolvers<Answer>()
  const timer = setTimeout(
    () => late.resolve({ status: 503, type: TEXT, body: 'no answer in time\n' }),
    timeoutMs,
  )
  try {
    return await Promise.race([route(), late.promise])
  } catch {
    return { status: 500, type: TEXT, body: 'no answer: see the log\n' }
  } finally {
    clearTimeout(timer)
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(answer.status === 405 ? { allow: 'GET, HEAD' } : {}),
    // Nothing is read of a request's body.
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}

function hostAndPort(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(address)
  if (match === null) throw new Error(`\`${address}\` is not host:port`)
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
}
