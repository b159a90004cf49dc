/**
 * What the tests of sharing have in common: scenarios as documents, the figures of a run, and findings that
 * are printed and must hold.
 *
 * A measurement runs a scenario and holds its figures against what the scenario's own tree promises. It may be
 * given a *deform*, which changes the tree that is run but not the promises: so each measurement is also shown
 * to reject a shaper that does something else.
 */
import * as assert from 'uvu/assert';
import type { DirectionResult } from '../../src/sim/result.js';
import { readScenario, type Scenario } from '../../src/sim/scenario.js';
import { runScenario, type SimResult } from '../../src/sim/simulator.js';

export const QUEUE_COUNTS = [1, 2, 4, 16, 64];
export const MBIT = 1e6;
export const GBIT = 1e9;
/** Decides phases of constant arrivals and distances of random ones. */
export const SEED = Number(process.env.WEIR_SEED ?? 1);

/** A class's limits in one direction: bit/s, bytes. */
export interface LimitDoc {
  rate: number;
  ceil?: number;
  burst?: number;
  cburst?: number;
  quantum?: number;
  prio?: number;
}

export interface ClassDoc {
  id: string;
  parent?: string;
  down?: LimitDoc;
  up?: LimitDoc;
}

export interface FlowDoc {
  class: string;
  direction: 'down' | 'up';
  /** bit/s over all queues */
  offered: number;
  size: number;
  spread: number[];
  arrival?: 'cbr' | 'poisson';
  start?: number;
  stop?: number;
}

export interface ScenarioDoc {
  queues: number;
  seconds: number;
  windowMs: number;
  classes: ClassDoc[];
  flows: FlowDoc[];
  overhead?: number;
  mpu?: number;
  stalls?: { queue: number; at: number; seconds: number }[];
}

export type Deform = (spec: ClassDoc) => ClassDoc;

/** Equal parts on the queues listed; each is taken modulo the number of queues and may be listed twice. */
export function spreadOver(queues: number, ...members: number[]): number[] {
  const spread = new Array<number>(queues).fill(0);
  for (const member of members) spread[member % queues]! += 1 / members.length;
  return spread;
}

export function allQueues(queues: number): number[] {
  return new Array<number>(queues).fill(1 / queues);
}

/** Saturating traffic of full-sized packets, at constant distances. */
export function flow(id: string, offered: number, spread: number[], more: Partial<FlowDoc> = {}): FlowDoc {
  return { class: id, direction: 'down', offered, size: 1500, spread, ...more };
}

/** A deform that changes the downward limits of the classes it is told to. */
export function changing(
  isChanged: (id: string) => boolean,
  change: (limit: LimitDoc) => Partial<LimitDoc>,
): Deform {
  return (spec) =>
    spec.down !== undefined && isChanged(spec.id)
      ? { ...spec, down: { ...spec.down, ...change(spec.down) } }
      : spec;
}

/** A deform that lets the given class have a tenth more than its tree says. */
export const tenthMore = (id: string): Deform =>
  changing(
    (other) => other === id,
    ({ rate, ceil }) => ({ rate: rate * 1.1, ceil: (ceil ?? rate) * 1.1 }),
  );

function scenarioOf(document: ScenarioDoc, deform: Deform): Scenario {
  const { overhead = 0, mpu = 0, classes, ...rest } = document;
  const { scenario, problems } = readScenario({
    ...rest,
    seed: SEED,
    classes: { version: 1, overhead, mpu, classes: classes.map(deform) },
  });
  if (scenario === null) throw new Error(problems.map(({ key, message }) => `${key}: ${message}`).join('; '));
  return scenario;
}

/** A finished run. Times are seconds from its start. */
export class Run {
  readonly document: ScenarioDoc;
  /** What the tree promises; the run itself may have been deformed. */
  readonly promised: Scenario;
  readonly result: SimResult;

  constructor(document: ScenarioDoc, deform: Deform = (spec) => spec) {
    this.document = document;
    this.promised = scenarioOf(document, (spec) => spec);
    this.result = runScenario(scenarioOf(document, deform));
  }

  figures(id: string, direction: 'down' | 'up' = 'down'): DirectionResult {
    const figures = this.result.classes[id]?.[direction];
    if (figures === undefined) throw new Error(`no figures for ${id} ${direction}`);
    return figures;
  }

  /** The goodput of each window in [from, to), which must lie on window boundaries. */
  windows(id: string, from: number, to = this.document.seconds, direction: 'down' | 'up' = 'down'): number[] {
    const perSecond = 1000 / this.document.windowMs;
    const part = this.figures(id, direction).windowsBps.slice(
      Math.round(from * perSecond),
      Math.round(to * perSecond),
    );
    assert.is(part.length, Math.round(to * perSecond) - Math.round(from * perSecond), 'windows exist');
    return part;
  }

