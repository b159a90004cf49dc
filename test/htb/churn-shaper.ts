/**
 * Several queues of one shaper in one thread, under one clock: each adopts, steps and stalls at times of its own,
 * as workers do, and everything they do to the shared memory is checked as it happens.
 */
import { type PublishedClass, Publisher } from '../../src/control/publisher.js';
import { applyChanges } from '../../src/dataplane/adopt.js';
import { WeirError } from '../../src/errors.js';
import { ChangeApplier } from '../../src/htb/changes.js';
import { Htb } from '../../src/htb/htb.js';
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Packet, PacketPool } from '../../src/htb/packet-pool.js';
import { sideOf } from '../../src/htb/sharing/generation.js';
import {
  adoptedWord,
  Change,
  createSharedShaper,
  EpochQueue,
  type SharedShaper,
} from '../../src/shm/shared-shaper.js';
import { Direction, Fair, Generation, Limit, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import type { OracleClass } from '../oracle/htb-oracle.js';
import type { Rng } from '../oracle/random-tree.js';
import { checkStructure } from './check-structure.js';
import { CeilBound } from './rate-bound.js';
import { classTreeOf } from './tree-driver.js';

export const CAPACITY_CLASSES = 160;
const PACKETS = 1024;
const BATCH = 32;
/** Packets that timers may release at once; few enough for more to be due at times. */
const RELEASE_ROOM = 6;
const MICROSECOND = 1000;

/** What a queue has counted of a class for as long as it holds it. */
interface Count {
  enqueued: number;
  passed: number;
  sent: number;
  dropped: number;
}

/** A class's ceil as published, watched over all queues from the epoch on that all have adopted. */
interface Watch {
  readonly entry: PublishedClass;
  readonly spec: OracleClass;
  readonly sinceEpoch: number;
  bound: CeilBound | null;
}

export class ChurnShaper {
  readonly shared: SharedShaper;
  readonly publisher: Publisher;
  readonly queues: ChurnQueue[];
  readonly sent = { packets: 0, passed: 0, released: 0, epochs: 0 };
  nowNs = 0;
  /** By class index: ids and ceils. */
  readonly #watches = new Map<number, Watch>();

  constructor(queues: number, startNs: number) {
    this.nowNs = startNs;
    this.shared = createSharedShaper(CAPACITY_CLASSES, queues);
    this.publisher = new Publisher(this.shared, {
      seed: 1,
      deliver: (epoch) => {
        for (const queue of this.queues) queue.epochs.push(epoch);
      },
    });
    this.queues = Array.from({ length: queues }, (_, at) => new ChurnQueue(this, at));
  }

  /** The worker of a queue is no more. What it had published stays until `bury` or `restart`. */
  kill(queue: ChurnQueue): void {
    this.queues.splice(this.queues.indexOf(queue), 1);
  }

  /** Takes back what a dead worker had published. */
  bury(queue: number): void {
    this.publisher.release(queue, this.nowNs);
  }

  /** Puts a new worker in a dead one's place. */
  restart(at: number): ChurnQueue {
    const queue = new ChurnQueue(this, at);
    queue.epochs.push(this.publisher.restart(at, this.nowNs));
    queue.nextStepNs = this.nowNs;
    this.queues.push(queue);
    return queue;
  }

  /** Lets all workers come into the generations that the publisher still has to begin. */
  finishGenerations(rng: Rng): void {
    for (let turn = 0; turn < 3; turn++) {
      this.publisher.reclaim();
      for (const queue of this.queues) queue.step(rng, 0, 0);
    }
    if (this.publisher.hasRemains) throw new Error('remains of a dead worker are still in the sums');
  }

  /** False when there is no room for the classes, and nothing has changed. */
  publish(classes: readonly OracleClass[]): boolean {
    try {
      this.publisher.publish(classTreeOf(classes), this.nowNs);
    } catch (error) {
      if (error instanceof WeirError && error.code === 'E_CAPACITY') return false;
      throw error;
    }
    this.sent.epochs++;
    for (const spec of classes) {
      const entry = this.publisher.classes.get(spec.id)!;
      const before = this.#watches.get(entry.index);
      const bound = before?.entry === entry && sameCeil(before.spec, spec) ? before.bound : null;
      this.#watches.set(entry.index, { entry, spec, sinceEpoch: this.publisher.epoch, bound });
    }
    return true;
  }

  /** Notes a packet that left `queue`, on all the classes it went through there. */
  noteSent(queue: ChurnQueue, classIndex: number, lenBytes: number): void {
    this.sent.packets++;
    const { words } = queue.tree.memory;
    let record = TreeMemory.recordOf(classIndex);
    for (; record !== 0; record = words[record + Field.PARENT]!) {
      const index = TreeMemory.classIndexOf(record);
      const watch = this.#watches.get(index)!;
      if (watch.spec.unlimited) continue;
      if (watch.bound === null && this.publisher.oldestAdoptedEpoch() >= watch.sinceEpoch) {
        // Words count whole microseconds.
        const roundingBytes = ((2 * MICROSECOND * this.shared.queues) / 8e9) * watch.spec.ceilBps;
        watch.bound = new CeilBound({
          ...watch.spec,
          cburstBytes: Math.max(1600, watch.spec.cburstBytes) + roundingBytes,
        });
      }
      if (watch.bound?.passedBy(lenBytes, this.nowNs))
        throw new Error(`class ${watch.spec.id} (${index}) passes its ceil of ${watch.spec.ceilBps} bit/s`);
    }
  }

  /** Bytes in all queues. */
  get backlogBytes(): number {
    let bytes = 0;
    for (const { tree } of this.queues)
      for (let index = 0; index < CAPACITY_CLASSES; index++) bytes += tree.memory.statsOf(index).backlogBytes;
    return bytes;
  }

  get backlogPackets(): number {
    return this.queues.reduce((sum, { tree }) => sum + tree.backlogPackets, 0);
  }

  /** The slowest rate that any class held by any queue may come down to. */
  get slowestBps(): number {
    let slowest = Number.POSITIVE_INFINITY;
    for (const [index, { spec }] of this.#watches) {
      const isHeld = this.queues.some(
        ({ tree }) => (tree.memory.words[TreeMemory.recordOf(index) + Field.FLAGS]! & Flag.IS_PRESENT) !== 0,
      );
      if (isHeld && !spec.unlimited) slowest = Math.min(slowest, spec.ceilBps, spec.rateBps || slowest);
    }
    return slowest;
  }

  /** The longest that any class has to wait for its tokens, after a change of rates perhaps for long. */
  get longestDebtNs(): number {
    let longestNs = 0;
    for (const { tree } of this.queues) {
      const { words, doubles } = tree.memory;
      for (let index = 0; index < CAPACITY_CLASSES; index++) {
        const record = TreeMemory.recordOf(index);
        if ((words[record + Field.FLAGS]! & Flag.IS_PRESENT) === 0) continue;
        const fullAtNs = Math.max(
          doubles[(record >> 1) + Field.D_RATE_FULL_AT_NS]!,
          doubles[(record >> 1) + Field.D_CEIL_FULL_AT_NS]!,
        );
        longestNs = Math.max(longestNs, fullAtNs - this.nowNs);
      }
    }
    return longestNs;
  }

  /** What is still announced though no queue has anything; null when nothing is. */
  leftovers(): string | null {
    for (const tree of this.shared.trees) {
      const side = currentSide(tree);
      for (let index = 0; index < CAPACITY_CLASSES; index++) {
        const base = (index << Word.SHIFT) + side;
        const presence = tree.classWords[base + Word.PRESENCE];
        if (presence !== 0) return `presence of class ${index} is ${presence}`;
        const claims = tree.classWords[base + Word.CLAIMS];
        if (claims !== 0) return `claims at class ${index} are ${claims}`;
        const lack = tree.classWords[base + Word.LACK];
        if (lack !== 0) return `lack of class ${index} is ${lack}`;
      }
      for (let slot = 0; slot <= CAPACITY_CLASSES; slot++) {
        for (let prio = 0; prio < Limit.PRIOS; prio++) {
          const weight = tree.fairWords[(slot << Fair.SHIFT) + Fair.WEIGHT + side * Fair.WEIGHT_SIDE + prio];
          if (weight !== 0) return `weight at slot ${slot}, prio ${prio}, is ${weight}`;
        }
      }
    }
    for (const queue of this.queues) {
      const left = queue.leftovers();
      if (left !== null) return left;
    }
    return null;
  }
}

export class ChurnQueue {
  readonly tree: Htb;
  readonly epochs = new EpochQueue();
  nextStepNs = 0;
  /** Steps until it looks for epochs again. */
  adoptsIn = 0;
  /** Has classes, and never a packet. */
  readonly #up: Htb;
  readonly #shaper: ChurnShaper;
  readonly queue: number;
  readonly #appliers: readonly [ChangeApplier, ChangeApplier];
  readonly #pool = new PacketPool(PACKETS);
  readonly #free = Array.from({ length: PACKETS }, (_, packet) => packet);
  readonly #classOf = new Int32Array(PACKETS);
  readonly #counts = new Map<number, Count>();
  /** Leaves that packets may come for. */
  readonly #leaves: number[] = [];
  readonly #batchClasses = new Int32Array(BATCH);
  readonly #batchLengths = new Int32Array(BATCH);
  readonly #batchPasses = new Int32Array(BATCH);
  readonly #released = new Int32Array(RELEASE_ROOM);

  constructor(shaper: ChurnShaper, queue: number) {
    this.#shaper = shaper;
    this.queue = queue;
    const { shared } = shaper;
    this.tree = new Htb(shared.trees[Direction.DOWN], queue, this.#pool);
    this.#up = new Htb(shared.trees[Direction.UP], queue, new PacketPool(1));
    this.#appliers = [
      new ChangeApplier(this.tree, (index) => this.#letGo(index)),
      new ChangeApplier(this.#up),
    ];
  }

  /** Takes all epochs that have been handed over. */
  adopt(): void {
    for (let next = this.epochs.take(); next !== null; next = this.epochs.take()) {
      this.tree.setNow(this.#shaper.nowNs);
      const { changes } = next;
      // A class that goes at once asks for its counts, one that comes begins them.
      for (let at = 0; at < changes.length; at += Change.STRIDE) this.#noteChange(changes, at);
      applyChanges(changes, this.#appliers);
      Atomics.store(this.#shaper.shared.epochWords, adoptedWord(this.queue), next.epoch);
    }
  }

  #noteChange(changes: Int32Array, at: number): void {
    const index = changes[at + Change.CLASS_INDEX]!;
    const known = this.#leaves.indexOf(index);
    if (changes[at + Change.OP] === Change.OP_REMOVE) {
      if (known >= 0) this.#leaves.splice(known, 1);
      return;
    }
    if (known < 0 && (changes[at + Change.FLAGS]! & Change.FLAG_INNER) === 0) this.#leaves.push(index);
    if (!this.#counts.has(index)) this.#counts.set(index, { enqueued: 0, passed: 0, sent: 0, dropped: 0 });
  }

  /** One step of a worker: timers, arrivals, at most `room` departures. */
  step(rng: Rng, arrivals: number, room: number): void {
    const { tree } = this;
    if (!Number.isFinite(this.#shaper.nowNs)) throw new Error('the clock has run away');
    tree.setNow(this.#shaper.nowNs);
    const released = tree.release(this.#released, Math.min(room, RELEASE_ROOM));
    this.#up.beginStep(this.#shaper.nowNs);
    for (let i = 0; i < released; i++) this.#leave(this.#released[i]!);
    this.#shaper.sent.released += released;
    let left = room - released;
    if (arrivals > 0) left -= this.#arrive(rng, arrivals, room);
    while (left > 0) {
      const packet = tree.dequeue();
      if (packet < 0) break;
      this.#leave(packet);
      left--;
    }
    tree.endStep();
    this.#up.endStep();
    const wrong = checkStructure(tree, CAPACITY_CLASSES);
    if (wrong !== null) throw new Error(`queue ${this.queue}: ${wrong}`);
  }

  /** Returns how many passed at once. */
  #arrive(rng: Rng, arrivals: number, room: number): number {
    const leaves = this.#leaves;
    if (leaves.length === 0) return 0;
    const classes = this.#batchClasses;
    const lengths = this.#batchLengths;
    // Bursts for one class now and then, otherwise a mixture; small and large ones.
    const one = rng.chance(0.3) ? leaves[rng.int(leaves.length)]! : -1;
    for (let i = 0; i < arrivals; i++) {
      classes[i] = one >= 0 ? one : leaves[rng.int(leaves.length)]!;
      lengths[i] = rng.chance(0.5) ? 1514 : 60 + rng.int(1455);
    }
    this.#batchPasses.fill(0);
    if (rng.chance(0.8)) this.tree.pass(classes, lengths, this.#batchPasses, arrivals, room);
    let passed = 0;
    for (let i = 0; i < arrivals; i++) {
      if (this.#batchPasses[i] === 0) this.#enqueue(classes[i]!, lengths[i]!);
      else {
        passed++;
        this.#counts.get(classes[i]!)!.passed++;
        this.#shaper.sent.passed++;
        this.#shaper.noteSent(this, classes[i]!, lengths[i]!);
      }
    }
    return passed;
  }

  #enqueue(index: number, lenBytes: number): void {
    const packet = this.#free.pop();
    if (packet === undefined) return;
    const count = this.#counts.get(index)!;
    if (this.tree.enqueue(index, packet, lenBytes)) {
      this.#classOf[packet] = index;
      count.enqueued++;
    } else {
      count.dropped++;
      this.#free.push(packet);
    }
  }

  #leave(packet: number): void {
    const index = this.#classOf[packet]!;
    this.#free.push(packet);
    this.#shaper.noteSent(this, index, this.#pool.words[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!);
    // A class that was let go of with this packet has been checked.
    const count = this.#counts.get(index);
    if (count !== undefined) count.sent++;
  }

  /** enqueued = sent + backlog, and the tree's own counters say the same. */
  checkCounts(): void {
    for (const [index, count] of this.#counts) this.#checkCount(index, count, 0);
  }

  #checkCount(index: number, count: Count, leaving: number): void {
    const { flags, stats } = this.#look(index);
    if ((flags & Flag.IS_INNER) !== 0) return;
    const sent = count.sent + leaving;
    const holds =
      count.enqueued === sent + stats.backlogPackets &&
      stats.packets === sent + count.passed &&
      stats.drops === count.dropped;
    if (holds) return;
    throw new Error(`queue ${this.queue}, class ${index}: ${JSON.stringify({ count, leaving, stats })}`);
  }

  #look(index: number): { flags: number; stats: ReturnType<TreeMemory['statsOf']> } {
    const { memory } = this.tree;
    return { flags: memory.words[TreeMemory.recordOf(index) + Field.FLAGS]!, stats: memory.statsOf(index) };
  }

  #letGo(index: number): void {
    const count = this.#counts.get(index)!;
    // The packet whose leaving lets go of the class has yet to be handed to us. An inner class has none of its own.
    const isLeaf = count.enqueued + count.dropped + count.passed > 0;
    if (isLeaf) this.#checkCount(index, count, count.enqueued - count.sent);
    if (count.enqueued - count.sent > 1) throw new Error(`class ${index}: packets are missing`);
    this.#counts.delete(index);
  }

  leftovers(): string | null {
    const { tree } = this;
    const { words } = tree.memory;
    if (!tree.modes.schedule.isEmpty) return `queue ${this.queue}: its schedule is not empty`;
    if (tree.modes.wheel.count !== 0) return `queue ${this.queue}: ${tree.modes.wheel.count} on its wheel`;
    for (let index = 0; index < CAPACITY_CLASSES; index++) {
      const record = TreeMemory.recordOf(index);
      if ((words[record + Field.FLAGS]! & Flag.IS_INNER) === 0) continue;
      if (words[record + Field.CLAIM_COUNT] !== 0) return `queue ${this.queue}: class ${index} counts claims`;
      for (let prio = 0; prio < Limit.PRIOS; prio++) {
        const weight = words[words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT) + Field.FEED_WEIGHT];
        if (weight !== 0) return `queue ${this.queue}: class ${index} has weight ${weight} at prio ${prio}`;
      }
    }
    return this.#free.length === PACKETS ? null : `queue ${this.queue}: packets are missing`;
  }
}

/** The side of the sums that counts. */
export function currentSide(tree: SharedTree): number {
  return tree.queues === 1 ? 0 : sideOf(tree.generationWords[Generation.CURRENT]!);
}

function sameCeil(a: OracleClass, b: OracleClass): boolean {
  return a.ceilBps === b.ceilBps && a.cburstBytes === b.cburstBytes && a.unlimited === b.unlimited;
}
