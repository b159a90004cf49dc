/**
 * What those that live get when a worker dies under full load and another comes in its place: rates, shares and the
 * whole of the capacity, in windows of five milliseconds.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Publisher } from '../../src/control/publisher.js';
import { applyChanges } from '../../src/dataplane/adopt.js';
import { ChangeApplier } from '../../src/htb/changes.js';
import { Htb } from '../../src/htb/htb.js';
import { Packet, PacketPool } from '../../src/htb/packet-pool.js';
import { adoptedWord, createSharedShaper, type PublishedEpoch } from '../../src/shm/shared-shaper.js';
import { Direction } from '../../src/shm/tree-layout.js';
import type { OracleClass } from '../oracle/htb-oracle.js';
import { dieAfter } from './mortal.js';
import { CeilBound } from './rate-bound.js';
import { classTreeOf } from './tree-driver.js';

const MS = 1_000_000;
const STEP_NS = 20_000;
const WINDOW_NS = 5 * MS;
const PACKET_BYTES = 1000;
const BACKLOG = 40;
const QUEUES = 3;
const ROOT_BPS = 2_000_000_000;
/** Large enough for tabs of several packets. */
const BURST_BYTES = 120_000;
/** Words count whole microseconds. */
const ROUNDING_BYTES = ((2 * 1000 * QUEUES) / 8e9) * ROOT_BPS;
/** Where each class has flows. b has them on the queue whose worker dies and on another. */
const PLACES: Record<string, readonly number[]> = { a: [0], b: [1, 2], c: [2] };
const MORTAL = 1;

const plan = (id: string, parent: string | null, rateBps: number, ceilBps: number): OracleClass => ({
  id,
  parent,
  rateBps,
  ceilBps,
  burstBytes: BURST_BYTES,
  cburstBytes: BURST_BYTES,
  quantumBytes: 1500,
  prio: 0,
  unlimited: false,
  limitPackets: 100,
  limitBytes: 0,
});
const CLASSES = [
  plan('root', null, ROOT_BPS, ROOT_BPS),
  ...Object.keys(PLACES).map((id) => plan(id, 'root', 1_000_000, ROOT_BPS)),
];

class LoadedQueue {
  readonly tree: Htb;
  readonly epochs: PublishedEpoch[] = [];
  readonly #rig: Rig;
  readonly #up: Htb;
  readonly #appliers: readonly [ChangeApplier, ChangeApplier];
  readonly #pool = new PacketPool(128);
  readonly #free = Array.from({ length: 128 }, (_, packet) => packet);
  readonly #idOf: string[] = [];

