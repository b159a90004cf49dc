/** Reads LibreQoS's network.json: the sites and access points above the circuits, each with one bandwidth a direction. */
import { isFields } from '../class-reader.js';
import { placeOf, scanJson } from '../json-text.js';
import { quoted, RATE_MAX_BPS } from '../units.js';
import type { DocumentClass, FormatProblems } from './result.js';

const BPS_PER_MBPS = 1e6;

export interface Network {
  /** Parents before their children; virtual nodes are not among them. */
  readonly classes: readonly DocumentClass[];
  /** Node name → the class its circuits go below; null where that is no class: a virtual node without a real one above. */
  readonly classByName: ReadonlyMap<string, string | null>;
  readonly nameById: ReadonlyMap<string, string>;
  /** Not one node, so that Parent Node means nothing. */
  readonly isFlat: boolean;
}

/** What stands in for a network.json that is not there. */
export const NO_NODES: Network = { classes: [], classByName: new Map(), nameById: new Map(), isFlat: true };

interface OpenNode {
  readonly name: string;
  readonly value: unknown;
  readonly above: DocumentClass | null;
}

/** Null if the text is not JSON or not a map, which is reported. */
export function readNetwork(text: string, fileName: string, problems: FormatProblems): Network | null {
  const bare = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const scan = scanJson(bare);
  if (scan.fault !== null) {
    const { offset, message } = scan.fault;
    problems.error({ place: fileName }, '', `${placeOf(bare, offset)}: ${message}`);
    return null;
  }
  for (const { key, offset } of scan.duplicates) {
    const message = `${placeOf(bare, offset)}: ${quoted(key)} stands twice in one map`;
    problems.error({ place: fileName }, '', message);
  }
  const value: unknown = JSON.parse(bare);
  if (!isFields(value)) {
    problems.error({ place: fileName }, '', `must be a map of nodes, not ${quoted(value)}`);
    return null;
  }
  return new NetworkReader(fileName, problems).read(value);
}

class NetworkReader {
  readonly #fileName: string;
  readonly #problems: FormatProblems;
  readonly #classes: DocumentClass[] = [];
  readonly #classByName = new Map<string, string | null>();
  readonly #nameById = new Map<string, string>();

  constructor(fileName: string, problems: FormatProblems) {
    this.#fileName = fileName;
    this.#problems = problems;
  }

  read(top: Readonly<Record<string, unknown>>): Network {
    const open: OpenNode[] = childrenOf(top, null);
    while (open.length > 0) {
      const node = open.pop()!;
      if (!isFields(node.value)) {
        this.#problems.warning(this.#spot(node.name), '', 'is not a map of a node; left out');
        continue;
      }
      const below = this.#readNode(node, node.value);
      const children = node.value.children;
      if (isFields(children)) open.push(...childrenOf(children, below));
      else if (children !== undefined && children !== null) {
        this.#problems.error(this.#spot(node.name), 'children', `must be a map, not ${quoted(children)}`);
      }
    }
    const isFlat = this.#classByName.size === 0;
    return { classes: this.#classes, classByName: this.#classByName, nameById: this.#nameById, isFlat };
  }

  /** Returns the class that the node's children go below. */
  #readNode(node: OpenNode, fields: Readonly<Record<string, unknown>>): DocumentClass | null {
    const { name, above } = node;
    if (this.#classByName.has(name)) {
      this.#problems.error(this.#spot(name), '', 'is the name of two nodes; circuits name their node by it');
      return above;
    }
    this.#readId(name, fields.id);
    if (isVirtual(fields)) {
      this.#classByName.set(name, above === null ? null : above.id);
      return above;
    }
    this.#classByName.set(name, name);
    const down = this.#bandwidth(name, fields, 'downloadBandwidthMbps', above?.down?.rate);
    const up = this.#bandwidth(name, fields, 'uploadBandwidthMbps', above?.up?.rate);
    const spec: DocumentClass = {
      id: name,
      ...(above === null ? {} : { parent: above.id }),
      down: { rate: down },
      up: { rate: up },
    };
    this.#classes.push(spec);
    return spec;
  }

  #readId(name: string, id: unknown): void {
    if (typeof id !== 'string' && typeof id !== 'number') return;
    const text = String(id).trim();
    if (text === '') return;
    const other = this.#nameById.get(text);
    if (other === undefined) this.#nameById.set(text, name);
    else {
      const message = `${quoted(text)} is the id of node ${quoted(other)} already`;
      this.#problems.error(this.#spot(name), 'id', message);
    }
  }

  /** bit/s; no more than the node above has, as LibreQoS does it. NaN after an error. */
  #bandwidth(
    name: string,
    fields: Readonly<Record<string, unknown>>,
    key: string,
    aboveBps: number | undefined,
  ): number {
    const value = fields[key];
    const text = typeof value === 'number' ? String(value) : value;
    const bps = typeof text === 'string' ? parseMbps(text.trim()) : 'must be a number of Mbit/s';
    if (typeof bps === 'string' || bps === 0) {
      const fault = value === undefined ? 'is missing' : bps === 0 ? 'is 0, which lets nothing through' : bps;
      this.#problems.error(this.#spot(name), key, String(fault));
      return Number.NaN;
    }
    if (aboveBps === undefined || !(bps > aboveBps)) return bps;
    const message = 'is above that of the node above it; taken as that, as LibreQoS does';
    this.#problems.tally(`cap ${key}`, this.#spot(name), key, message);
    return aboveBps;
  }

  #spot(name: string): { readonly place: string } {
    return { place: nodePlace(this.#fileName, name) };
  }
}

export function nodePlace(fileName: string, name: string): string {
  return `${fileName} node ${quoted(name)}`;
}

/**
 * bit/s from a decimal number of Mbit/s, rounded to whole bits.
 * @returns the rate, or what is wrong with `text`
 */
export function parseMbps(text: string): number | string {
  if (/^-[\d.]/.test(text)) return `${quoted(text)} is negative`;
  if (!/^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return `${quoted(text)} is not a number of Mbit/s`;
  const bps = Math.round(Number(text) * BPS_PER_MBPS);
  if (bps > RATE_MAX_BPS)
    return `${quoted(text)} is above the highest rate, ${RATE_MAX_BPS / BPS_PER_MBPS} Mbit/s`;
  return bps;
}

/** Mbit/s as a decimal that parseMbps() reads back exactly. */
export function formatMbps(bps: number): string {
  const fraction = String(bps % BPS_PER_MBPS)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const whole = Math.floor(bps / BPS_PER_MBPS);
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}

/** The last first, for a stack that gives the file's order. */
function childrenOf(nodes: Readonly<Record<string, unknown>>, above: DocumentClass | null): OpenNode[] {
  return Object.entries(nodes)
    .map(([name, value]) => ({ name, value, above }))
    .reverse();
}

function isVirtual(fields: Readonly<Record<string, unknown>>): boolean {
  const { virtual, type } = fields;
  return Boolean(virtual) || (typeof type === 'string' && type.toLowerCase() === 'virtual');
}
