/** Changes of weir's classes: another program commits to the user database that the daemon follows. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask } from '../src/control/client.js';
import { WeirError } from '../src/errors.js';
import { Helper } from '../src/lab/commands.js';
import type { ChurnFigures, ChurnSide, Timed } from './churn.js';
import { Editor, fillDatabase } from './churn-database.js';
import { DEVICES, type InlineNet } from './inline-net.js';

interface Plan {
  readonly added: readonly unknown[];
  readonly removed: readonly unknown[];
  readonly moved: readonly unknown[];
  readonly changed: readonly unknown[];
}

const EDITOR = fileURLToPath(new URL('./churn-editor.js', import.meta.url));
const START_MAX_MS = 60_000;
const IN_FORCE_MAX_MS = 60_000;
const POLL_MS = 1;
/** The code of a daemon that has just started is not compiled yet: so many commits of so many rows come first. */
const WARM_UP_COMMITS = 12;
const WARM_UP_ROWS = 1000;
/** Changes that come one right after the other wait for the control thread to rest. */
const REST_MS = 100;

export class WeirChurn implements ChurnSide {
  readonly sink = DEVICES.sink;
  readonly #net: InlineNet;
  readonly #folder: string;
  readonly #subscribers: number;
  readonly #socket: string;
  readonly #database: string;

  constructor(net: InlineNet, folder: string, subscribers: number) {
    this.#net = net;
    this.#folder = folder;
    this.#subscribers = subscribers;
    this.#socket = join(folder, 'churn.sock');
    this.#database = join(folder, 'churn.db');
  }

  /** The daemon is new each time, and its database. */
  async while(body: (timed: Timed) => Promise<ChurnFigures>): Promise<ChurnFigures> {
    await this.#clear();
    await fillDatabase(this.#database, this.#subscribers);
    const config = await this.#writeConfig();
    const startMs = performance.now();
    const daemon = this.#net.startWeir('daemon', '--config', config);
    try {
      await this.#untilShaping(daemon);
      const fromNothingSeconds = (performance.now() - startMs) / 1000;
      const editor = new Editor(this.#database);
      try {
        await this.#warmUp(editor);
        const figures = await body({
          one: (subscriber) => this.#one(editor, subscriber),
          singles: (seconds) => this.#singles(seconds),
          many: async (subscribers) => {
            await this.#inForce(() => editor.changeMany(subscribers));
          },
          all: () => this.#all(editor),
        });
        daemon.assertRunning();
        return { ...figures, fromNothingSeconds };
      } finally {
        editor.close();
      }
    } finally {
      await daemon.stop();
      await this.#clear();
    }
  }

  async #warmUp(editor: Editor): Promise<void> {
    const rows = Array.from({ length: Math.min(WARM_UP_ROWS, this.#subscribers) }, (_, i) => i);
    for (let i = 0; i < WARM_UP_COMMITS; i++) await this.#inForce(() => editor.changeMany(rows));
  }

  async #one(editor: Editor, subscriber: number): Promise<number> {
    const tookMs = await this.#inForce(() => editor.change(subscriber));
    await sleep(REST_MS);
    return tookMs;
  }

  /** Makes one commit and waits for the epoch that has it, which is the next; the milliseconds of both. */
  async #inForce(commit: () => void): Promise<number> {
    const epoch = await this.#epoch();
    const startMs = performance.now();
    commit();
    while ((await this.#epoch()) === epoch) await this.#wait(startMs);
    return performance.now() - startMs;
  }

  /** From the first commit until the last of them is in force. */
  async #singles(seconds: number): Promise<number> {
    let output = '';
    const words = [EDITOR, this.#database, String(seconds), String(this.#subscribers)];
    const program = new Helper([process.execPath, ...words], (text) => (output += text));
    if ((await program.exited) !== 0) throw new WeirError('E_BENCH_CHURN', program.lastWords);
    await this.#untilPlanned();
    const endNs = Number(process.hrtime.bigint());
    const { committed, startNs } = JSON.parse(output) as { committed: number; startNs: number };
    return (committed * 1e9) / (endNs - startNs);
  }

  /** The commit as well: it is what the operator does. */
  async #all(editor: Editor): Promise<number> {
    await this.#untilPlanned();
    await sleep(REST_MS);
    const startMs = performance.now();
    await this.#inForce(() => editor.changeAll());
    await this.#untilPlanned();
    return (performance.now() - startMs) / 1000;
  }

  /** Which every worker has adopted. */
  async #epoch(): Promise<number> {
    return (JSON.parse(await ask(this.#socket, '/health')) as { epoch: number }).epoch;
  }

  /** Until the classes in force are those of the database. */
  async #untilPlanned(): Promise<void> {
    const startMs = performance.now();
    for (;;) {
      const text = await ask(this.#socket, '/classes/plan', { method: 'POST', body: {} });
      const { added, removed, moved, changed } = JSON.parse(text) as Plan;
      if (added.length + removed.length + moved.length + changed.length === 0) return;
      await this.#wait(startMs);
    }
  }

  async #wait(startMs: number): Promise<void> {
    if (performance.now() > startMs + IN_FORCE_MAX_MS)
      throw new WeirError('E_BENCH_CHURN', 'a change did not come into force');
    await sleep(POLL_MS);
  }

  async #untilShaping(daemon: Helper): Promise<void> {
    for (
      const startMs = performance.now();
      performance.now() < startMs + START_MAX_MS;
      await sleep(POLL_MS * 10)
    ) {
      daemon.assertRunning();
      const shapes = await ask(this.#socket, '/health').then(
        () => true,
        () => false,
      );
      if (shapes) return;
    }
    throw new WeirError('E_BENCH_DAEMON', `the daemon does not answer: ${daemon.lastWords}`);
  }

  async #writeConfig(): Promise<string> {
    const path = join(this.#folder, 'churn.json');
    const config = {
      ports: { inside: { device: DEVICES.inside }, outside: { device: DEVICES.outside } },
      queues: 1,
      cpus: [1],
      rings: { backend: 'xdp', frames: 65_536, ringSize: 8192 },
      flows: { capacity: 131_072 },
      classes: { source: `sqlite:${this.#database}`, stateFolder: this.#folder },
      accounting: { spool: join(this.#folder, 'churn-usage.db') },
      control: { socket: this.#socket },
      log: { level: 'warn' },
    };
    await writeFile(path, JSON.stringify(config));
    return path;
  }

  async #clear(): Promise<void> {
    const files = [this.#database, join(this.#folder, 'churn-usage.db')];
    for (const file of files)
      for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
  }
}
