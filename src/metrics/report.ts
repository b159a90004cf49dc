/** The document of `weir stats`, as JSON in pieces, and as tables for people. */
import type { AccountingStatus } from '../accounting/accountant.js';
import type { ClassReport, DirectionReport } from './class-meter.js';
import { droppedPackets, type NamedCounters, type QueueReport } from './queue-meter.js';

export interface PortReport {
  readonly device: string;
  readonly link: string;
  readonly linkChanges: number;
  /** What the XDP program did with frames, by cause; null in a backend without it. */
  readonly xdp: NamedCounters | null;
}

/** How it stands with what the classes are read from. */
export interface SourceReport {
  readonly source: string;
  /** Whether changes are followed. */
  readonly watched: boolean;
  readonly state: 'ok' | 'retrying' | 'invalid' | 'refused';
  /** One line; null in the state `ok`. */
  readonly fault: string | null;
  /** Since when it is so; ISO 8601. */
  readonly since: string;
  /** What the classes in force were read from: another source, if somebody applied one by hand. */
  readonly appliedFrom: string;
  readonly lastAppliedAt: string;
}

export interface StatsHeader {
  readonly epoch: number;
  readonly uptimeSeconds: number;
  readonly backend: string;
  readonly mode: string;
  readonly failure: string;
  readonly source: SourceReport;
  readonly accounting: AccountingStatus;
}

export interface StatsDocument extends StatsHeader {
  readonly classes: readonly ClassReport[];
  readonly queues: readonly QueueReport[];
  readonly ports: { readonly inside: PortReport; readonly outside: PortReport };
}

/** A document whose classes are read while it is written. */
export interface StatsSource extends Omit<StatsDocument, 'classes'> {
  readonly classes: Iterable<ClassReport>;
}

const CLASSES_A_CHUNK = 500;

/** The document's text in chunks of some hundred kB, so that a long one does not hold up whoever writes it. */
export function* statsChunks(source: StatsSource): Generator<string> {
  const { classes, queues, ports, ...header } = source;
  let text = `${JSON.stringify(header).slice(0, -1)},"classes":[`;
  let count = 0;
  for (const report of classes) {
    text += count === 0 ? JSON.stringify(report) : `,${JSON.stringify(report)}`;
    if (++count % CLASSES_A_CHUNK !== 0) continue;
    yield text;
    text = '';
  }
  yield `${text}],"queues":${JSON.stringify(queues)},"ports":${JSON.stringify(ports)}}`;
}

// ---- for people -------------------------------------------------------------------------------------------

type Align = 'left' | 'right';

/** Of a class at a glance; one that is asked for alone shows everything. */
const CLASS_COLUMNS = [
  'class',
  'dir',
  'rate',
  'bytes',
  'packets',
  'drops',
  'marks',
  'backlog',
  'p99',
  'borrows',
  'overlimits',
];

/** Tables of the classes, the queues and the ports. */
export function formatStats(document: StatsDocument): string {
  const { epoch, uptimeSeconds, backend, mode, failure, queues } = document;
  const head = `${backend} ${mode}, ${queues.length} ${queues.length === 1 ? 'queue' : 'queues'}, failure ${failure}`;
  const parts = [
    `${head}, up ${formatSeconds(uptimeSeconds)}, epoch ${epoch}\n${sourceLine(document.source)}${accountingLine(document.accounting)}`,
    document.classes.length === 1 ? oneClass(document.classes[0]!) : classTable(document.classes),
    queueTable(queues),
    portTable(document),
  ];
  return parts.join('\n');
}

function sourceLine({ source, state, fault, since, watched, appliedFrom }: SourceReport): string {
  if (appliedFrom !== source && state === 'ok')
    return `classes from ${appliedFrom}, applied in place of ${source}\n`;
  if (state === 'ok') return `classes from ${source}${watched ? '' : ', not watched'}\n`;
  return `classes from ${source}: ${state} since ${since}: ${fault}\n`;
}

function accountingLine({ state, pendingBatches, fault }: AccountingStatus): string {
  if (state === 'off') return '';
  return `usage: ${state}, ${pendingBatches} intervals wait${fault === null ? '' : `: ${fault}`}\n`;
}

function classTable(classes: readonly ClassReport[]): string {
  const depth = depths(classes);
  const rows = inTreeOrder(classes).flatMap(({ id, down, up }) => {
    const name = '  '.repeat(depth.get(id)!) + id;
    return [directionRow(name, 'down', down), directionRow('', 'up', up)];
  });
  return table(CLASS_COLUMNS, ['left', 'left'], rows);
}

function directionRow(name: string, direction: string, report: DirectionReport): string[] {
  const { bytes, packets, drops, marks, backlogPackets, borrows, overlimits } = report;
  const counts = [bytes, packets, drops, marks, backlogPackets].map(String);
  const p99 = formatMs(report.sojournMs.p99);
  return [name, direction, formatBps(report.rateBps), ...counts, p99, String(borrows), String(overlimits)];
}

