/** Lives of a child that counts, their ends, and what must be in the database after all of them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import type { UsageRow } from '../../classes/stores/usage.js';
import type { Rng } from '../oracle/random-tree.js';
import { type ChildOptions, countedBefore, MARK, markOf } from './crash-load.js';
import { Sums } from './parts.js';

const CHILD = fileURLToPath(new URL('./crash-child.js', import.meta.url));
/** A child that says nothing for so long hangs. */
const HANG_MS = 60_000;
/** More than a child gets to before it is killed. */
const CHECKPOINTS_MAX = 2000;

export interface Life {
  readonly life: number;
  /** Checkpoints that were on disk, and the one that may have been. */
  recorded: number;
  handed: number;
  hasPaused: boolean;
}

/** When a child is killed: after so many lines and then some milliseconds, or at its pause. */
interface Kill {
  readonly afterLines: number;
  readonly thenMs: number;
}

export class CrashRun {
  readonly lives: Life[] = [];
  readonly #url: string;
  readonly #spool: string;
  readonly #seed: number;

  constructor(url: string, spool: string, seed: number) {
    this.#url = url;
    this.#spool = spool;
    this.#seed = seed;
  }

  /** A child that is killed at a random moment, often just where it hurts. */
  async killedLife(rng: Rng): Promise<Life> {
    const kill = { afterLines: 1 + rng.int(60), thenMs: rng.int(8) };
    const point = rng.int(3);
    const pause = point === 0 ? null : `${point === 1 ? 'before' : 'after'}:${rng.int(4)}`;
    return this.#live({ checkpoints: CHECKPOINTS_MAX, deliverMs: 0 }, pause, kill);
  }

  /** A child that is killed when a batch of its own is about to be in the database (`before:0`), or just is (`after:0`). */
  async pausedLife(pause: string): Promise<Life> {
    const kill = { afterLines: Number.POSITIVE_INFINITY, thenMs: 0 };
    const life = await this.#live({ checkpoints: CHECKPOINTS_MAX, deliverMs: 0 }, pause, kill);
    assert.ok(life.hasPaused, pause);
    return life;
  }

  /** A child that ends by itself, after so many checkpoints and some time to deliver; `onLine` may do things to the database. */
  async wholeLife(checkpoints: number, deliverMs: number, onLine?: (lines: number) => void): Promise<Life> {
    return this.#live({ checkpoints, deliverMs }, null, null, onLine);
  }

  /**
   * Exactly what was recorded is in the database: each checkpoint with its mark once, and of each life perhaps the one
   * that it was handing over when it was killed, whole.
   */
  check(rows: readonly UsageRow[]): void {
    const found = new Sums();
    found.addRows(rows);
    const expected = new Sums();
    for (const { life, recorded, handed } of this.lives)
      for (let number = 1; number <= handed; number++) {
        const hasArrived = found.of.has(markOf(life, number));
        if (number <= recorded) assert.ok(hasArrived, `checkpoint ${number} of life ${life} is lost`);
        if (!hasArrived) continue;
        for (const [id, four] of Object.entries(countedBefore(this.#seed, life, number)))
          expected.add(id, four);
      }
    assert.equal(found.plain(), expected.plain(), `WEIR_SEED=${this.#seed}`);
    assert.ok(rows.some(({ subscriber }) => subscriber.startsWith(MARK)));
  }

  async #live(
    length: { checkpoints: number; deliverMs: number },
    pause: string | null,
    kill: Kill | null,
    onLine: (lines: number) => void = () => {},
  ): Promise<Life> {
    const life: Life = { life: this.lives.length, recorded: 0, handed: 0, hasPaused: false };
    this.lives.push(life);
    const options: ChildOptions = {
      ...length,
      url: this.#url,
      spool: this.#spool,
      seed: this.#seed,
      life: life.life,
    };
    const env = { ...process.env, ...(pause === null ? {} : { WEIR_TEST_PAUSE: pause }) };
    const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
    const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], { env, stdio });
    const ended = once(child, 'close');
    const hang = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let lines = 0;
    let hasStopped = false;
    for await (const line of createInterface({ input: child.stdout! })) {
      lines++;
      const [word, number] = line.split(' ');
      if (word === 'handing') life.handed = Number(number);
      else if (word === 'recorded') life.recorded = Number(number);
      else if (word === 'stopped') hasStopped = true;
      else if (word === 'paused') life.hasPaused = true;
      onLine(lines);
      if (kill === null || (lines < kill.afterLines && word !== 'paused')) continue;
      await sleep(kill.thenMs);
      child.kill('SIGKILL');
    }
    await ended;
    clearTimeout(hang);
    if (kill === null) assert.ok(hasStopped, 'the child ended in order');
    return life;
  }
}
