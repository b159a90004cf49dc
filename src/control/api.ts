/** The daemon's control API: HTTP over a Unix socket that only the daemon's user may open. */
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SourceSpec } from '../../classes/source/source.js';
import type { RecordQueries } from '../../classes/stores/store.js';
import { WeirError } from '../errors.js';
import { type StatsSource, statsChunks } from '../metrics/report.js';
import { ClassFaults } from './class-feed.js';

const SOCKET_MODE = 0o600;
const UMASK_FOR_SOCKET = 0o177;
const BODY_BYTES_MAX = 2 ** 20;
const STATUS = { ok: 200, notFound: 404, badMethod: 405, refused: 422, failed: 500, notReady: 503 } as const;

export interface Health {
  readonly state: string;
  readonly [key: string]: unknown;
}

/** What `POST /classes/plan` and `/classes/apply` may be told; without a source it is the daemon's own. */
export interface ClassesRequest {
  readonly source: SourceSpec | null;
  /** Apply what the guard would refuse. */
  readonly isForced: boolean;
  /** The difference as lines for people, in place of lists. */
  readonly asText: boolean;
}

/** What the API is about. */
export interface ApiSubject {
  health(): Health;
  /** Null before there is anything to report; `classId` null for all classes. Throws E_CLASS for an unknown one. */
  stats(classId: string | null): StatsSource | null;
  /** The documents of these three are `feed-report.ts`'s. They reject with WeirError, and the old classes stay. */
  reload(): Promise<object>;
  plan(request: ClassesRequest): Promise<object>;
  apply(request: ClassesRequest): Promise<object>;
}

/**
 * Listens at `path`. Replaces the socket of a daemon that is gone. Throws E_SOCKET_IN_USE when one answers there, and
 * E_SOCKET when the path cannot be had.
 */
export async function listen(path: string, subject: ApiSubject): Promise<Server> {
  await clearPath(path);
  const server = createServer((request, response) => {
    answer(subject, request, response).catch((error: unknown) => respondError(response, error));
  });
  const umask = process.umask(UMASK_FOR_SOCKET);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  try {
    await once(server, 'listening');
    chmodSync(path, SOCKET_MODE);
  } catch (cause) {
    throw socketError(path, cause);
  }
  return server;
}

/** Closes the server; its socket file goes with it. */
export async function closeServer(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

/** Makes the last folder only, as for /run/weir: of a longer path that is not there, most is a mistake. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function clearPath(path: string): Promise<void> {
  try {
    makeFolder(dirname(path));
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (!stat.isSocket()) throw new WeirError('E_SOCKET', `${path}: is in the way and is not a socket`);
    if (await answers(path))
      throw new WeirError('E_SOCKET_IN_USE', `${path}: socket already in use by a running daemon`);
    unlinkSync(path);
  } catch (cause) {
    throw socketError(path, cause);
  }
}

/** Whether somebody listens at a socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}

function socketError(path: string, cause: unknown): WeirError {
  if (cause instanceof WeirError) return cause;
  return new WeirError('E_SOCKET', `${path}: ${(cause as Error).message}`, { cause });
}

async function answer(
  subject: ApiSubject,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://weir');
  const wanted = ROUTES[url.pathname];
  if (wanted === undefined) {
    respondFailure(response, STATUS.notFound, 'E_PATH', `no such path: ${url.pathname}`);
  } else if (request.method !== wanted) {
    response.setHeader('allow', wanted);
    respondFailure(response, STATUS.badMethod, 'E_METHOD', `${url.pathname} takes ${wanted}`);
  } else if (url.pathname === '/health') {
    const health = subject.health();
    respond(response, health.state === 'running' ? STATUS.ok : STATUS.notReady, health);
  } else if (url.pathname === '/stats')
    await respondStats(response, subject.stats(url.searchParams.get('class')));
  else if (url.pathname === '/reload') respond(response, STATUS.ok, await subject.reload());
  else {
    const wish = classesRequest(await readBody(request));
    const report = await (url.pathname === '/classes/plan' ? subject.plan(wish) : subject.apply(wish));
    respond(response, STATUS.ok, report);
  }
}

const ROUTES: Readonly<Record<string, 'GET' | 'POST'>> = {
  '/health': 'GET',
  '/stats': 'GET',
  '/reload': 'POST',
  '/classes/plan': 'POST',
  '/classes/apply': 'POST',
};

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new WeirError('E_REQUEST', 'the request is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** `{"source": {"url": …, "queries": {…}}, "force": true, "text": true}`; what is left out is null or false. */
function classesRequest(text: string): ClassesRequest {
  if (text.trim() === '') return { source: null, isForced: false, asText: false };
  let wish: {
    source?: { url?: unknown; queries?: unknown } | null;
    force?: unknown;
    text?: unknown;
  } | null;
  try {
    wish = JSON.parse(text) as typeof wish;
  } catch {
    wish = null;
  }
  const { source = null, force = false, text: asText = false } = wish ?? { force: null };
  const queries = source?.queries ?? {};
  const isRight =
    typeof force === 'boolean' &&
    typeof asText === 'boolean' &&
    (source === null || typeof source.url === 'string') &&
    typeof queries === 'object' &&
    Object.values(queries).every((sql) => typeof sql === 'string');
  if (!isRight)
    throw new WeirError(
      'E_REQUEST',
      'the request is not of the form {"source": {"url": "…"}, "force": true}',
    );
  return {
    source: source === null ? null : { url: source.url as string, queries: queries as RecordQueries },
    isForced: force as boolean,
    asText: asText as boolean,
  };
}

async function respondStats(response: ServerResponse, source: StatsSource | null): Promise<void> {
  if (source === null) {
    respondFailure(response, STATUS.notReady, 'E_NOT_READY', 'the daemon is starting');
    return;
  }
  response.writeHead(STATUS.ok, { 'content-type': 'application/json' });
  await pipeline(Readable.from(statsChunks(source)), response);
}

function respond(response: ServerResponse, status: number, document: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(document)}\n`);
}

function respondFailure(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  more: { readonly lines?: readonly string[]; readonly exitCode?: number } = {},
): void {
  respond(response, status, { error: { code, message, ...more } });
}

function respondError(response: ServerResponse, error: unknown): void {
  // A document that has begun cannot become an error any more; the reader sees that it is cut off.
  if (response.headersSent) response.destroy();
  else if (!(error instanceof WeirError))
    respondFailure(response, STATUS.failed, 'E_INTERNAL', String(error));
  else
    respondFailure(
      response,
      error.code === 'E_CLASS' ? STATUS.notFound : STATUS.refused,
      error.code,
      error.message,
      {
        ...(error instanceof ClassFaults ? { lines: error.lines } : {}),
        // Of an asking verb, where it is not the common one.
        ...(error.exitCode === 2 ? { exitCode: 2 } : {}),
      },
    );
}
