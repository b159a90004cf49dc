import type { DirectionSpec } from '../../classes/model.js';
import { INTERVAL_MAX_US, type QueueSpec } from '../../classes/queue.js';
import { CODEL_MTU_BYTES } from '../htb/leaves/codel.js';
import { BORROW_SHARE } from '../htb/sharing/gate.js';
import { LeafFlag, Limit, Shape, type SharedTree } from '../shm/tree-layout.js';

/** What of a class decides its shape in one direction. */
export interface ShapeSpec {
  readonly direction: DirectionSpec | null;
  readonly isInner: boolean;
  readonly isRoot: boolean;
  /** Takes part in claims: its assured tokens may come slower than its rate says. */
  readonly hasClaim: boolean;
  /** Of a leaf; null for an inner class. */
  readonly queue: QueueSpec | null;
}

/**
 * A bucket may be overdrawn by one packet, so it is shallower by the largest one than its burst says: tc's default
 * mtu with its link-layer header.
 */
export const OVERDRAFT_BYTES = 1600;
/** However slow a class is: CoDel's times must fit into wrapping microseconds. */
const TARGET_MAX_US = INTERVAL_MAX_US / 2;
/** All workers' tabs on a bucket together are worth at most this much of its rate. */
const TABS_NS = 100_000;
/** ... and at most this part of its depth. */
const TABS_SHARE = 1 / 4;
const WEIGHT_QUANTUM_MAX = 200_000;

/** The shape that a direction and a queue had last, and the key by which it is known whether they still have it. */
interface LastShape {
  readonly shape: number;
  readonly key: string;
}

/** Stand for null, which no WeakMap takes. */
const NO_DIRECTION = {};
const NO_QUEUE = {};

/**
 * Interns shapes in the shared table: classes with the same numbers have the same shape. A shape that no class
 * uses any more is reused only when every worker has passed the epoch that gave it up.
 */
export class ShapeTable {
  readonly #tree: SharedTree;
  readonly #byKey = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #users: number[] = [];
  /** Equal directions are one object within a tree, but not from one tree to the next. */
  readonly #directionKeys = new WeakMap<DirectionSpec, string>();
  readonly #queueKeys = new WeakMap<QueueSpec, string>();
  /** By direction and queue, and then by what else decides: most classes have what another had, and need no key made. */
  readonly #last = new WeakMap<object, WeakMap<object, LastShape[]>>();
  #free: number[] = [];
  #released: { shape: number; epoch: number }[] = [];

  constructor(tree: SharedTree) {
    this.#tree = tree;
  }

  /** Shapes that can be taken before any other is reclaimed. */
  get room(): number {
    return this.#tree.shapes.length / Shape.STRIDE - this.#keys.length + this.#free.length;
  }

  /** The index of a shape, counted as used once more. */
  take(spec: ShapeSpec): number {
    const { isInner, isRoot, hasClaim } = spec;
    const others = (isInner ? 4 : 0) | (isRoot ? 2 : 0) | (hasClaim ? 1 : 0);
    const last = this.#lastOf(spec);
    const known = last[others];
    const isKnown = known !== undefined && this.#keys[known.shape] === known.key;
    if (isKnown && this.#users[known.shape]! > 0) {
      this.#users[known.shape]! += 1;
      return known.shape;
    }
    const shape = this.#find(spec);
    last[others] = { shape, key: this.#keys[shape]! };
    this.#users[shape]! += 1;
    return shape;
  }

  #lastOf({ direction, queue }: ShapeSpec): LastShape[] {
    let byQueue = this.#last.get(direction ?? NO_DIRECTION);
    if (byQueue === undefined) {
      byQueue = new WeakMap();
      this.#last.set(direction ?? NO_DIRECTION, byQueue);
    }
    let last = byQueue.get(queue ?? NO_QUEUE);
    if (last === undefined) {
      last = [];
      byQueue.set(queue ?? NO_QUEUE, last);
    }
    return last;
  }