  meanBps(id: string, from: number, to = this.document.seconds, direction: 'down' | 'up' = 'down'): number {
    return mean(this.windows(id, from, to, direction));
  }
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Jain's fairness index: 1 when all are equal, 1/n when one has everything. */
export function jainIndex(values: readonly number[]): number {
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  return (mean(values) * mean(values) * values.length) / squares;
}

/** Most bytes by which any row of windows, however long, exceeds the ceil: the largest partial sum. */
export function greatestExcessBytes(
  windowsBps: readonly number[],
  ceilBps: number,
  windowMs: number,
): number {
  let sum = 0;
  let greatest = 0;
  for (const bps of windowsBps) {
    sum = Math.max(0, sum + ((bps - ceilBps) * windowMs) / 8000);
    greatest = Math.max(greatest, sum);
  }
  return greatest;
}

/** Figures of one measurement, and which of them are not as they should be. */
export class Findings {
  readonly title: string;
  readonly faults: string[] = [];
  private readonly figures: string[] = [];

  constructor(title: string) {
    this.title = title;
  }

  note(name: string, value: number, digits = 4): void {
    this.figures.push(`${name} ${value.toFixed(digits)}`);
  }

  atLeast(name: string, value: number, least: number): void {
    this.note(name, value);
    if (!(value >= least)) this.faults.push(`${name}: ${value.toFixed(5)} is below ${least}`);
  }

  atMost(name: string, value: number, most: number): void {
    this.note(name, value);
    if (!(value <= most)) this.faults.push(`${name}: ${value.toFixed(5)} is above ${most}`);
  }

  /** Every value must be 1 but for `tolerance`; the figures printed are the extremes. */
  allNearOne(name: string, values: readonly number[], tolerance: number): void {
    this.atLeast(`${name} min`, Math.min(...values), 1 - tolerance);
    this.atMost(`${name} max`, Math.max(...values), 1 + tolerance);
  }

  /**
   * No class, inner or leaf, passed its ceil by more than its burst in any row of windows. Clocks of buckets
   * count whole microseconds, so a burst may be longer by one of them at each end.
   */
  ceilsHold(run: Run): void {
    const { windowMs } = run.document;
    let worst = 0;
    let worstId = '';
    for (const spec of run.promised.tree.classes) {
      for (const direction of ['down', 'up'] as const) {
        const limit = spec[direction];
        const figures = run.result.classes[spec.id]?.[direction];
        if (limit === null || figures === undefined) continue;
        const charged = chargedPerSentByte(run);
        const windows = figures.windowsBps.map((bps) => bps * charged);
        const excess = greatestExcessBytes(windows, limit.ceilBps, windowMs);
        const part = excess / (limit.cburstBytes + (2e-6 * limit.ceilBps) / 8);
        if (part > worst) {
          worst = part;
          worstId = spec.id;
        }
      }
    }
    this.atMost(`ceils: excess/burst (${worstId})`, worst, 1);
  }

  /**
   * The class has 99 % of its ceil from `from` on, and in each window all but its burst and a packet, which a
   * bucket may hold back or give in advance.
   */
  saturated(
    run: Run,
    id: string,
    from: number,
    to?: number,
    { least = 0.99, direction = 'down' as 'down' | 'up' } = {},
  ): void {
    const limit = run.promised.tree.classes.find((spec) => spec.id === id)?.[direction];
    if (limit == null) throw new Error(`${id} has no limit`);
    const charged = chargedPerSentByte(run);
    const shares = run.windows(id, from, to, direction).map((bps) => (bps * charged) / limit.ceilBps);
    const slackBytes = limit.cburstBytes + run.document.flows[0]!.size * charged;
    const slack = (slackBytes * 8000) / run.document.windowMs / limit.ceilBps;
    this.atLeast(`${id} ${direction} utilisation`, mean(shares), least);
    this.atLeast(`${id} ${direction} least window`, Math.min(...shares), 1 - slack);
  }

  /** Prints the figures; throws when one of them is not as it should be. */
  hold(): void {
    process.stdout.write(`  ${this.title}: ${this.figures.join(', ')}\n`);
    if (this.faults.length > 0) assert.unreachable(`${this.title}: ${this.faults.join('; ')}`);
  }

  /** For a run that was deformed: the figure of that name must have been found wrong. */
  mustReject(name: string): void {
    process.stdout.write(`  ${this.title}, deformed: rejected as ${this.faults.join('; ')}\n`);
    assert.ok(
      this.faults.some((fault) => fault.startsWith(name)),
      `${this.title}: a deformed tree was not rejected for its ${name}, but: ${this.faults.join('; ')}`,
    );
  }
}

/** Bytes charged for each byte sent; 1 unless the tree says what the link adds. */
function chargedPerSentByte({ promised, document }: Run): number {
  const { overheadBytes, mpuBytes } = promised.tree;
  if (overheadBytes === 0 && mpuBytes === 0) return 1;
  const size = document.flows[0]!.size;
  assert.ok(
    document.flows.every((other) => other.size === size),
    'packets charged for more than their length must be of one length',
  );
  return Math.max(size + overheadBytes, mpuBytes) / size;
}
