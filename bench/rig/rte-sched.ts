/** The column of DPDK's hierarchical scheduler: bench/peers/rte-sched, which is built when it is asked for. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Column } from './rounds.js';

export const RTE_SCHED = 'rte_sched';

export interface RteSchedLoad {
  readonly classes: number;
  readonly throttled: number;
  /** Measured time of a run. */
  readonly seconds: number;
  readonly seed: number;
}

export interface RteSched {
  readonly column: Column;
  /** As it names itself; null when the column is missing. */
  readonly version: string | null;
}

interface Outcome {
  readonly packets: number;
  readonly nsPerPacket: number;
  readonly sentShare: number;
  readonly dpdk: string;
}

// The compiled file is dist/bench/rig/rte-sched.js, three folders below the package.
const PEERS = fileURLToPath(new URL('../../../bench/peers', import.meta.url));
const PACKAGES = 'apt-get install dpdk-dev pkg-config gcc make';
const BUILD_TIMEOUT_MS = 60_000;
/** A million leaves take long to set up. */
const RUN_TIMEOUT_MS = 180_000;
const TRIAL_SECONDS = 0.01;

const execute = promisify(execFile);

/** Builds the program and tries it once. What it cannot do is the column's `missing`. */
export async function rteSched(load: RteSchedLoad): Promise<RteSched> {
  const why = await whyNotBuilt();
  if (why !== null) return { column: missing(why), version: null };
  const trial = await run(load, TRIAL_SECONDS).catch((error: unknown) => lastWords(error));
  if (typeof trial === 'string') return { column: missing(trial), version: null };
  const measure: Column['measure'] = async () => {
    const { packets, nsPerPacket, sentShare } = await run(load, load.seconds);
    return { nsPerPacket, mpps: 1000 / nsPerPacket, sentShare, packets };
  };
  return { column: { name: RTE_SCHED, missing: null, measure }, version: trial.dpdk };
}

function missing(why: string): Column {
  return { name: RTE_SCHED, missing: why, measure: async () => ({}) };
}

async function whyNotBuilt(): Promise<string | null> {
  try {
    await execute('pkg-config', ['--exists', 'libdpdk']);
  } catch {
    return `DPDK is not installed: ${PACKAGES}`;
  }
  try {
    await execute('make', ['--silent', '-C', PEERS, 'build/rte-sched'], { timeout: BUILD_TIMEOUT_MS });
    return null;
  } catch (error) {
    return `bench/peers/rte-sched does not compile (${PACKAGES}): ${lastWords(error)}`;
  }
}

async function run(load: RteSchedLoad, seconds: number): Promise<Outcome> {
  const { classes, throttled, seed } = load;
  const options = { leaves: classes, throttled, seconds, seed };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { stdout } = await execute(join(PEERS, 'build', 'rte-sched'), args, { timeout: RUN_TIMEOUT_MS });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome;
}

function lastWords(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr?.trim() || message).split('\n').at(-1)!;
}
