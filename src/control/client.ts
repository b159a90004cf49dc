/** How programs ask a running daemon: HTTP over its control socket. */
import { request } from 'node:http';
import { WeirError } from '../errors.js';

const TIMEOUT_MS = 30_000;

export interface Call {
  readonly method?: 'GET' | 'POST';
  /** Sent as JSON. */
  readonly body?: object;
  readonly timeoutMs?: number;
  /** Whether an answer other than 200 is an answer too, as that of `/health`. */
  readonly anyStatus?: boolean;
}

/** What the daemon refused, with a line for each thing that is wrong. */
export class RefusedError extends WeirError {
  readonly lines: readonly string[];

  constructor(code: string, message: string, lines: readonly string[], exitCode: 1 | 2) {
    super(code, message, { exitCode });
    this.lines = lines;
  }
}

/**
 * The body of the answer. Throws E_NOT_RUNNING, E_PRIVILEGE, E_CONTROL when nobody answers in time, or what the daemon
 * answers.
 */
export function ask(socketPath: string, path: string, call: Call = {}): Promise<string> {
  const { method = 'GET', body, timeoutMs = TIMEOUT_MS, anyStatus = false } = call;
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => reject(connectError(socketPath, cause));
    const sent = request({ socketPath, path, method, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        if (anyStatus || response.statusCode === 200) resolve(text);
        else reject(answeredError(text));
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.on('error', fail);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function connectError(socketPath: string, cause: NodeJS.ErrnoException): WeirError {
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
    return new WeirError('E_NOT_RUNNING', `${socketPath}: no daemon answers there`, { cause });
  if (cause.code === 'EACCES')
    return new WeirError('E_PRIVILEGE', `${socketPath}: only the daemon's user may ask it`, { cause });
  return new WeirError('E_CONTROL', `${socketPath}: ${cause.message}`, { cause });
}

function answeredError(text: string): WeirError {
  try {
    const { error } = JSON.parse(text) as {
      error: { code: string; message: string; lines?: readonly string[]; exitCode?: 1 | 2 };
    };
    return new RefusedError(error.code, error.message, error.lines ?? [error.message], error.exitCode ?? 1);
  } catch {
    return new WeirError('E_CONTROL', `the daemon answers what is no JSON: ${text.slice(0, 80)}`);
  }
}
