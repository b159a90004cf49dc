/**
 * A PostgreSQL server of one's own in a scratch folder, for tests, benchmarks and the lab: no server that runs already is
 * touched. It ends with the process that started it, however that ends.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { WeirError } from '../errors.js';

/** Debian keeps each version's programs here. */
const DEBIAN_FOLDER = '/usr/lib/postgresql';
const FOLDER_PREFIX = 'weir-pg-';
const USER = 'weir';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const LOOK_AGAIN_MS = 20;

export interface ScratchOptions {
  /** Whether what was committed is on the disk, as on a real server; false is quicker. A killed server keeps it either way. */
  readonly fsync?: boolean;
}

/** The folder with PostgreSQL's programs, of the newest version; null if there is none. */
export function findPostgres(): string | null {
  const versions = existsSync(DEBIAN_FOLDER) ? readdirSync(DEBIAN_FOLDER) : [];
  versions.sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...versions.map((version) => join(DEBIAN_FOLDER, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  const hasServer = (folder: string) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name)));
  return folders.find((folder) => folder !== '' && hasServer(folder)) ?? null;
}

/** Why no scratch server can run here, or null. */
export function whyNoPostgres(): string | null {
  if (findPostgres() === null) return 'PostgreSQL is not installed: apt-get install -y postgresql-15';
  if (!isRoot()) return null;
  if (spawnSync('setpriv', ['--version']).error !== undefined) return 'the command setpriv is missing';
  return serverUser() === null ? 'PostgreSQL does not run as root, and there is no user postgres' : null;
}

export class ScratchPostgres {
  readonly folder: string;
  readonly #bin: string;
  readonly #fsync: boolean;
  readonly #password = `secret-${Math.random().toString(36).slice(2)}`;
  readonly #removeAtExit: () => void;
  #port = 0;
  #server: ChildProcess | null = null;

  private constructor(bin: string, fsync: boolean) {
    this.#bin = bin;
    this.#fsync = fsync;
    removeLeftovers();
    this.folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
    this.#removeAtExit = () => {
      this.#server?.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    };
    process.once('exit', this.#removeAtExit);
  }

  /**
   * A new, empty server, running.
   * @throws WeirError E_POSTGRES
   */
  static async start(options: ScratchOptions = {}): Promise<ScratchPostgres> {
    const why = whyNoPostgres();
    if (why !== null) throw new WeirError('E_POSTGRES', why);
    const server = new ScratchPostgres(findPostgres()!, options.fsync ?? false);
    try {
      server.#initialise();
      server.#port = await freePort();
      await server.start();
      return server;
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  /** Of the database `postgres`, over the Unix socket, which takes no password. */
  get url(): string {
    return this.urlOf('postgres');
  }

  urlOf(database: string): string {
    return `postgres://${USER}@${encodeURIComponent(this.folder)}:${this.#port}/${database}`;
  }

  /** Over loopback, where the server asks for a password. */
  tcpUrl(database = 'postgres', { user = USER, password = this.#password } = {}): string {
    return `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${this.#port}/${database}`;
  }

  /** Makes an empty database and hands out its URL. */
  async createDatabase(name: string): Promise<string> {
    await this.query(`CREATE DATABASE "${name}"`);
    return this.urlOf(name);
  }

  /** Rows of the last statement, in any database of this server. */
  async query(text: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.urlOf(database) });
    client.on('error', () => {}); // the query's own error tells
    await client.connect();
    try {
      const result: pg.QueryResult | pg.QueryResult[] = await client.query(text);
      return (Array.isArray(result) ? result[result.length - 1]! : result).rows;
    } finally {
      await client.end();
    }
  }

  /** Starts what stop() or kill() ended; data and port are the same. */
  async start(): Promise<void> {
    const endsMs = Date.now() + START_TIMEOUT_MS;
    // After a kill, what is left of the old server holds its memory for a moment, and the new one refuses to start.
    for (;;) {
      const server = this.#spawn();
      while (server.exitCode === null && server.signalCode === null && Date.now() < endsMs) {
        if (await this.#answers()) return;
        await sleep(LOOK_AGAIN_MS);
      }
      server.kill('SIGKILL');
      if (Date.now() >= endsMs)
        throw new WeirError('E_POSTGRES', `the server does not start: ${this.#lastLine()}`);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** Ends it in order: sessions are closed, everything is written. */
  async stop(): Promise<void> {
    await this.#end('SIGINT');
  }

  /** As if the power went, for the server's processes. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Stops or continues the server's main process and all sessions, as a machine that hangs. */
  freeze(frozen: boolean): void {
    const server = this.#server;
    if (server?.pid === undefined) return;
    const signal = frozen ? 'SIGSTOP' : 'SIGCONT';
    for (const pid of [server.pid, ...childrenOf(server.pid)]) signalIfThere(pid, signal);
  }

  /** Ends the server and removes its folder. */
  async remove(): Promise<void> {
    await this.#end('SIGQUIT');
    process.removeListener('exit', this.#removeAtExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #initialise(): void {
    const passwordFile = join(this.folder, 'password');
    writeFileSync(passwordFile, this.#password, { mode: 0o600 });
    const owner = serverUser();
    if (owner !== null) {
      for (const path of [passwordFile, this.folder]) chownSync(path, owner.uid, owner.gid);
    }
    chmodSync(this.folder, 0o755);
    const [command, ...args] = this.#command('initdb', [
      ...['-D', this.#data, '-U', USER, `--pwfile=${passwordFile}`, '--no-sync'],
      ...['--auth-local=trust', '--auth-host=scram-sha-256', '--encoding=UTF8', '--locale=C'],
    ]);
    execFileSync(command!, args, { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  #spawn(): ChildProcess {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.#port,
      unix_socket_directories: this.folder,
      fsync: this.#fsync ? 'on' : 'off',
      max_connections: 40,
      shared_buffers: '32MB',
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    const [command, ...args] = this.#command('postgres', ['-D', this.#data, ...options]);
    const log = openSync(this.#log, 'a');
    this.#server = spawn(command!, args, { cwd: this.folder, stdio: ['ignore', log, log] });
    return this.#server;
  }

  /** As the user postgres where we are root, and to be ended with us. */
  #command(program: string, args: readonly string[]): string[] {
    const owner = serverUser();
    const identity = owner === null ? [] : [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
    return ['setpriv', ...identity, '--pdeathsig=QUIT', join(this.#bin, program), ...args];
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
    server.kill(signal);
    const late = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(late);
  }

  async #answers(): Promise<boolean> {
    return this.query('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  get #log(): string {
    return join(this.folder, 'log');
  }

  #lastLine(): string {
    return readFileSync(this.#log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Who runs the server if we may not; null if that is us, or if there is nobody. */
function serverUser(): { uid: number; gid: number } | null {
  if (!isRoot()) return null;
  const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  return entry === null ? null : { uid: Number(entry[1]), gid: Number(entry[2]) };
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** A session may end between being listed and being told. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Of processes that were killed before they could clean up. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
