/** The rows of ShapedDevices.csv: devices, merged into circuits by their Circuit ID. */
import { parsePrefix } from '../prefix.js';
import { DIFFSERVS } from '../queue.js';
import { quoted } from '../units.js';
import { type Column, type Layout, type Layouts, RATE_COLUMNS } from './libreqos-columns.js';
import { type Network, NO_NODES, parseMbps } from './libreqos-network.js';
import type { DocumentClass, DocumentDirection, DocumentQueue, FormatProblems } from './result.js';

/** The least rate LibreQoS takes. As a Min it stands for "nothing assured", which LibreQoS cannot say. */
export const LEAST_BPS = 10_000;

interface Circuit {
  readonly id: string;
  readonly row: number;
  /** In the order of RATE_COLUMNS; NaN where the row has none that can be read. */
  readonly ratesBps: readonly number[];
  /** The class it goes below; null: none named. */
  readonly parent: string | null;
  queue: DocumentQueue;
  readonly match: string[];
}

const UNSAID: DocumentQueue = {};

/** cake shares by device and by flow, and sorts into tins; without a word for these LibreQoS's own settings hold. */
const CAKE: DocumentQueue = { leaf: 'fq_codel', isolate: 'dual' };
const QUEUE_OF_SQM: ReadonlyMap<string, DocumentQueue> = new Map([
  ['', UNSAID],
  ['cake', CAKE],
  ...DIFFSERVS.map((diffserv) => [`cake ${diffserv}`, { ...CAKE, diffserv }] as const),
  ['fq_codel', { leaf: 'fq_codel' }],
  ['none', { leaf: 'pfifo' }],
]);

export class CircuitReader {
  readonly #fileName: string;
  readonly #problems: FormatProblems;
  /** Null where network.json cannot be read: then parents are not looked up. */
  readonly #network: Network | null;
  readonly #circuits = new Map<string, Circuit>();
  /** canonical prefix → row that has it */
  readonly #rowOfPrefix = new Map<string, number>();
  readonly #parentRows: number[] = [];
  hasUnparented = false;
  /** of the row being read */
  #row = 0;
  #cells: readonly string[] = [];
  #layout: Layout | null = null;

  constructor(fileName: string, problems: FormatProblems, network: Network | null) {
    this.#fileName = fileName;
    this.#problems = problems;
    this.#network = network;
  }

  get size(): number {
    return this.#circuits.size;
  }

  placeOf(id: string): string | null {
    const circuit = this.#circuits.get(id);
    return circuit === undefined ? null : this.#placeOfRow(circuit.row);
  }

  /** One row under the header. `row` counts the file's lines, from 1. */
  read(cells: readonly string[], row: number, layouts: Layouts): void {
    this.#row = row;
    this.#cells = cells;
    this.#layout = this.#layoutOf(cells, layouts);
    if (this.#layout === null) return;
    const id = this.#cell('Circuit ID');
    if (id === '') {
      this.#fail('Circuit ID', 'is empty');
      return;
    }
    if (this.#network?.classByName.get(id) === id) {
      this.#fail('Circuit ID', `${quoted(id)} is the name of a node, too; both would be one class`);
    }
    const known = this.#circuits.get(id);
    const read: Circuit = {
      id,
      row,
      ratesBps: this.#rates(),
      parent: this.#parent(),
      queue: this.#queue(),
      match: known?.match ?? [],
    };
    this.#addresses('IPv4', 4, read.match);
    this.#addresses('IPv6', 6, read.match);
    if (known === undefined) this.#circuits.set(id, read);
    else this.#merge(known, read);
  }

  /** Without a network.json no circuit may name a node; one line says so for all. */
  refuseParents(networkName: string): void {
    if (this.#parentRows.length === 0) return;
    const others =
      this.#parentRows.length === 1 ? '' : ` (here and in ${this.#parentRows.length - 1} more rows)`;
    const place = this.#placeOfRow(this.#parentRows[0]!);
    this.#problems.error({ place }, 'Parent Node', `names a node, but there is no ${networkName}${others}`);
  }

  /** Appends the circuits in the file's order, those without a node below `uplink`. */
  appendTo(classes: DocumentClass[], uplink: string | null): void {
    for (const { id, row, ratesBps, parent, queue, match } of this.#circuits.values()) {
      if (match.length === 0) {
        this.#problems.tally(
          'no address',
          { place: this.#placeOfRow(row) },
          'IPv4',
          'the circuit has no address',
        );
      }
      const above = parent ?? uplink;
      classes.push({
        id,
        ...(above === null ? {} : { parent: above }),
        ...(match.length === 0 ? {} : { match }),
        ...queue,
        down: directionOf(ratesBps[0]!, ratesBps[1]!),
        up: directionOf(ratesBps[2]!, ratesBps[3]!),
      });
    }
  }

  #layoutOf(cells: readonly string[], { current, older }: Layouts): Layout | null {
    if (cells.length === current.width) return current;
    if (older !== null && cells.length === older.width) {
      const message = 'the row lacks Parent Node ID and Anchor Node ID; read in the older layout';
      this.#problems.tally('older layout', { place: this.#placeOfRow(this.#row) }, '', message);
      return older;
    }
    if (cells.length > current.width && cells.slice(current.width).every((cell) => cell === ''))
      return current;
    this.#fail('', `the row has ${cells.length} columns, the header ${current.width}`);
    return null;
  }

  #cell(column: Column): string {
    const index = this.#layout!.at.get(column);
    return index === undefined ? '' : this.#cells[index]!;
  }

