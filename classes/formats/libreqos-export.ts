/**
 * A class tree as LibreQoS's ShapedDevices.csv and network.json. Inner classes become nodes, leaves with addresses become
 * circuits of one device. What LibreQoS cannot say is a warning with a count.
 */
import { stringify } from 'csv-stringify/sync';
import type { ClassSpec, ClassTree, DirectionSpec, Problem } from '../model.js';
import { layeredSettings, NO_SETTINGS, queueSpecOf } from '../queue.js';
import { QUEUE_KEYS, writtenQueue } from '../queue-keys.js';
import { areEqualSettings } from '../queue-table.js';
import { formatRate, RATE_MAX_BPS } from '../units.js';
import { writtenDirection } from '../written.js';
import { Ancestry } from './ancestry.js';
import { LEAST_BPS } from './libreqos-circuits.js';
import { SHAPED_DEVICES_HEADER } from './libreqos-columns.js';
import { formatMbps } from './libreqos-network.js';
import { FormatProblems } from './result.js';

export interface LibreqosExport {
  /** Null exactly when `problems` holds an error. */
  readonly csv: string | null;
  readonly network: string | null;
  readonly problems: readonly Problem[];
}

/** Rates up to 0.01 Mbit/s become 0.01, the least LibreQoS takes; read back, a Min of 0.01 is nothing assured. */
export function writeLibreqos(tree: ClassTree): LibreqosExport {
  const writer = new LibreqosWriter(tree);
  const csv = writer.devices();
  const network = writer.network();
  const failed = writer.problems.errorCount > 0;
  return { csv: failed ? null : csv, network: failed ? null : network, problems: writer.problems.all() };
}

/** What the column sqm tells, as far as it can. */
const SQM_KEYS: ReadonlySet<string> = new Set(['leaf', 'isolate', 'diffserv']);
const WHAT_OF_KEY: Readonly<Record<string, string>> = {
  limit: 'a limit in packets',
  limitBytes: 'a limit in bytes',
};

class LibreqosWriter {
  readonly problems = new FormatProblems();
  readonly #tree: ClassTree;
  readonly #ancestry: Ancestry;
  readonly #circuits: ClassSpec[] = [];

  constructor(tree: ClassTree) {
    this.#tree = tree;
    this.#ancestry = new Ancestry(tree);
    if (tree.defaultClass !== null) this.#cannotSay(null, 'default', 'a default class');
    if (tree.overheadBytes !== 0) this.#cannotSay(null, 'overhead', 'an overhead');
    if (tree.mpuBytes !== 0) this.#cannotSay(null, 'mpu', 'an mpu');
    if (tree.linkLayer !== 'ethernet') this.#cannotSay(null, 'linklayer', 'a link layer');
    if (!areEqualSettings(tree.queue, NO_SETTINGS)) {
      const message =
        'LibreQoS cannot say here what holds of the queues of all circuits; written at each of them';
      this.problems.warning(null, Object.keys(writtenQueue(tree.queue))[0]!, message);
    }
    for (const spec of tree.classes) {
      this.#checkId(spec);
      this.#warnOfKeys(spec);
      if (this.#isCircuit(spec)) this.#circuits.push(spec);
    }
  }

  devices(): string {
    const tokens = this.#circuits.map((spec) => this.#sqm(spec));
    const hasSqm = tokens.some((token) => token !== '');
    const rows: string[][] = [hasSqm ? [...SHAPED_DEVICES_HEADER, 'sqm'] : [...SHAPED_DEVICES_HEADER]];
    this.#circuits.forEach((spec, index) => {
      rows.push(hasSqm ? [...this.#deviceRow(spec), tokens[index]!] : this.#deviceRow(spec));
    });
    return stringify(rows);
  }

  /** Written by hand, for a map would put names that look like numbers first. */
  network(): string {
    const nodes = this.#tree.classes.filter((spec) => this.#isNode(spec));
    const children = new Map<string | null, ClassSpec[]>();
    for (const spec of nodes) {
      const above = this.#nodeAbove(spec);
      const siblings = children.get(above);
      if (siblings === undefined) children.set(above, [spec]);
      else siblings.push(spec);
    }
    return `${this.#nodes(children, null, '')}\n`;
  }

  /** Recurses at most as deep as a tree may be. */
  #nodes(
    children: ReadonlyMap<string | null, readonly ClassSpec[]>,
    above: string | null,
    indent: string,
  ): string {
    const inner = `${indent}  `;
    const texts = (children.get(above) ?? []).map((spec) => {
      const fields = [
        `"downloadBandwidthMbps": ${formatMbps(this.#bandwidth(spec, 'down'))}`,
        `"uploadBandwidthMbps": ${formatMbps(this.#bandwidth(spec, 'up'))}`,
        '"type": "site"',
      ];
      if (spec.down === null && spec.up === null) fields.push('"virtual": true');
      if (children.has(spec.id)) fields.push(`"children": ${this.#nodes(children, spec.id, inner)}`);
      return `${inner}${JSON.stringify(spec.id)}: { ${fields.join(', ')} }`;
    });
    return texts.length === 0 ? '{}' : `{\n${texts.join(',\n')}\n${indent}}`;
  }