  /** The shape with these numbers, a new one if there is none. */
  #find(spec: ShapeSpec): number {
    const key = this.#keyOf(spec);
    let shape = this.#byKey.get(key);
    if (shape === undefined) {
      shape = this.#free.pop() ?? this.#keys.length;
      this.#keys[shape] = key;
      this.#users[shape] = 0;
      this.#byKey.set(key, shape);
      this.#write(shape, spec);
    }
    return shape;
  }

  /** Counts a shape as used once less from `epoch` on. */
  drop(shape: number, epoch: number): void {
    this.#users[shape]! -= 1;
    if (this.#users[shape] === 0) {
      this.#byKey.delete(this.#keys[shape]!);
      this.#released.push({ shape, epoch });
    }
  }

  /** Makes shapes available again that were dropped in epochs every worker has adopted. */
  reclaim(oldestAdoptedEpoch: number): void {
    const waits = this.#released.filter(({ epoch }) => ((epoch - oldestAdoptedEpoch) | 0) > 0);
    for (const { shape, epoch } of this.#released) {
      if (((epoch - oldestAdoptedEpoch) | 0) <= 0) this.#free.push(shape);
    }
    this.#released = waits;
  }

  #keyOf({ direction, isInner, isRoot, hasClaim, queue }: ShapeSpec): string {
    return `${this.#directionKey(direction)},${isInner ? 1 : 0},${isRoot ? 1 : 0},${hasClaim ? 1 : 0},${this.#queueKey(queue)}`;
  }

  #queueKey(queue: QueueSpec | null): string {
    if (queue === null) return '';
    let key = this.#queueKeys.get(queue);
    if (key === undefined) {
      key = JSON.stringify(queue);
      this.#queueKeys.set(queue, key);
    }
    return key;
  }

  #directionKey(direction: DirectionSpec | null): string {
    if (direction === null) return '';
    let key = this.#directionKeys.get(direction);
    if (key === undefined) {
      const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = direction;
      key = `${rateBps},${ceilBps},${burstBytes},${cburstBytes},${quantumBytes},${prio}`;
      this.#directionKeys.set(direction, key);
    }
    return key;
  }

  #write(shape: number, spec: ShapeSpec): void {
    const row = this.#tree.shapes.subarray(shape << Shape.SHIFT, (shape + 1) << Shape.SHIFT);
    const queues = this.#tree.queues;
    const { direction } = spec;
    row.fill(0);
    if (spec.queue !== null) writeQueue(row, spec.queue, direction?.ceilBps ?? Number.POSITIVE_INFINITY);
    if (direction === null) {
      // Without a limit of its own a class has nothing assured, and as a root it lends without end.
      row[Shape.RATE_LIMIT_NS] = spec.isRoot ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      row[Shape.CEIL_LIMIT_NS] = Number.POSITIVE_INFINITY;
      row[Shape.CEIL_BORROW_LIMIT_NS] = Number.POSITIVE_INFINITY;
      row[Shape.RATE_TAB_NS] = Number.POSITIVE_INFINITY;
      row[Shape.CEIL_TAB_NS] = Number.POSITIVE_INFINITY;
      row[Shape.QUANTUM_BYTES] = 1000;
    } else {
      const borrowShare = spec.isInner && queues > 1 ? BORROW_SHARE : 1;
      const rate = bucketOf(direction.rateBps, direction.burstBytes, queues);
      const ceil = bucketOf(direction.ceilBps, direction.cburstBytes, queues);
      row[Shape.RATE_NS_PER_BYTE] = rate.nsPerByte;
      row[Shape.CEIL_NS_PER_BYTE] = ceil.nsPerByte;
      row[Shape.RATE_LIMIT_NS] =
        direction.rateBps > 0 ? rate.limitNs * borrowShare : Number.NEGATIVE_INFINITY;
      row[Shape.CEIL_LIMIT_NS] = ceil.limitNs;
      row[Shape.CEIL_BORROW_LIMIT_NS] = ceil.limitNs * borrowShare;
      row[Shape.RATE_TAB_NS] = rate.tabNs;
      row[Shape.CEIL_TAB_NS] = ceil.tabNs;
      row[Shape.QUANTUM_BYTES] = direction.quantumBytes;
      const { rateBps, ceilBps, burstBytes, cburstBytes } = direction;
      if (rateBps === ceilBps && burstBytes === cburstBytes && !spec.hasClaim) {
        // Both buckets would always say the same; the ceil's alone is kept.
        row[Shape.RATE_NS_PER_BYTE] = 0;
        row[Shape.RATE_LIMIT_NS] = Number.POSITIVE_INFINITY;
        row[Shape.RATE_TAB_NS] = Number.POSITIVE_INFINITY;
      }
      row[Shape.CLAIM] =
        direction.rateBps > 0 ? Math.max(1, Math.round(direction.rateBps / Limit.CLAIM_UNIT_BPS)) : 0;
      row[Shape.PRIO] = direction.prio;
    }
    const quantumBytes = Math.min(row[Shape.QUANTUM_BYTES]!, WEIGHT_QUANTUM_MAX);
    row[Shape.WEIGHT] = Math.max(1, Math.round(quantumBytes / this.#tree.weightUnitBytes));
  }
}

