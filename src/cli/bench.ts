/** The verb `weir bench`: reads the options, calls the benchmark, prints what it returns. */
import { usageError } from '../errors.js';
import { printJson, printText } from './output.js';

/** Options as commander hands them out. */
export type RawOptions = Readonly<Record<string, string | boolean>>;

const CLASSES_MAX = 1_000_000;
const FLOWS_MAX = 20_000_000;
const SECONDS_MAX = 3600;
const QUEUES_MAX = 256;
const SEED_MAX = 2 ** 32 - 1;
const RUNS_MAX = 100;
const CHANGES_MAX = 10_000;
const FRAME_MAX_BYTES = 1514;
const BACKENDS = ['xdp', 'packet'];

export async function runBenchCore(options: RawOptions): Promise<number> {
  const classes = whole(options, 'classes', 1, CLASSES_MAX);
  const settings = {
    classes,
    throttled: number(options, 'throttled', 0, 1),
    flows: options.flows === undefined ? classes : whole(options, 'flows', 1, FLOWS_MAX),
    seconds: seconds(options),
    queues: whole(options, 'queues', 1, QUEUES_MAX),
    seed: whole(options, 'seed', 0, SEED_MAX),
  };
  const { benchCore } = await import('../../bench/core.js');
  await print(await benchCore(settings), options);
  return 0;
}

export async function runBenchFlows(options: RawOptions): Promise<number> {
  const settings = {
    flows: whole(options, 'flows', 1, FLOWS_MAX),
    prefixes: whole(options, 'prefixes', 1, CLASSES_MAX),
    seconds: seconds(options),
    seed: whole(options, 'seed', 0, SEED_MAX),
  };
  const { benchFlows } = await import('../../bench/flows.js');
  await print(await benchFlows(settings), options);
  return 0;
}

export async function runBenchInline(options: RawOptions): Promise<number> {
  const backend = String(options.backend);
  if (!BACKENDS.includes(backend))
    throw usageError('E_USAGE', `--backend: '${backend}' is not one of ${BACKENDS.join(', ')}`);
  const settings = {
    classes: whole(options, 'classes', 1, CLASSES_MAX),
    queues: whole(options, 'queues', 1, QUEUES_MAX),
    seconds: Math.ceil(seconds(options)),
    runs: whole(options, 'runs', 1, RUNS_MAX),
    size: whole(options, 'size', 64, FRAME_MAX_BYTES),
    backend,
  };
  const { benchInline } = await import('../../bench/inline.js');
  await print(await benchInline(settings), options);
  return 0;
}

export async function runBenchClasses(options: RawOptions): Promise<number> {
  const settings = {
    users: whole(options, 'users', 2, CLASSES_MAX),
    fileClasses: whole(options, 'fileClasses', 0, CLASSES_MAX),
    runs: whole(options, 'runs', 1, RUNS_MAX),
    changes: whole(options, 'changes', 1, CHANGES_MAX),
    seed: whole(options, 'seed', 0, SEED_MAX),
  };
  const { benchClasses } = await import('../../bench/classes.js');
  await print(await benchClasses(settings), options);
  return 0;
}

function print(result: object, options: RawOptions): Promise<void> {
  if (options.json === true) return printJson(result);
  const lines = Object.entries(result).map(([key, value]) => `${key}: ${textOf(value)}\n`);
  return printText(lines.join(''));
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function seconds(options: RawOptions): number {
  const value = number(options, 'seconds', 0, SECONDS_MAX);
  if (value === 0) throw usageError('E_USAGE', '--seconds: must be above 0');
  return value;
}

function whole(options: RawOptions, name: string, min: number, max: number): number {
  const value = number(options, name, min, max);
  if (!Number.isInteger(value))
    throw usageError('E_USAGE', `--${name}: '${options[name]}' is not a whole number`);
  return value;
}

function number(options: RawOptions, name: string, min: number, max: number): number {
  const text = String(options[name]);
  const value = /^\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError('E_USAGE', `--${name}: '${text}' is not a number from ${min} to ${max}`);
}