  #rates(): number[] {
    const rates = RATE_COLUMNS.map((column) => {
      const text = this.#cell(column);
      const bps = text === '' ? 'is empty' : parseMbps(text);
      if (typeof bps === 'number') return bps;
      this.#fail(column, bps);
      return Number.NaN;
    });
    for (const at of [0, 2]) {
      const min = RATE_COLUMNS[at]!;
      const max = RATE_COLUMNS[at + 1]!;
      if (rates[at + 1] === 0) this.#fail(max, 'is 0, which lets nothing through');
      else if (rates[at]! > rates[at + 1]!) {
        this.#fail(min, `${this.#cell(min)} is above ${max}, ${this.#cell(max)}`);
      }
      if (rates[at] === LEAST_BPS) {
        rates[at] = 0;
        const message = 'is 0.01, the least that LibreQoS takes; read as nothing assured';
        this.#problems.tally('least rate', { place: this.#placeOfRow(this.#row) }, min, message);
      }
    }
    return rates;
  }

  #parent(): string | null {
    const id = this.#cell('Parent Node ID');
    const name = this.#cell('Parent Node');
    if (id === '' && (name === '' || name === 'none')) return this.#unparented();
    this.#parentRows.push(this.#row);
    const network = this.#network;
    if (network === null) return null;
    if (network.isFlat) {
      const message = 'network.json has no node; the circuit goes below the uplink';
      if (network !== NO_NODES) this.#problems.tally('flat', this.#spot(), 'Parent Node', message);
      return this.#unparented();
    }
    const known = network.nameById.get(id) ?? name;
    const parent = network.classByName.get(known);
    if (parent !== undefined) return parent ?? this.#unparented();
    if (id !== '') this.#fail('Parent Node ID', `${quoted(id)} is not the id of a node`);
    if (id === '' || name !== '') this.#fail('Parent Node', `${quoted(name)} is not the name of a node`);
    return null;
  }

  #unparented(): null {
    this.hasUnparented = true;
    return null;
  }

  #queue(): DocumentQueue {
    const token = this.#cell('sqm').toLowerCase().replace(/\s+/g, ' ');
    if (token === '') return UNSAID;
    const [down = '', up = down, ...more] = token.split('/').map((side) => side.trim());
    const downQueue = QUEUE_OF_SQM.get(down);
    const upQueue = QUEUE_OF_SQM.get(up);
    if (downQueue === undefined || upQueue === undefined || more.length > 0) {
      const known = 'cake, cake with besteffort, diffserv3 or diffserv4, fq_codel, none';
      this.#fail('sqm', `${quoted(token)} is not ${known}, or two of them as "cake/none"`);
      return UNSAID;
    }
    if (downQueue.isolate !== undefined || upQueue.isolate !== undefined) {
      const message = 'weir has no cake; read as fq_codel that is fair by device';
      this.#problems.tally('cake', this.#spot(), 'sqm', message);
    }
    if (downQueue !== upQueue) {
      const message = `${quoted(token)} differs by direction; a class has one queue, the download's`;
      this.#problems.tally('directional', this.#spot(), 'sqm', message);
    }
    return downQueue;
  }

  #addresses(column: 'IPv4' | 'IPv6', family: 4 | 6, into: string[]): void {
    const cell = this.#cell(column);
    if (cell === '') return;
    for (const part of cell.split(',')) {
      const text = part.replace(/\s/g, '');
      if (text === '') continue;
      const parsed = parsePrefix(text);
      if (typeof parsed === 'string') this.#fail(column, parsed);
      else if (parsed.prefix.family !== family) this.#fail(column, `${quoted(text)} is not ${column}`);
      else this.#address(column, text, parsed.prefix.text, parsed.normalised, into);
    }
  }

  #address(column: Column, text: string, canonical: string, normalised: boolean, into: string[]): void {
    const first = this.#rowOfPrefix.get(canonical);
    if (first !== undefined) {
      const where = first === this.#row ? 'this row' : `row ${first}`;
      this.#fail(column, `${canonical} stands in ${where} already`);
      return;
    }
    if (normalised) {
      const message = `${quoted(text)} has bits set after its length; read as ${canonical}`;
      this.#problems.tally('host bits', this.#spot(), column, message);
    }
    this.#rowOfPrefix.set(canonical, this.#row);
    into.push(canonical);
  }

  /** A further device of a circuit brings addresses; what it says of the circuit itself must agree. */
  #merge(first: Circuit, other: Circuit): void {
    const sameAs = `circuit ${quoted(first.id)} in row ${first.row}`;
    RATE_COLUMNS.forEach((column, at) => {
      const [here, there] = [other.ratesBps[at]!, first.ratesBps[at]!];
      // What could not be read has been reported already, and is NaN.
      if (here < there || here > there)
        this.#fail(column, `${this.#cell(column)} differs from that of ${sameAs}`);
    });
    if (first.parent !== other.parent) this.#fail('Parent Node', `differs from that of ${sameAs}`);
    if (first.queue === UNSAID) first.queue = other.queue;
    else if (other.queue !== UNSAID && other.queue !== first.queue) {
      this.#problems.warning(this.#spot(), 'sqm', `differs from that of ${sameAs}, which is kept`);
    }
  }

  #fail(column: Column | '', message: string): void {
    this.#problems.error(this.#spot(), column, message);
  }

  #spot(): { readonly place: string } {
    return { place: this.#placeOfRow(this.#row) };
  }

  #placeOfRow(row: number): string {
    return `${this.#fileName} row ${row}`;
  }
}

function directionOf(minBps: number, maxBps: number): DocumentDirection {
  if (minBps === 0) return { ceil: maxBps };
  return minBps === maxBps ? { rate: minBps } : { rate: minBps, ceil: maxBps };
}
