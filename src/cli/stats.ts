/** The verb `weir stats`: asks the running daemon. */
import { request } from 'node:http';
import { formatFault, loadConfig } from '../config/load.js';
import { WeirError } from '../errors.js';
import { formatStats, type StatsDocument } from '../metrics/report.js';
import { printError, printText } from './output.js';

export interface StatsArguments {
  readonly class?: string;
  readonly json?: boolean;
  readonly config?: string;
  readonly socket?: string;
}

const SOCKET_DEFAULT = '/run/weir/weir.sock';
const TIMEOUT_MS = 30_000;

/** Prints the counters of the daemon. Returns the exit code; throws WeirError. */
export async function runStats(options: StatsArguments): Promise<number> {
  const socket = socketPath(options);
  if (socket === null) return 2;
  const query = options.class === undefined ? '' : `?class=${encodeURIComponent(options.class)}`;
  const text = await get(socket, `/stats${query}`);
  if (options.json === true) await printText(text.endsWith('\n') ? text : `${text}\n`);
  else await printText(formatStats(JSON.parse(text) as StatsDocument));
  return 0;
}

/** The socket that is meant; null after the faults of a configuration have been printed. */
function socketPath({ socket, config: path }: StatsArguments): string | null {
  if (socket !== undefined) return socket;
  if (path === undefined) return process.env.WEIR_CONTROL_SOCKET ?? SOCKET_DEFAULT;
  const { config, faults } = loadConfig(path);
  for (const fault of faults) printError('E_CONFIG', formatFault(fault));
  return config?.control.socket ?? null;
}

/** The body of a GET over the socket. Throws E_NOT_RUNNING, E_PRIVILEGE, or what the daemon answers. */
function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => reject(connectError(socketPath, cause));
    const call = request({ socketPath, path, timeout: TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(answeredError(text));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    call.on('error', fail);
    call.end();
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
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return new WeirError(error.code, error.message);
  } catch {
    return new WeirError('E_CONTROL', `the daemon answers what is no JSON: ${text.slice(0, 80)}`);
  }
}
