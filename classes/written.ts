/**
 * A class as an operator writes it: keys of the tree file in their order, what follows from others left out, rates and sizes
 * in tc's grammar. Read back it is the same class.
 */
import {
  type ClassSpec,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
  LIMIT_DEFAULT_PACKETS,
} from './model.js';
import { formatRate, formatSize } from './units.js';

export interface WrittenDirection {
  readonly [key: string]: string | number;
}

export interface WrittenClass {
  readonly [key: string]: string | number | readonly string[] | WrittenDirection;
}

export function writtenClass(spec: ClassSpec): WrittenClass {
  const fields: Record<string, WrittenClass[string]> = { id: spec.id };
  if (spec.parent !== null) fields.parent = spec.parent;
  if (spec.match.length > 0) fields.match = spec.match.map((prefix) => prefix.text);
  if (spec.leaf !== null) fields.leaf = spec.leaf;
  if (spec.limitPackets !== LIMIT_DEFAULT_PACKETS) fields.limit = spec.limitPackets;
  if (spec.limitBytes !== 0) fields.limitBytes = formatSize(spec.limitBytes);
  if (spec.down !== null) fields.down = writtenDirection(spec.down);
  if (spec.up !== null) fields.up = writtenDirection(spec.up);
  return fields;
}

export function writtenDirection(direction: DirectionSpec): WrittenDirection {
  const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = direction;
  const fields: Record<string, string | number> = {};
  if (rateBps !== 0) fields.rate = formatRate(rateBps);
  if (ceilBps !== rateBps) fields.ceil = formatRate(ceilBps);
  if (burstBytes !== defaultBurstBytes(rateBps)) fields.burst = formatSize(burstBytes);
  if (cburstBytes !== defaultBurstBytes(ceilBps)) fields.cburst = formatSize(cburstBytes);
  if (quantumBytes !== defaultQuantumBytes(rateBps)) fields.quantum = formatSize(quantumBytes);
  if (prio !== 0) fields.prio = prio;
  return fields;
}