  constructor(
    rig: Rig,
    readonly queue: number,
  ) {
    this.#rig = rig;
    this.tree = new Htb(rig.shared.trees[Direction.DOWN], queue, this.#pool);
    this.#up = new Htb(rig.shared.trees[Direction.UP], queue, new PacketPool(1));
    this.#appliers = [new ChangeApplier(this.tree), new ChangeApplier(this.#up)];
  }

  step(nowNs: number): void {
    for (let next = this.epochs.shift(); next !== undefined; next = this.epochs.shift()) {
      this.tree.setNow(nowNs);
      applyChanges(next.changes, this.#appliers);
      Atomics.store(this.#rig.shared.epochWords, adoptedWord(this.queue), next.epoch);
    }
    this.#up.beginStep(nowNs);
    this.tree.beginStep(nowNs);
    for (const [id, places] of Object.entries(PLACES)) {
      if (!places.includes(this.queue)) continue;
      const { index } = this.#rig.publisher.classes.get(id)!;
      while (this.tree.memory.statsOf(index).backlogPackets < BACKLOG) {
        const packet = this.#free.pop()!;
        this.#idOf[packet] = id;
        this.tree.enqueue(index, packet, PACKET_BYTES);
      }
    }
    for (let packet = this.tree.dequeue(); packet >= 0; packet = this.tree.dequeue()) {
      this.#free.push(packet);
      this.#rig.sent(this.#idOf[packet]!, this.#pool.words[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!);
    }
    this.tree.endStep();
    this.#up.endStep();
  }
}

class Rig {
  readonly shared = createSharedShaper(8, QUEUES);
  readonly publisher: Publisher;
  readonly queues = new Map<number, LoadedQueue>();
  nowNs = 0;
  #windows: Record<string, number>[] = [];
  readonly #bound = new CeilBound({ ...CLASSES[0]!, cburstBytes: BURST_BYTES + ROUNDING_BYTES });

  constructor() {
    this.publisher = new Publisher(this.shared, {
      seed: 1,
      deliver: (epoch) => {
        for (const queue of this.queues.values()) queue.epochs.push(epoch);
      },
    });
    for (let queue = 0; queue < QUEUES; queue++) this.queues.set(queue, new LoadedQueue(this, queue));
    this.publisher.publish(classTreeOf(CLASSES), 0);
  }

  sent(id: string, bytes: number): void {
    const window = (this.#windows[Math.floor(this.nowNs / WINDOW_NS)] ??= { a: 0, b: 0, c: 0 });
    window[id]! += bytes;
    assert.not(this.#bound.passedBy(bytes, this.nowNs), `the root passes its ceil at ${this.nowNs} ns`);
  }

  runUntil(untilNs: number): void {
    for (; this.nowNs < untilNs; this.nowNs += STEP_NS)
      for (const queue of this.queues.values()) queue.step(this.nowNs);
  }

  kill(): void {
    // In the middle of what it announces.
    const queue = this.queues.get(MORTAL)!;
    dieAfter(7, () => queue.step(this.nowNs));
    this.queues.delete(MORTAL);
  }

  restart(): void {
    const queue = new LoadedQueue(this, MORTAL);
    queue.epochs.push(this.publisher.restart(MORTAL, this.nowNs));
    this.queues.set(MORTAL, queue);
  }

  /** In whole windows of a time: all capacity is used in each, and over all of them the classes are equal. */
  checkShares(fromNs: number, untilNs: number, when: string): void {
    const windows = this.#windows.slice(Math.ceil(fromNs / WINDOW_NS), Math.floor(untilNs / WINDOW_NS));
    const wholeBytes = (ROOT_BPS / 8e9) * WINDOW_NS;
    const sum: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (const window of windows) {
      const bytes = window.a! + window.b! + window.c!;
      assert.ok(bytes > 0.95 * wholeBytes, `${when}: ${bytes} of ${wholeBytes} bytes in a window`);
      for (const id in sum) sum[id]! += window[id]!;
    }
    const third = (windows.length * wholeBytes) / 3;
    for (const id in sum) {
      const share = sum[id]! / third;
      assert.ok(share > 0.93 && share < 1.07, `${when}: ${id} has ${share.toFixed(3)} of its share`);
    }
  }
}

const test = suite('htb: shares when a worker is replaced');

test('full rate and fair shares come back at once, and the ceil is never passed', () => {
  const rig = new Rig();
  rig.runUntil(100 * MS);
  rig.checkShares(30 * MS, 100 * MS, 'before');
  let atNs = 100 * MS;
  for (let cycle = 0; cycle < 5; cycle++) {
    rig.kill();
    rig.publisher.release(MORTAL, rig.nowNs);
    rig.runUntil(atNs + 50 * MS);
    rig.checkShares(atNs + 5 * MS, atNs + 50 * MS, `dead, cycle ${cycle}`);
    rig.restart();
    rig.runUntil(atNs + 100 * MS);
    rig.checkShares(atNs + 55 * MS, atNs + 100 * MS, `replaced, cycle ${cycle}`);
    atNs += 100 * MS;
  }
});

test('a worker that dies again and again gains nothing by it', () => {
  const rig = new Rig();
  for (let atNs = MS; atNs < 200 * MS; atNs += MS) {
    rig.runUntil(atNs);
    if (atNs % (2 * MS) === 0) rig.kill();
    rig.restart();
  }
  rig.runUntil(250 * MS);
  rig.checkShares(210 * MS, 250 * MS, 'after 200 deaths');
});

test.run();
