/** Changes of the kernel's HTB classes: `tc -batch` with the lines that weir exports. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTc } from '../classes/formats/tc-export.js';
import { parseClassTree } from '../classes/validate.js';
import { WeirError } from '../src/errors.js';
import { Helper } from '../src/lab/commands.js';
import type { ChurnFigures, ChurnSide, Timed } from './churn.js';
import { idOf, type PlanName, treeOf } from './churn-database.js';
import { DEVICES, type InlineNet } from './inline-net.js';
import { KernelHtb } from './kernel-htb.js';

/** A device of its own, on which the classes stay while the other column has its turn. */
export const TC_EXIT = { device: 'kernel', sink: 'kernel-sink' } as const;
/** What weir's leaves hold unless they are told otherwise. */
const LIMIT_PACKETS = 1000;
const STEER_SECONDS = 600;
const TC_MAX_MS = 15 * 60_000;
const PLANS: readonly PlanName[] = ['small', 'large'];
/** Of these plans, as tc prints them. */
const TC_RATES = ['1Mbit', '2Mbit'] as const;

interface LoadTimes {
  readonly onlyClassesSeconds: number;
  readonly fromNothingSeconds: number;
}

export class TcChurn implements ChurnSide {
  readonly sink = TC_EXIT.sink;
  readonly #net: InlineNet;
  readonly #folder: string;
  readonly #htb: KernelHtb;
  /** By plan, what weir exports for the device. */
  readonly #scripts: readonly (readonly string[])[];
  /** By plan, a line for each subscriber. */
  readonly #changes: readonly (readonly string[])[];
  /** Of the subscribers, as an index of PLANS. */
  readonly #plans: Uint8Array;
  #loading: Promise<LoadTimes> | null = null;

  constructor(net: InlineNet, folder: string, subscribers: number) {
    this.#net = net;
    this.#folder = folder;
    this.#htb = new KernelHtb({
      ...{ namespace: net.shaper, ingress: DEVICES.outside, egress: TC_EXIT.device, folder },
      ...{ document: treeOf(subscribers, 'small'), direction: 'down', bursts: 'tree', queues: 1 },
      limitPackets: LIMIT_PACKETS,
    });
    this.#scripts = PLANS.map((plan) => exportedLines(subscribers, plan));
    this.#changes = this.#scripts.map((lines) => changeLines(lines, subscribers));
    this.#plans = new Uint8Array(subscribers);
  }

  async while(body: (timed: Timed) => Promise<ChurnFigures>): Promise<ChurnFigures> {
    // Thousands of classes take the kernel up to minutes: it walks all that there are for each new one.
    this.#loading ??= this.#load();
    const times = await this.#loading;
    const figures = await this.#htb.while('priority', STEER_SECONDS, () =>
      body({
        one: (subscriber) => this.#change([subscriber]),
        singles: (seconds) => this.#singles(seconds),
        many: async (subscribers) => {
          await this.#change(subscribers);
        },
        all: async () => (await this.#change([...this.#plans.keys()])) / 1000,
      }),
    );
    await this.#check();
    return { ...figures, ...times };
  }

  /** What an operator loads, but for one direction only: classes, a queue for each leaf, and filters. */
  async #load(): Promise<LoadTimes> {
    await this.#net.addExit(TC_EXIT.device, TC_EXIT.sink, 1);
    const classesMs = await this.#htb.load();
    const restMs = await this.#tc(this.#scripts[0]!.filter((line) => !isOfClasses(line)));
    return { onlyClassesSeconds: classesMs / 1000, fromNothingSeconds: (classesMs + restMs) / 1000 };
  }

  /** Throws E_BENCH_CHURN if the kernel has another rate than it was told. */
  async #check(): Promise<void> {
    const classes = await this.#htb.classes();
    this.#plans.forEach((plan, subscriber) => {
      const rate = classes.get(idOf(subscriber))?.rate;
      if (rate !== TC_RATES[plan])
        throw new WeirError(
          'E_BENCH_CHURN',
          `the rate of ${idOf(subscriber)} is ${rate}, not ${TC_RATES[plan]}`,
        );
    });
  }

  /** A tc of its own for each. */
  async #singles(seconds: number): Promise<number> {
    const startMs = performance.now();
    let done = 0;
    while (performance.now() < startMs + seconds * 1000) await this.#change([done++ % this.#plans.length]);
    return (done * 1000) / (performance.now() - startMs);
  }

  /** Gives these the other plan; the milliseconds that tc ran. */
  async #change(subscribers: readonly number[]): Promise<number> {
    const lines = subscribers.map((subscriber) => {
      this.#plans[subscriber]! ^= 1;
      return this.#changes[this.#plans[subscriber]!]![subscriber];
    });
    return this.#tc(lines);
  }

  /** The milliseconds that tc took for these lines. */
  async #tc(lines: readonly (string | undefined)[]): Promise<number> {
    const path = join(this.#folder, 'changes.tc');
    await writeFile(path, `${lines.join('\n')}\n`);
    const startMs = performance.now();
    const tc = new Helper(['tc', '-n', this.#net.shaper, '-batch', path]);
    const timer = setTimeout(() => void tc.stop('SIGKILL'), TC_MAX_MS);
    const code = await tc.exited;
    clearTimeout(timer);
    if (code !== 0) throw new WeirError('E_BENCH_TC', `tc -batch: ${tc.lastWords}`);
    return performance.now() - startMs;
  }
}

/** For the device toward the subscribers. */
function exportedLines(subscribers: number, plan: PlanName): string[] {
  const { tree } = parseClassTree(treeOf(subscribers, plan));
  const { script } = writeTc(tree!, { downDevice: TC_EXIT.device, upDevice: DEVICES.outside });
  if (script === null) throw new WeirError('E_BENCH_TREE', 'the kernel cannot have these classes');
  return script.split('\n').filter((line) => line.includes(` add dev ${TC_EXIT.device} `));
}

function isOfClasses(line: string): boolean {
  return line.startsWith('class ') || line.startsWith(`qdisc add dev ${TC_EXIT.device} root `);
}

function changeLines(exported: readonly string[], subscribers: number): string[] {
  const added = exported.filter((line) => line.startsWith('class add '));
  return added.slice(-subscribers).map((line) => line.replace('class add', 'class change'));
}