  #isCircuit(spec: ClassSpec): boolean {
    return !this.#ancestry.isInner(spec.id) && spec.match.length > 0;
  }

  /** A root that limits nothing is what LibreQoS has anyway above its top nodes. */
  #isNode(spec: ClassSpec): boolean {
    return !this.#isCircuit(spec) && !(spec.parent === null && spec.down === null && spec.up === null);
  }

  /** The parent, unless that is a root which is left out. */
  #nodeAbove(spec: ClassSpec): string | null {
    const parent = this.#ancestry.parent(spec);
    return parent === null || !this.#isNode(parent) ? null : parent.id;
  }

  #deviceRow(spec: ClassSpec): string[] {
    const addresses = (family: 4 | 6): string =>
      spec.match
        .filter((prefix) => prefix.family === family)
        .map((prefix) => prefix.text)
        .join(', ');
    const [downMin, downMax] = this.#minAndMax(spec, 'down');
    const [upMin, upMax] = this.#minAndMax(spec, 'up');
    return [
      ...[spec.id, spec.id, spec.id, spec.id, this.#nodeAbove(spec) ?? '', '', '', ''],
      ...[addresses(4), addresses(6), downMin, upMin, downMax, upMax, ''],
    ];
  }

  #minAndMax(spec: ClassSpec, name: 'down' | 'up'): [string, string] {
    const direction = spec[name];
    const [minBps, maxBps] =
      direction === null ? [0, this.#ceilAbove(spec, name)] : [direction.rateBps, direction.ceilBps];
    if ((minBps > 0 && minBps <= LEAST_BPS) || maxBps < LEAST_BPS) {
      const message = 'LibreQoS takes no rate below 0.01 Mbit/s, and 0.01 stands for nothing assured';
      this.problems.tally('least', { classId: spec.id }, `${name}.rate`, message);
    }
    return [formatMbps(Math.max(minBps, LEAST_BPS)), formatMbps(Math.max(maxBps, LEAST_BPS))];
  }

  /** A node has one bandwidth. That of a root is its rate: it has nobody to borrow from. */
  #bandwidth(spec: ClassSpec, name: 'down' | 'up'): number {
    const direction = spec[name];
    if (direction === null) return this.#ceilAbove(spec, name);
    const { rateBps, ceilBps } = direction;
    const bps = spec.parent === null && rateBps > 0 ? rateBps : ceilBps;
    if (rateBps !== ceilBps) {
      const message = `LibreQoS has one bandwidth for a node; written as ${formatRate(bps)}`;
      this.problems.tally(`bandwidth ${name}`, { classId: spec.id }, name, message);
    }
    if (bps % 1e6 !== 0) {
      const message = 'LibreQoS cuts the bandwidth of a node to whole Mbit/s';
      this.problems.tally(`whole ${name}`, { classId: spec.id }, name, message);
    }
    return bps;
  }

  /** For a direction without a limit of its own. */
  #ceilAbove(spec: ClassSpec, name: 'down' | 'up'): number {
    const ceilBps = this.#ancestry.ceilAbove(spec, name) ?? RATE_MAX_BPS;
    if (spec.down !== null || spec.up !== null || this.#isCircuit(spec)) {
      const message = `LibreQoS cannot leave a limit out; written as what holds above it`;
      this.problems.tally(`no limit ${name}`, { classId: spec.id }, name, message);
    }
    return ceilBps;
  }

  #sqm(spec: ClassSpec): string {
    const said = layeredSettings(this.#tree.queue, spec.queue);
    const { kind, isolate, diffserv } = queueSpecOf(this.#tree.queue, spec.queue);
    if (kind === 'pfifo') return 'none';
    if (kind === 'codel') {
      this.#cannotSay(spec, 'leaf', 'codel, written as fq_codel');
      return 'fq_codel';
    }
    if (isolate === 'dual') return said.diffserv === undefined ? 'cake' : `cake ${diffserv}`;
    if (isolate !== 'none') this.#cannotSay(spec, 'isolate', 'a queue that is fair by device alone');
    if (diffserv !== 'besteffort') this.#cannotSay(spec, 'diffserv', 'tins without devices in them');
    return said.leaf === undefined ? '' : 'fq_codel';
  }

  /** LibreQoS trims cells, takes rows that start with # for comments, and `none` for no node. */
  #checkId(spec: ClassSpec): void {
    const spot = { classId: spec.id };
    if (spec.id.includes('#')) this.problems.error(spot, 'id', 'has a #, which LibreQoS does not take');
    else if (spec.id !== spec.id.trim())
      this.problems.error(spot, 'id', 'has blanks around it, which LibreQoS cuts off');
    else if (spec.id === 'none') this.problems.error(spot, 'id', `is what LibreQoS takes for no node`);
  }

  #warnOfKeys(spec: ClassSpec): void {
    if (!this.#ancestry.isInner(spec.id) && spec.match.length === 0) {
      const message =
        'LibreQoS has no circuit without an address; written as a node, or left out if nothing limits it';
      this.problems.tally('no address', { classId: spec.id }, 'match', message);
    }
    this.#warnOfQueue(spec);
    if (spec.parent === null && this.#isCircuit(spec)) this.#warnOfRootCircuit(spec);
    for (const name of ['down', 'up'] as const) {
      const direction = spec[name];
      if (direction !== null) this.#warnOfDirection(spec, name, direction);
    }
  }

  #warnOfQueue(spec: ClassSpec): void {
    const isSaid = !areEqualSettings(spec.queue, NO_SETTINGS);
    if (!this.#isCircuit(spec)) {
      if (isSaid) this.#cannotSay(spec, 'leaf', 'the queue of a node');
      return;
    }
    const said = layeredSettings(this.#tree.queue, spec.queue);
    for (const { setting, key } of QUEUE_KEYS) {
      if (said[setting] === undefined || SQM_KEYS.has(key)) continue;
      this.#cannotSay(spec, key, WHAT_OF_KEY[key] ?? `${key} of a queue`);
    }
  }

  #warnOfRootCircuit(spec: ClassSpec): void {
    const message = 'is a root; LibreQoS lets a circuit without a node borrow from the uplink';
    this.problems.tally('root circuit', { classId: spec.id }, 'parent', message);
  }

  #warnOfDirection(spec: ClassSpec, name: 'down' | 'up', direction: DirectionSpec): void {
    const written = writtenDirection(direction);
    for (const key of ['prio', 'burst', 'cburst', 'quantum'])
      if (written[key] !== undefined) this.#cannotSay(spec, `${name}.${key}`, `a ${key}`);
  }

  #cannotSay(spec: ClassSpec | null, key: string, what: string): void {
    const spot = spec === null ? null : { classId: spec.id };
    this.problems.tally(`cannot say ${key} ${what}`, spot, key, `LibreQoS cannot say ${what}; left out`);
  }
}
