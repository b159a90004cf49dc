/**
 * Drives one worker's real tree as a worker does, for tests: publishes class trees, adopts them, and moves packets
 * through. Classes are named by id; packets carry a tag, so that a test can follow them.
 */
import type { ClassSpec, ClassTree, DirectionSpec } from '../../classes/model.js';
import { NO_SETTINGS } from '../../classes/queue.js';
import { Publisher, type PublishSummary } from '../../src/control/publisher.js';
import { applyChanges } from '../../src/dataplane/adopt.js';
import { ChangeApplier } from '../../src/htb/changes.js';
import { Htb } from '../../src/htb/htb.js';
import { Packet, PacketPool } from '../../src/htb/packet-pool.js';
import { adoptedWord, createSharedShaper, EpochQueue } from '../../src/shm/shared-shaper.js';
import { Direction } from '../../src/shm/tree-layout.js';
import type { OracleClass, OracleStats } from '../oracle/htb-oracle.js';

export interface DrivenPacket {
  id: string;
  lenBytes: number;
  tag: number;
}

export interface DriverOptions {
  capacityClasses?: number;
  capacityPackets?: number;
  overheadBytes?: number;
  mpuBytes?: number;
}

/** The class tree in which `classes` have their numbers in the direction down and none in the other. */
export function classTreeOf(
  classes: readonly OracleClass[],
  linkLayer: { overheadBytes?: number; mpuBytes?: number } = {},
): ClassTree {
  return {
    version: 1,
    defaultClass: null,
    overheadBytes: linkLayer.overheadBytes ?? 0,
    mpuBytes: linkLayer.mpuBytes ?? 0,
    linkLayer: 'ethernet',
    queue: NO_SETTINGS,
    classes: classes.map(classSpecOf),
  };
}

function classSpecOf(spec: OracleClass): ClassSpec {
  const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = spec;
  const down: DirectionSpec = { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio };
  return {
    id: spec.id,
    parent: spec.parent,
    match: [],
    queue: { leaf: 'pfifo', limitPackets: spec.limitPackets, limitBytes: spec.limitBytes },
    down: spec.unlimited ? null : down,
    up: null,
  };
}

export class TreeDriver {
  readonly tree: Htb;
  readonly publisher: Publisher;
  /** Indexes that the tree has let go of, in order. */
  readonly freed: number[] = [];
  readonly #shared;
  readonly #epochs = new EpochQueue();
  readonly #appliers: readonly [ChangeApplier, ChangeApplier];
  readonly #packets: Int32Array;
  readonly #passing = new Int32Array(2);
  readonly #passes = new Int32Array(1);
  readonly #freePackets: number[] = [];
  readonly #linkLayer: { overheadBytes: number; mpuBytes: number };
  readonly #packetTags: Float64Array;
  readonly #packetClasses: Int32Array;
  readonly #idOf = new Map<number, string>();
  readonly #indexOf = new Map<string, number>();

  constructor(options: DriverOptions = {}) {
    const { capacityClasses = 1024, capacityPackets = 1 << 16, overheadBytes = 0, mpuBytes = 0 } = options;
    this.#linkLayer = { overheadBytes, mpuBytes };
    this.#shared = createSharedShaper(capacityClasses, 1);
    this.publisher = new Publisher(this.#shared, {
      seed: 1,
      deliver: (epoch) => this.#epochs.push(epoch),
    });
    const pool = new PacketPool(capacityPackets);
    this.#packets = pool.words;
    this.#packetTags = new Float64Array(capacityPackets);
    this.#packetClasses = new Int32Array(capacityPackets);
    for (let packet = capacityPackets - 1; packet >= 0; packet--) this.#freePackets.push(packet);
    this.tree = new Htb(this.#shared.trees[Direction.DOWN], 0, pool);
    const other = new Htb(this.#shared.trees[Direction.UP], 0, new PacketPool(1));
    this.#appliers = [
      new ChangeApplier(this.tree, (index) => this.freed.push(index)),
      new ChangeApplier(other),
    ];
  }

  get freePackets(): number {
    return this.#freePackets.length;
  }

  /** Publishes the classes and adopts them at once, as a worker does between two steps. */
  publish(classes: readonly OracleClass[], nowNs: number): PublishSummary {
    const summary = this.publisher.publish(classTreeOf(classes, this.#linkLayer), nowNs);
    for (const [id, { index }] of this.publisher.classes) {
      this.#idOf.set(index, id);
      this.#indexOf.set(id, index);
    }
    for (let epoch = this.#epochs.take(); epoch !== null; epoch = this.#epochs.take()) {
      this.tree.setNow(nowNs);
      applyChanges(epoch.changes, this.#appliers);
      this.tree.setLinkLayer(epoch.overheadBytes, epoch.mpuBytes, epoch.linkLayer);
      Atomics.store(this.#shared.epochWords, adoptedWord(0), epoch.epoch);
    }
    return summary;
  }

  indexOf(id: string): number {
    const index = this.#indexOf.get(id);
    if (index === undefined) throw new RangeError(`class ${id}: unknown`);
    return index;
  }

  enqueue(id: string, lenBytes: number, tag: number): boolean {
    const packet = this.#freePackets.pop();
    if (packet === undefined) throw new RangeError('the driver has no free packet');
    const classIndex = this.indexOf(id);
    this.#packetTags[packet] = tag;
    this.#packetClasses[packet] = classIndex;
    const accepted = this.tree.enqueue(classIndex, packet, lenBytes);
    if (!accepted) this.#freePackets.push(packet);
    return accepted;
  }

  /** Lets a packet leave at once, as a worker tries first; false when it has to be queued. */
  pass(id: string, lenBytes: number): boolean {
    this.#passing[0] = this.indexOf(id);
    this.#passing[1] = lenBytes;
    this.tree.pass(this.#passing.subarray(0, 1), this.#passing.subarray(1, 2), this.#passes, 1, 1);
    return this.#passes[0] === 1;
  }

  /** Begins a step, as a worker does; returns the packets that its timers release at once. */
  release(nowNs: number, room: number): DrivenPacket[] {
    const released = new Int32Array(room);
    this.tree.setNow(nowNs);
    const count = this.tree.release(released, room);
    return Array.from(released.subarray(0, count), (packet) => this.#leave(packet));
  }

  dequeue(): DrivenPacket | null {
    const packet = this.tree.dequeue();
    return packet < 0 ? null : this.#leave(packet);
  }

  #leave(packet: number): DrivenPacket {
    this.#freePackets.push(packet);
    return {
      id: this.#idOf.get(this.#packetClasses[packet]!)!,
      lenBytes: this.#packets[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!,
      tag: this.#packetTags[packet]!,
    };
  }

  /** One step: timers, what `arrive` enqueues, everything that may leave, the step's end. */
  step(nowNs: number, onSent: (packet: DrivenPacket) => void, arrive: () => void = () => {}): void {
    this.tree.beginStep(nowNs);
    arrive();
    for (let packet = this.dequeue(); packet !== null; packet = this.dequeue()) onSent(packet);
    this.tree.endStep();
  }

  nextDueNs(nowNs: number): number {
    return this.tree.nextDueNs(nowNs);
  }

  /** Counters after a step. A leaf lends to itself what it does not borrow. */
  stats(id: string): OracleStats {
    return this.tree.memory.statsOf(this.indexOf(id));
  }
}
