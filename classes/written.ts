/**
 * A class, and what a tree says of itself, as an operator writes them: keys of the tree file in their order, what follows from others left out, rates and sizes
 * in tc's grammar. Read back they are
 * the same.
 */
import {
  type ClassSpec,
  type ClassTree,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
} from './model.js';
import { type QueueValue, writtenQueue } from './queue-keys.js';
import { formatRate, formatSize } from './units.js';

export interface WrittenDirection {
  readonly [key: string]: string | number;
}

export interface WrittenClass {
  readonly [key: string]: QueueValue | readonly string[] | WrittenDirection;
}

export function writtenClass(spec: ClassSpec): WrittenClass {
  const fields: Record<string, WrittenClass[string]> = { id: spec.id };
  if (spec.parent !== null) fields.parent = spec.parent;
  if (spec.match.length > 0) fields.match = spec.match.map((prefix) => prefix.text);
  Object.assign(fields, writtenQueue(spec.queue));
  if (spec.down !== null) fields.down = writtenDirection(spec.down);
  if (spec.up !== null) fields.up = writtenDirection(spec.up);
  return fields;
}

/** What a tree says of itself, apart from its classes. */
export function writtenSettings(tree: ClassTree): Record<string, QueueValue> {
  const fields: Record<string, QueueValue> = {};
  if (tree.defaultClass !== null) fields.default = tree.defaultClass;
  if (tree.overheadBytes !== 0) fields.overhead = tree.overheadBytes;
  if (tree.mpuBytes !== 0) fields.mpu = tree.mpuBytes;
  if (tree.linkLayer !== 'ethernet') fields.linklayer = tree.linkLayer;
  return Object.assign(fields, writtenQueue(tree.queue));
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
