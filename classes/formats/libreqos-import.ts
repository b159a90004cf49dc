/**
 * LibreQoS's ShapedDevices.csv and network.json, read into a class tree document.
 *
 * Nodes become inner classes by their names, circuits become leaves by their ids; Min is the assured rate, Max the ceil.
 * All faults of both files are found at once.
 */
import { CsvError, parse } from 'csv-parse/sync';
import { CircuitReader } from './libreqos-circuits.js';
import { type Layouts, readHeader } from './libreqos-columns.js';
import { type Network, NO_NODES, nodePlace, readNetwork } from './libreqos-network.js';
import { type DocumentClass, FormatProblems, type FormatResult } from './result.js';

export interface LibreqosFiles {
  readonly csv: string;
  /** As people know the file; stands in messages. */
  readonly csvName: string;
  /** Null if there is no network.json: then no circuit may name a node. */
  readonly network: string | null;
  readonly networkName: string;
}

export interface LibreqosOptions {
  /**
   * The class that everything goes below, as LibreQoS has it with the bandwidth of its configuration. Left out: one without
   * limits, called `uplink`, for circuits without a node only.
   */
  readonly uplink?: { readonly id: string; readonly downBps: number; readonly upBps: number };
}

/** Never throws; reads no file. */
export function readLibreqos(files: LibreqosFiles, options: LibreqosOptions = {}): FormatResult {
  const problems = new FormatProblems();
  const network = files.network === null ? null : readNetwork(files.network, files.networkName, problems);
  const networkFailed = files.network !== null && network === null;
  const circuits = new CircuitReader(files.csvName, problems, networkFailed ? null : (network ?? NO_NODES));
  readRows(files, circuits, problems);
  const nodes = network ?? NO_NODES;
  if (files.network === null) circuits.refuseParents(files.networkName);
  const uplink = uplinkClass(circuits, nodes, options, problems);
  const classes: DocumentClass[] = [];
  const top = options.uplink === undefined ? {} : { parent: options.uplink.id };
  for (const node of nodes.classes) classes.push(node.parent === undefined ? { ...node, ...top } : node);
  if (uplink !== null) classes.push(uplink);
  circuits.appendTo(classes, uplink?.id ?? null);
  if (problems.errorCount === 0 && circuits.size === 0) {
    problems.warning({ place: files.csvName }, '', 'holds no circuit');
  }
  return {
    document: problems.errorCount === 0 ? { version: 1, classes } : null,
    problems: problems.all(),
    placeOf: (id) => {
      const circuit = circuits.placeOf(id);
      if (circuit !== null) return circuit;
      return nodes.classByName.has(id) ? nodePlace(files.networkName, id) : null;
    },
  };
}

function readRows(files: LibreqosFiles, circuits: CircuitReader, problems: FormatProblems): void {
  let layouts: Layouts | null = null;
  let hasHeader = false;
  const onRecord = (record: string[], context: { readonly lines: number }): null => {
    const row = context.lines - lineBreaksIn(record);
    if (!hasHeader) {
      hasHeader = true;
      layouts = readHeader(record, `${files.csvName} row ${row}`, problems);
    } else if (layouts !== null) circuits.read(record, row, layouts);
    return null;
  };
  try {
    parse(files.csv, {
      bom: true,
      trim: true,
      comment: '#',
      comment_no_infix: true,
      skip_empty_lines: true,
      relax_column_count: true,
      relax_quotes: true,
      on_record: onRecord,
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Of a quote that is not closed the parser tells where it opens; the rest of the file is in it.
    const isOpen = error.code === 'CSV_QUOTE_NOT_CLOSED';
    const row = /at line (\d+)/.exec(error.message)?.[1];
    const place = row === undefined ? files.csvName : `${files.csvName} row ${row}`;
    const message = isOpen ? 'a quote is opened and never closed' : error.message;
    problems.error({ place }, '', message.replace(/\s+/g, ' '));
    return;
  }
  if (!hasHeader) problems.error({ place: files.csvName }, '', 'is empty; it needs a header row at least');
}

/** The parser tells the line on which a row ends; people look for the one on which it starts. */
function lineBreaksIn(record: readonly string[]): number {
  let count = 0;
  for (const cell of record) {
    for (let at = cell.indexOf('\n'); at >= 0; at = cell.indexOf('\n', at + 1)) count++;
  }
  return count;
}

/** A root cannot borrow, so that a circuit's Max would not hold there; hence a class above those that have no node. */
function uplinkClass(
  circuits: CircuitReader,
  network: Network,
  options: LibreqosOptions,
  problems: FormatProblems,
): DocumentClass | null {
  if (!circuits.hasUnparented && options.uplink === undefined) return null;
  const isTaken = (id: string): boolean =>
    circuits.placeOf(id) !== null || network.classByName.get(id) === id;
  if (options.uplink !== undefined) {
    const { id, downBps, upBps } = options.uplink;
    if (isTaken(id))
      problems.error(null, 'uplink', `'${id}' is the name of a node or the id of a circuit already`);
    return { id, down: { rate: downBps }, up: { rate: upBps } };
  }
  let id = 'uplink';
  for (let number = 2; isTaken(id); number++) id = `uplink-${number}`;
  return { id };
}
