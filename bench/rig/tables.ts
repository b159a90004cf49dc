/** A document's figures as tables of text, for the terminal and for the page. */
import type { BenchDocument, Parameters, Point } from './document.js';
import type { Measured, Spread } from './rounds.js';

export interface TextTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** More figures than this beside each other get a table of their own. */
const FIGURES_WIDE_MAX = 5;
const DIGITS = 4;
/** From here on four digits leave no fraction. */
const WHOLE_MIN = 10 ** (DIGITS - 1);

/** All that a document says in figures: what was measured, the ratios, the model. */
export function tablesOf(document: BenchDocument): TextTable[] {
  const { points } = document;
  const figures = [...new Set(points.flatMap(({ columns }) => columns.flatMap(figuresOf)))];
  const parts = Math.max(1, Math.ceil(figures.length / FIGURES_WIDE_MAX));
  const tables = Array.from({ length: parts }, (_, part) =>
    measuredTable(points, figures.slice(part * FIGURES_WIDE_MAX, (part + 1) * FIGURES_WIDE_MAX), part === 0),
  );
  if (points.some(({ ratios }) => ratios.length > 0)) tables.push(ratioTable(points));
  return [...tables, ...modelTables(document)];
}

function figuresOf({ figures }: Measured): string[] {
  return Object.keys(figures);
}

function measuredTable(points: readonly Point[], figures: readonly string[], isFirst: boolean): TextTable {
  const rows: string[][] = [];
  for (const { name, columns } of points) {
    for (const column of columns) {
      if (column.missing === null ? !figures.some((figure) => figure in column.figures) : !isFirst) continue;
      const cells = figures.map((figure) => {
        if (column.missing !== null) return 'missing';
        const spread = column.figures[figure];
        return spread === undefined ? '' : spreadText(spread);
      });
      rows.push([name, column.name, ...cells]);
    }
  }
  return { title: 'measured: median (least … most)', head: ['point', 'column', ...figures], rows };
}

function ratioTable(points: readonly Point[]): TextTable {
  const rows = points.flatMap(({ name, ratios }) =>
    ratios.map((ratio) => [
      name,
      `${ratio.of} / ${ratio.to}`,
      ratio.figure,
      spreadText(ratio),
      ratio.perRun.map(numberText).join(' '),
    ]),
  );
  const head = ['point', 'ratio', 'figure', 'median (least … most)', 'run by run'];
  return { title: 'ratios, run by run', head, rows };
}

function modelTables({ model }: BenchDocument): TextTable[] {
  if (model === null) return [];
  const coefficients = Object.entries(model.coefficients).map(([name, value]) => [name, numberText(value)]);
  return [
    {
      title: `model: ${model.formula}, R² ${numberText(model.rSquared)}`,
      head: ['coefficient', 'value'],
      rows: coefficients,
    },
    {
      title: 'what the model predicts',
      head: ['prediction', 'value', 'unit'],
      rows: model.predictions.map(({ name, value, unit }) => [name, numberText(value), unit]),
    },
  ];
}

export function parameterRows(parameters: Parameters): [string, string][] {
  return Object.entries(parameters).map(([name, value]) => [
    name,
    typeof value === 'number' ? numberText(value) : String(value ?? 'none'),
  ]);
}

export function machineRows({ machine, seed, runs, startedAt }: BenchDocument): [string, string][] {
  const { cpu, cores, memoryBytes, kernel, node, weir, tools } = machine;
  return [
    ['CPU', `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}`],
    ['memory', `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ['kernel', kernel],
    ['Node.js', node],
    ['weir', weir],
    ...Object.entries(tools),
    ['seed', seed === null ? 'none' : String(seed)],
    ['interleaved runs', String(runs)],
    ['begun', startedAt],
  ];
}

function spreadText({ median, min, max }: Spread): string {
  if (min === max) return numberText(median);
  return `${numberText(median)} (${numberText(min)} … ${numberText(max)})`;
}

/** Whole numbers in full, others to four digits. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value) || Math.abs(value) >= WHOLE_MIN)
    return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(DIGITS)));
}
