/**
 * What a benchmark returns: one document that says what was measured, with what, on which machine, and every run's
 * figures. `weir bench NAME --json` prints it as it is; text.ts and page.ts show it to people.
 */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { Measured, Ratio } from './rounds.js';

/** What every bench is told besides its own options. */
export interface RigOptions {
  /** Interleaved runs of every column. */
  readonly runs: number;
  /** Once, with little: does it work at all? */
  readonly smoke: boolean;
  /** Hears what is being done, a line at a time. */
  readonly tell?: (line: string) => void;
}

export type Parameters = Readonly<Record<string, string | number | boolean | null>>;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly weir: string;
  /** Of the peers' tools, where a bench uses some: name to version. */
  readonly tools: Readonly<Record<string, string>>;
}

/** One setting of the parameters, and all columns measured with it in turns. */
export interface Point {
  /** As in "65,536 classes, near ceil". */
  readonly name: string;
  /** Those that differ from point to point. */
  readonly parameters: Parameters;
  readonly columns: readonly Measured[];
  readonly ratios: readonly Ratio[];
}

export interface Axis {
  /** With its unit: "time per packet, ns". */
  readonly label: string;
  readonly scale: 'linear' | 'log';
}

export interface SeriesPoint {
  readonly x: number;
  readonly y: number;
  /** Least and most of the runs; null where there was one figure only. */
  readonly min: number | null;
  readonly max: number | null;
}

export interface Series {
  readonly name: string;
  readonly points: readonly SeriesPoint[];
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

/** A formula fitted to figures, and what it says about a machine that was not measured. */
export interface Model {
  readonly formula: string;
  readonly coefficients: Readonly<Record<string, number>>;
  /** Share of the figures' variance that the formula explains. */
  readonly rSquared: number;
  readonly predictions: readonly { readonly name: string; readonly value: number; readonly unit: string }[];
  /** What must hold for the predictions to hold, a sentence each. */
  readonly assumptions: readonly string[];
}

export interface BenchDocument {
  readonly bench: string;
  /** What it measures, in one line. */
  readonly measures: string;
  /** The same for all points. */
  readonly parameters: Parameters;
  /** Null where nothing is random. */
  readonly seed: number | null;
  /** Interleaved runs of every column. */
  readonly runs: number;
  /** When it began, ISO 8601. */
  readonly startedAt: string;
  readonly machine: Machine;
  readonly points: readonly Point[];
  readonly plots: readonly Plot[];
  readonly model: Model | null;
  /** A sentence each: what a reader must know to read the figures. */
  readonly notes: readonly string[];
}

/** What a bench says itself; the rest is looked up. */
export type Findings = Omit<BenchDocument, 'startedAt' | 'machine' | 'plots' | 'model' | 'notes'> &
  Partial<Pick<BenchDocument, 'plots' | 'model' | 'notes'>> & {
    readonly startedMs: number;
    readonly tools?: Machine['tools'];
  };

// The compiled file is dist/bench/rig/document.js, three folders below the package.
const PACKAGE_FILE = new URL('../../../package.json', import.meta.url);

/** Completes what a bench found to its document. `startedMs` is the Unix time at which it began. */
export function documentOf(findings: Findings): BenchDocument {
  const { bench, measures, parameters, seed, runs, points, startedMs } = findings;
  return {
    bench,
    measures,
    parameters,
    seed,
    runs,
    startedAt: new Date(startedMs).toISOString(),
    machine: thisMachine(findings.tools ?? {}),
    points,
    plots: findings.plots ?? [],
    model: findings.model ?? null,
    notes: findings.notes ?? [],
  };
}

function thisMachine(tools: Machine['tools']): Machine {
  const { version } = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string };
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    weir: version,
    tools,
  };
}

export interface Curve {
  readonly title: string;
  /** The points' parameter along the x axis, a number. */
  readonly parameter: string;
  readonly figure: string;
  readonly x: Axis;
  readonly y: Axis;
}

/** One figure of all columns against one parameter of the points. Columns without a figure at any point are left out. */
export function curveOf(points: readonly Point[], curve: Curve): Plot {
  const series = new Map<string, SeriesPoint[]>();
  for (const { parameters, columns } of points) {
    for (const { name, figures } of columns) {
      const spread = figures[curve.figure];
      if (spread === undefined) continue;
      const { median: y, min, max } = spread;
      const line = series.get(name) ?? [];
      series.set(name, line);
      line.push({ x: Number(parameters[curve.parameter]), y, min, max });
    }
  }
  return {
    title: curve.title,
    x: curve.x,
    y: curve.y,
    series: [...series].map(([name, line]) => ({ name, points: line })),
  };
}

/** The columns that were not measured, and why: once each. */
export function missingColumns(document: BenchDocument): { name: string; missing: string }[] {
  const found = new Map<string, string>();
  for (const { columns } of document.points)
    for (const { name, missing } of columns) if (missing !== null) found.set(name, missing);
  return [...found].map(([name, missing]) => ({ name, missing }));
}
