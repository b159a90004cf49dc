/**
 * The threads of the litmus runs. Each goes on until it is told to stop, squares everything, and reports what it
 * has counted.
 */
import {
  isMainThread,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { applyChanges } from '../../src/dataplane/adopt.js';
import { ChangeApplier } from '../../src/htb/changes.js';
import { Htb } from '../../src/htb/htb.js';
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { PacketPool } from '../../src/htb/packet-pool.js';
import { LINGER_NS, Registry } from '../../src/htb/sharing/registry.js';
import { Tabs } from '../../src/htb/sharing/tab.js';
import {
  adoptedWord,
  Change,
  EpochWord,
  type PublishedEpoch,
  type SharedShaper,
} from '../../src/shm/shared-shaper.js';
import { Direction, Shape, type SharedTree } from '../../src/shm/tree-layout.js';
import { randomInts } from '../rings/random.js';
import { localTree, U1, U2 } from './local-tree.js';

/** Words of the control block; each thread's own word follows. */
export const CLOCK_US = 0;
export const STOP = 32;
export const doneWord = (thread: number): number => 64 + 32 * thread;
export const CONTROL_WORDS = 128;

export const PACKET_NS_MAX = 5000;
export const LIMIT_NS = 2_000_000;

interface Common {
  readonly thread: number;
  readonly seed: number;
  readonly control: Int32Array;
  /** The clock's first value; the word wraps. */
  readonly startUs: number;
}

export interface TreeTask extends Common {
  readonly kind: 'tokens' | 'registry';
  readonly tree: SharedTree;
}

export interface ShaperTask extends Common {
  readonly kind: 'shaper';
  readonly shared: SharedShaper;
  readonly port: MessagePort;
}

export type LitmusTask = TreeTask | ShaperTask;

export interface TokenReport {
  readonly sentNs: number;
  readonly tabNs: number;
  readonly packets: number;
}

export interface ShaperReport {
  readonly enqueued: number;
  readonly sent: number;
  readonly dropped: number;
  readonly epochs: number;
  readonly freed: number;
  /** The first thing that did not add up. */
  readonly wrong: string | null;
}

const hasStopped = (control: Int32Array): boolean => Atomics.load(control, STOP) !== 0;

function nowNsOf({ control, startUs }: Common): number {
  // Pairs with the store of the main thread, which alone moves the clock.
  return (startUs + ((Atomics.load(control, CLOCK_US) - startUs) | 0)) * 1000;
}

function drawTokens(task: TreeTask): TokenReport {
  const memory = localTree(task.tree, task.thread);
  const tabs = new Tabs(memory);
  const record = TreeMemory.recordOf(U1);
  const random = randomInts(task.seed + task.thread);
  let sentNs = 0;
  let packets = 0;
  // A class is settled when it has been idle for a while, so a tab is charged that seldom without a look at the limit.
  let settledAtNs = 0;
  while (!hasStopped(task.control)) {
    const nowNs = nowNsOf(task);
    const costNs = 1 + random(PACKET_NS_MAX);
    memory.clock[0] = nowNs;
    if (tabs.drawCeil(record, costNs, Shape.CEIL_LIMIT_NS)) {
      memory.doubles[(record >> 1) + Field.D_CEIL_TAB_NS]! += costNs;
      sentNs += costNs;
      packets++;
    }
    if (nowNs < settledAtNs + LINGER_NS) continue;
    tabs.settle(record);
    settledAtNs = nowNs;
  }
  return { sentNs, tabNs: memory.doubles[(record >> 1) + Field.D_CEIL_TAB_NS]!, packets };
}

function changeRegistry(task: TreeTask): number {
  const memory = localTree(task.tree, task.thread);
  const registry = new Registry(memory);
  const random = randomInts(task.seed + task.thread);
  const isOn = [false, false];
  let changes = 0;
  while (!hasStopped(task.control)) {
    const which = random(2);
    const leaf = TreeMemory.recordOf(which === 0 ? U1 : U2);
    const deed = random(4);
    changes++;
    if (!isOn[which]) {
      registry.registerPresence(leaf);
      isOn[which] = true;
    } else if (deed === 0) registry.registerWeight(leaf);
    else if (deed === 1) registry.refreshClaims(leaf);
    else if (deed === 2) {
      if ((memory.words[leaf + Field.FLAGS]! & Flag.IS_WEIGHTED) !== 0)
        registry.publishWeight(leaf, registry.weightNow(leaf));
    } else {
      registry.unregister(leaf);
      isOn[which] = false;
    }
  }
  for (const leaf of [U1, U2]) registry.unregister(TreeMemory.recordOf(leaf));
  return changes;
}

const PACKETS = 512;
/** The slowest root sends all that can be queued below it within a quarter of this. */
const DRAIN_NS_MAX = 2_000_000_000;

/** A worker with one tree in use: adopts epochs, moves its own packets, and counts them for every class. */
class Shaper {
  readonly #task: ShaperTask;
  readonly #tree: Htb;
  readonly #appliers: readonly [ChangeApplier, ChangeApplier];
  readonly #random: (below: number) => number;
  readonly #free: number[] = Array.from({ length: PACKETS }, (_, packet) => packet);
  readonly #classOf = new Int32Array(PACKETS);
  /** By class index, for as long as this tree holds the class. */
  readonly #enqueued: Float64Array;
  readonly #sent: Float64Array;
  readonly #dropped: Float64Array;
  readonly #leaves: number[] = [];
  readonly #total = { enqueued: 0, sent: 0, dropped: 0, epochs: 0, freed: 0 };
  #epoch = 0;
  #wrong: string | null = null;

  constructor(task: ShaperTask) {
    const { shared, thread, seed } = task;
    this.#task = task;
    this.#random = randomInts(seed + thread);
    const pool = new PacketPool(PACKETS);
    this.#tree = new Htb(shared.trees[Direction.DOWN], thread, pool);
    const up = new Htb(shared.trees[Direction.UP], thread, pool);
    this.#enqueued = new Float64Array(shared.capacityClasses);
    this.#sent = new Float64Array(shared.capacityClasses);
    this.#dropped = new Float64Array(shared.capacityClasses);
    this.#appliers = [new ChangeApplier(this.#tree, (index) => this.#letGo(index)), new ChangeApplier(up)];
  }

  run(): ShaperReport {
    let stoppedAtNs = Number.POSITIVE_INFINITY;
    while (this.#wrong === null) {
      const nowNs = nowNsOf(this.#task);
      this.#step(nowNs);
      if (!hasStopped(this.#task.control)) continue;
      if (this.#isEmpty()) break;
      if (stoppedAtNs > nowNs) stoppedAtNs = nowNs;
      if (nowNs - stoppedAtNs < DRAIN_NS_MAX) continue;
      const { backlogPackets, roots } = this.#tree;
      this.#wrong = `${backlogPackets} packets below ${roots} roots do not leave`;
    }
    return { ...this.#total, wrong: this.#wrong };
  }

  /** The last epoch has no classes; every one of them must have drained before the run ends. */
  #isEmpty(): boolean {
    const { shared } = this.#task;
    const isCurrent = Atomics.load(shared.epochWords, EpochWord.PUBLISHED) === this.#epoch;
    return isCurrent && this.#tree.backlogPackets === 0 && this.#tree.roots === 0;
  }

  #step(nowNs: number): void {
    const { shared, thread } = this.#task;
    if (Atomics.load(shared.epochWords, EpochWord.PUBLISHED) !== this.#epoch) {
      for (let next = this.#take(); next !== null; next = this.#take()) this.#adopt(next, nowNs);
      Atomics.store(shared.epochWords, adoptedWord(thread), this.#epoch);
    }
    this.#tree.beginStep(nowNs);
    for (let arrivals = this.#random(8); arrivals > 0; arrivals--) this.#arrive();
    for (let packet = this.#tree.dequeue(); packet >= 0; packet = this.#tree.dequeue()) this.#leave(packet);
    this.#tree.endStep();
  }

  #take(): PublishedEpoch | null {
    return (receiveMessageOnPort(this.#task.port)?.message as PublishedEpoch | undefined) ?? null;
  }

  #adopt({ changes, epoch }: PublishedEpoch, nowNs: number): void {
    this.#tree.setNow(nowNs);
    applyChanges(changes, this.#appliers);
    for (let at = 0; at < changes.length; at += Change.STRIDE) {
      const index = changes[at + Change.CLASS_INDEX]!;
      const known = this.#leaves.indexOf(index);
      if (changes[at + Change.OP] === Change.OP_REMOVE) {
        if (known >= 0) this.#leaves.splice(known, 1);
      } else if (known < 0 && (changes[at + Change.FLAGS]! & Change.FLAG_INNER) === 0)
        this.#leaves.push(index);
    }
    this.#epoch = epoch;
    this.#total.epochs++;
  }

  #arrive(): void {
    if (this.#leaves.length === 0) return;
    const packet = this.#free.pop();
    if (packet === undefined) return;
    const index = this.#leaves[this.#random(this.#leaves.length)]!;
    if (this.#tree.enqueue(index, packet, 60 + this.#random(1440))) {
      this.#classOf[packet] = index;
      this.#enqueued[index]! += 1;
      this.#total.enqueued++;
    } else {
      this.#free.push(packet);
      this.#dropped[index]! += 1;
      this.#total.dropped++;
    }
  }

  #leave(packet: number): void {
    const index = this.#classOf[packet]!;
    this.#free.push(packet);
    this.#total.sent++;
    // A class that was let go of with this packet has been checked, and its counts start anew.
    if (this.#enqueued[index]! > 0) this.#sent[index]! += 1;
  }

  /** What came must have left, and the tree's own counters must say the same. */
  #letGo(index: number): void {
    const enqueued = this.#enqueued[index]!;
    const { packets, drops, backlogPackets } = this.#tree.memory.statsOf(index);
    // An inner class counts what leaves through it.
    const isLeaf = enqueued + this.#dropped[index]! > 0;
    if (isLeaf && (backlogPackets !== 0 || packets !== enqueued || drops !== this.#dropped[index])) {
      const counted = `${packets} sent, ${drops} dropped, ${backlogPackets} left`;
      this.#wrong ??= `class ${index}: ${enqueued} enqueued, ${this.#dropped[index]} refused; ${counted}`;
    }
    // The packet whose leaving lets go of the class has yet to be handed to the caller.
    const pending = enqueued - this.#sent[index]!;
    if (pending !== 0 && pending !== 1) this.#wrong ??= `class ${index}: ${pending} packets missing`;
    this.#enqueued[index] = 0;
    this.#sent[index] = 0;
    this.#dropped[index] = 0;
    this.#total.freed++;
  }
}

function report(task: LitmusTask): unknown {
  switch (task.kind) {
    case 'tokens':
      return drawTokens(task);
    case 'registry':
      return changeRegistry(task);
    case 'shaper':
      return new Shaper(task).run();
  }
}

function main(task: LitmusTask): void {
  try {
    parentPort?.postMessage(report(task));
  } finally {
    Atomics.store(task.control, doneWord(task.thread), 1);
  }
}

// The test imports this file for its constants; only a thread has a task.
if (!isMainThread) main(workerData as LitmusTask);
