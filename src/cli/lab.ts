/** The verb `weir lab`: shows weir at work between network namespaces, and judges what came of it. */
import { createLogUpdate } from 'log-update';
import { gatherFacts } from '../doctor/gather.js';
import { usageError, WeirError } from '../errors.js';
import { busyShare } from '../lab/busy.js';
import { DaemonShaper } from '../lab/daemon.js';
import { type LabOptions, runLab } from '../lab/lab.js';
import { missingForLab } from '../lab/needs.js';
import { type LabPlan, labPlan, SECONDS_MAX, SECONDS_MIN, USERS_MAX, USERS_MIN } from '../lab/plan.js';
import { simulateLab } from '../lab/simulate.js';
import type { Verdict } from '../lab/verdict.js';
import { formatLine, formatTable, formatVerdicts } from '../lab/view.js';
import { printError, printJson, printText } from './output.js';

/** Options as commander hands them out. */
export interface LabVerbOptions {
  readonly users: string;
  readonly seconds: string;
  readonly seed: string;
  readonly json?: boolean;
}

interface Result {
  readonly mode: 'packets' | 'simulated';
  readonly verdicts: readonly Verdict[];
}

const SEED_MAX = 2 ** 32 - 1;
/** Above this, delays and rates are those of a machine that does something else. */
const BUSY_MAX = 0.15;

/** Returns the exit code: 1 when an expectation fails. Throws WeirError. */
export async function runLabVerb(options: LabVerbOptions): Promise<number> {
  const plan = labPlan({
    users: number(options, 'users', USERS_MIN, USERS_MAX, true),
    seconds: number(options, 'seconds', SECONDS_MIN, SECONDS_MAX, false),
    seed: number(options, 'seed', 0, SEED_MAX, true),
  });
  const { mode, verdicts } = await runPlan(plan, options.json === true);
  if (options.json === true) {
    const { users, seconds, seed } = plan;
    await printJson({ mode, users, seconds, seed, ok: verdicts.every(({ ok }) => ok), verdicts });
  } else await printText(`\n${formatVerdicts(verdicts)}`);
  return verdicts.every(({ ok }) => ok) ? 0 : 1;
}

/** On real packets where the machine allows, otherwise in the simulator. */
async function runPlan(plan: LabPlan, json: boolean): Promise<Result> {
  const missing = missingForLab(gatherFacts(null));
  if (missing.length === 0) {
    await warnIfBusy();
    try {
      return { mode: 'packets', verdicts: await runOnPackets(plan, json) };
    } catch (error) {
      if (!(error instanceof WeirError && error.code === 'E_LAB_NETWORK')) throw error;
      missing.push(error.message);
    }
  }
  for (const need of missing) printError('W_LAB_SIMULATED', `the lab cannot send packets: ${need}`);
  if (!json)
    await printText(`the same plan in the simulator, ${plan.users} subscribers, ${plan.seconds} s\n`);
  return { mode: 'simulated', verdicts: simulateLab(plan).verdicts };
}

async function warnIfBusy(): Promise<void> {
  const share = await busyShare();
  if (share <= BUSY_MAX) return;
  const percent = (share * 100).toFixed(0);
  printError(
    'W_LAB_BUSY',
    `other programs keep ${percent} % of the CPUs busy; delays and rates will show it`,
  );
}

async function runOnPackets(plan: LabPlan, json: boolean): Promise<readonly Verdict[]> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, end);
  const screen = screenFor(plan, json);
  try {
    const createShaper: LabOptions['createShaper'] = (net, folder) => new DaemonShaper(net, folder, plan);
    const { verdicts, complaints } = await runLab({ plan, createShaper, signal: ending.signal, ...screen });
    for (const complaint of complaints) printError('W_LAB_TRAFFIC', complaint);
    return verdicts;
  } finally {
    for (const name of signals) process.off(name, end);
  }
}

/** A table that is drawn over itself on a terminal, lines elsewhere, nothing beside a JSON document. */
function screenFor(plan: LabPlan, json: boolean): Pick<LabOptions, 'onStage' | 'onProgress'> {
  if (json) return { onStage: () => {}, onProgress: () => {} };
  const { stdout } = process;
  const onStage = (text: string): void => {
    stdout.write(`${text}\n`);
  };
  if (stdout.isTTY !== true) {
    return { onStage, onProgress: (progress) => stdout.write(formatLine(plan, progress)) };
  }
  const draw = createLogUpdate(stdout);
  return {
    onStage: (text) => {
      draw.done();
      onStage(text);
    },
    onProgress: (progress) => draw(formatTable(plan, progress)),
  };
}

function number(
  options: LabVerbOptions,
  name: 'users' | 'seconds' | 'seed',
  min: number,
  max: number,
  whole: boolean,
): number {
  const text = options[name];
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw usageError('E_USAGE', `--${name}: '${text}' is not a number from ${min} to ${max}`);
  }
  if (whole && !Number.isInteger(value))
    throw usageError('E_USAGE', `--${name}: '${text}' is not a whole number`);
  return value;
}