/** Every counter of one class, the directions side by side. */
function oneClass({ id, parent, down, up }: ClassReport): string {
  const row = (name: string, cell: (report: DirectionReport) => number | string): string[] => [
    name,
    String(cell(down)),
    String(cell(up)),
  ];
  const rows = [
    row('rate', ({ rateBps }) => formatBps(rateBps)),
    row('bytes', ({ bytes }) => bytes),
    row('packets', ({ packets }) => packets),
    row('drops', ({ drops }) => drops),
    row('  at its limit', ({ dropsBy }) => dropsBy.limit),
    row('  by CoDel', ({ dropsBy }) => dropsBy.codel),
    row('  out of frames', ({ dropsBy }) => dropsBy.evicted),
    row('marks', ({ marks }) => marks),
    row('backlog, bytes', ({ backlogBytes }) => backlogBytes),
    row('backlog, packets', ({ backlogPackets }) => backlogPackets),
    row('sojourn p50', ({ sojournMs }) => formatMs(sojournMs.p50)),
    row('sojourn p99', ({ sojournMs }) => formatMs(sojournMs.p99)),
    row('sparse flows', ({ flows }) => flows.sparse),
    row('bulk flows', ({ flows }) => flows.bulk),
    row('lends', ({ lends }) => lends),
    row('borrows', ({ borrows }) => borrows),
    row('overlimits', ({ overlimits }) => overlimits),
  ];
  const below = parent === null ? '' : ` below ${parent}`;
  return `class ${id}${below}\n${table(['', 'down', 'up'], ['left'], rows)}`;
}

function queueTable(queues: readonly QueueReport[]): string {
  const rows = queues.map((queue) => {
    const dropped = droppedPackets(queue.drops);
    const { rxPackets, txPackets, unknownPackets, marks, restarts } = queue;
    const counts = [rxPackets, txPackets, unknownPackets, dropped, marks, restarts];
    return [String(queue.queue), queue.state, ...counts.map(String), `${(queue.busy * 100).toFixed(1)} %`];
  });
  return table(
    ['queue', 'state', 'rx', 'tx', 'unknown', 'drops', 'marks', 'restarts', 'busy'],
    ['left', 'left'],
    rows,
  );
}

function portTable({ ports }: StatsDocument): string {
  const rows = (['inside', 'outside'] as const).map((side) => {
    const { device, link, xdp } = ports[side];
    const counts = Object.entries(xdp ?? {}).filter(([, count]) => count > 0);
    return [side, device, link, counts.map(([name, count]) => `${name} ${count}`).join(', ')];
  });
  return table(['port', 'device', 'link', 'xdp'], ['left', 'left', 'left', 'left'], rows);
}

/** Columns two spaces apart; those `aligns` does not name are right-aligned numbers. */
function table(head: readonly string[], aligns: readonly Align[], rows: readonly string[][]): string {
  const widths = head.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]!.length), title.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (aligns[i] === 'left' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

/** Distance of each class from its root, or from the topmost class that the document holds. */
function depths(classes: readonly ClassReport[]): Map<string, number> {
  const parents = new Map(classes.map(({ id, parent }) => [id, parent]));
  const depthOf = new Map<string, number>();
  for (const { id } of classes) {
    let depth = 0;
    for (let at = parents.get(id) ?? null; at !== null && parents.has(at); at = parents.get(at) ?? null)
      depth++;
    depthOf.set(id, depth);
  }
  return depthOf;
}

/** Every class followed by what is below it. */
function inTreeOrder(classes: readonly ClassReport[]): ClassReport[] {
  const known = new Set(classes.map(({ id }) => id));
  const children = new Map<string | null, ClassReport[]>();
  for (const report of classes) {
    const parent = report.parent !== null && known.has(report.parent) ? report.parent : null;
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [report]);
    else list.push(report);
  }
  const ordered: ClassReport[] = [];
  // A stack instead of recursion; siblings are pushed backwards so that they come out in their order.
  const stack = [...(children.get(null) ?? [])].reverse();
  for (let report = stack.pop(); report !== undefined; report = stack.pop()) {
    ordered.push(report);
    for (const child of [...(children.get(report.id) ?? [])].reverse()) stack.push(child);
  }
  return ordered;
}

function formatBps(bps: number): string {
  if (bps >= 1e9) return `${(bps / 1e9).toFixed(2)} Gbit`;
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(2)} Mbit`;
  if (bps >= 1e3) return `${(bps / 1e3).toFixed(1)} kbit`;
  return `${bps} bit`;
}

function formatMs(ms: number | null): string {
  if (ms === null) return '-';
  if (ms === 0) return '0 ms';
  if (ms < 0.01) return '<0.01 ms';
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