/** A bucket's constants: what a byte costs, the debt up to which it gives, and a worker's tab on it. */
function bucketOf(
  rateBps: number,
  burstBytes: number,
  queues: number,
): { nsPerByte: number; limitNs: number; tabNs: number } {
  if (rateBps <= 0) return { nsPerByte: 0, limitNs: 0, tabNs: Number.POSITIVE_INFINITY };
  const nsPerByte = 8e9 / rateBps;
  const depthNs = Math.max(0, burstBytes - OVERDRAFT_BYTES) * nsPerByte;
  if (queues === 1) return { nsPerByte, limitNs: depthNs, tabNs: Number.POSITIVE_INFINITY };
  const tabsNs = Math.min(depthNs * TABS_SHARE, TABS_NS);
  return { nsPerByte, limitNs: depthNs - tabsNs, tabNs: tabsNs / queues };
}

function writeQueue(row: Float64Array, queue: QueueSpec, ceilBps: number): void {
  row[Shape.LIMIT_PACKETS] = queue.limitPackets;
  row[Shape.LIMIT_BYTES] = queue.limitBytes === 0 ? Number.POSITIVE_INFINITY : queue.limitBytes;
  // Below one packet's time at its ceil a class could never come; the interval keeps its distance, as in sch_cake.
  const packetUs = Math.ceil((CODEL_MTU_BYTES * 8e6) / ceilBps);
  const targetUs = Math.max(queue.targetUs, Math.min(packetUs, TARGET_MAX_US));
  row[Shape.TARGET_US] = targetUs;
  row[Shape.INTERVAL_US] = Math.min(
    Math.max(queue.intervalUs + targetUs - queue.targetUs, 2 * targetUs),
    INTERVAL_MAX_US,
  );
  row[Shape.LEAF] =
    (queue.flows << LeafFlag.FLOWS_SHIFT) |
    (queue.kind === 'pfifo' ? 0 : LeafFlag.IS_FAIR) |
    (queue.ecn ? LeafFlag.ECN : 0) |
    (queue.wash ? LeafFlag.WASH : 0) |
    (queue.isolate === 'host' ? LeafFlag.BY_DEVICE : 0) |
    (queue.isolate === 'dual' ? LeafFlag.DEVICES_FIRST : 0) |
    (queue.diffserv === 'diffserv3' ? LeafFlag.DIFFSERV3 : 0) |
    (queue.diffserv === 'diffserv4' ? LeafFlag.DIFFSERV4 : 0);
}
