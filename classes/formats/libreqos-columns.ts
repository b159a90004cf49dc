/**
 * The columns of ShapedDevices.csv: which are there, and where.
 *
 * Names are matched as LibreQoS matches them, by their letters and digits alone, so that `circuit_id` and `Circuit ID` are one.
 */
import { quoted } from '../units.js';
import type { FormatProblems } from './result.js';

/** The current layout, in its order. `sqm` follows it where a file has it. */
export const SHAPED_DEVICES_HEADER = [
  'Circuit ID',
  'Circuit Name',
  'Device ID',
  'Device Name',
  'Parent Node',
  'Parent Node ID',
  'Anchor Node ID',
  'MAC',
  'IPv4',
  'IPv6',
  'Download Min Mbps',
  'Upload Min Mbps',
  'Download Max Mbps',
  'Upload Max Mbps',
  'Comment',
] as const;

export type Column = (typeof SHAPED_DEVICES_HEADER)[number] | 'sqm';

/** The order is that of the values in a circuit's rates. */
export const RATE_COLUMNS = [
  'Download Min Mbps',
  'Download Max Mbps',
  'Upload Min Mbps',
  'Upload Max Mbps',
] as const satisfies readonly Column[];

const REQUIRED: readonly Column[] = ['Circuit ID', 'Parent Node', 'IPv4', 'IPv6', ...RATE_COLUMNS];

/** Columns that rows of the older layout lack, whatever their header says. */
const NEWER_COLUMNS: readonly Column[] = ['Parent Node ID', 'Anchor Node ID'];

/** Other names of a column, and columns that weir has no use for (null). */
const ALIASES: ReadonlyMap<string, Column | null> = new Map<string, Column | null>([
  ...[...SHAPED_DEVICES_HEADER, 'sqm' as const].map((name) => [lettersOf(name), name] as const),
  ['id', 'Anchor Node ID'],
  ['downloadmin', 'Download Min Mbps'],
  ['uploadmin', 'Upload Min Mbps'],
  ['downloadmax', 'Download Max Mbps'],
  ['uploadmax', 'Upload Max Mbps'],
  ['radiususername', null],
  ['username', null],
]);

export interface Layout {
  /** Cells in a row. */
  readonly width: number;
  readonly at: ReadonlyMap<Column, number>;
}

export interface Layouts {
  readonly current: Layout;
  /** For rows that lack exactly the newer columns; null if the header has not both of them. */
  readonly older: Layout | null;
}

/** Null after an error. One error per column that is missing or stands twice. */
export function readHeader(
  cells: readonly string[],
  place: string,
  problems: FormatProblems,
): Layouts | null {
  const at = new Map<Column, number>();
  const errorsBefore = problems.errorCount;
  cells.forEach((cell, index) => {
    const column = ALIASES.get(lettersOf(cell));
    if (column === undefined) {
      if (cell !== '') problems.warning({ place }, quoted(cell), 'is not a column of LibreQoS; left out');
    } else if (column !== null) {
      if (at.has(column)) problems.error({ place }, column, 'stands twice in the header');
      else at.set(column, index);
    }
  });
  const missing = REQUIRED.filter((column) => !at.has(column));
  if (missing.length === REQUIRED.length) {
    problems.error({ place }, '', 'is not the header of ShapedDevices.csv; it starts with "Circuit ID"');
    return null;
  }
  for (const column of missing) problems.error({ place }, column, 'the column is missing in the header');
  if (problems.errorCount !== errorsBefore) return null;
  return { current: { width: cells.length, at }, older: olderLayout(cells.length, at) };
}

function olderLayout(width: number, at: ReadonlyMap<Column, number>): Layout | null {
  const gone = NEWER_COLUMNS.map((column) => at.get(column));
  if (gone.some((index) => index === undefined)) return null;
  const older = new Map<Column, number>();
  for (const [column, index] of at) {
    if (!gone.includes(index)) older.set(column, index - gone.filter((other) => other! < index).length);
  }
  return { width: width - gone.length, at: older };
}

function lettersOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}
