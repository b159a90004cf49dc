/**
 * One worker over memory rings: parse, classify, enqueue, dequeue and recycling, with nothing left out and nothing
 * else in the figure. The bench plays the NIC between the timed stretches: it writes frames and rings, then times
 * the steps that carry them through. Time is virtual, so what the classes allow does not depend on how fast the
 * machine is.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import type { ClassTree } from '../classes/model.js';
import { formatIpv4 } from '../classes/prefix.js';
import type { LeafKind } from '../classes/queue.js';
import { parseClassTree } from '../classes/validate.js';
import { Publisher } from '../src/control/publisher.js';
import { BATCH_MAX } from '../src/dataplane/batch.js';
import { Counter } from '../src/dataplane/counters.js';
import { writeFrame } from '../src/dataplane/frame-builder.js';
import { Worker } from '../src/dataplane/worker.js';
import { WeirError } from '../src/errors.js';
import { countFrames, MemoryPort } from '../src/rings/memory.js';
import { alignedInt32 } from '../src/shm/aligned.js';
import { createSharedShaper, EpochQueue, type SharedShaper } from '../src/shm/shared-shaper.js';
import { Shape, Word } from '../src/shm/tree-layout.js';

export interface CoreOptions {
  /** Leaf classes. */
  classes: number;
  /** Share of the classes whose ceil is half of what they are offered; the rest stay below their rate. */
  throttled: number;
  flows: number;
  seconds: number;
  /** Queues that the trees share their rates with; the one that is measured works as if it were one of them. */
  queues: number;
  seed: number;
}

export interface CoreResult {
  bench: 'core';
  classes: number;
  throttled: number;
  flows: number;
  queues: number;
  seed: number;
  seconds: number;
  packets: number;
  sentShare: number;
  /** With fq_codel leaves, the default. */
  nsPerPacket: number;
  mpps: number;
  /** With pfifo leaves, in turns with the others; and how much more fq_codel takes, turn by turn. */
  pfifoNsPerPacket: number;
  leafRatio: number;
  leafRatioMin: number;
  leafRatioMax: number;
  gcCount: number;
  /** Per leaf class, direction and worker, by layout: what one class makes resident. */
  bytesPerClass: number;
}

const FRAME_BYTES = 64;
const SLOT_BYTES = 64;
/** Frames on their way through rings and steps; what throttled classes hold comes on top. */
const FRAMES_MOVING = 8192;
/** Packets a leaf holds: enough for a throttled one always to have the next at hand. */
const LEAF_LIMIT_PACKETS = 8;
const RING_SIZE = 2048;
/** Frames between two clock readings: enough to make reading it free, few enough to stay in the cache. */
const BURST = 1024;
/** Virtual packets a second; fixes what each class is offered. */
const OFFERED_PPS = 10_000_000;
const FAN_OUT = 1024;
const WARM_UP_SHARE = 0.2;
/** A prime that divides no sensible number of flows. */
const VISIT_STRIDE = 7_368_787;

/** Turns of each kind of leaf, one after the other: what else the machine does meets both. */
const TURNS = 5;

/** Runs the benchmark; see `CoreResult` for the units. Throws E_CONSERVATION when a packet or a frame got lost. */
export function benchCore(options: CoreOptions): Promise<CoreResult> {
  return withGcCount(async (gcCount) => {
    const fair = new CoreRig(options, 'fq_codel');
    const fifo = new CoreRig(options, 'pfifo');
    for (const rig of [fair, fifo]) {
      rig.visitEveryFlow();
      rig.run((options.seconds * WARM_UP_SHARE) / 2);
    }
    await gcCount();
    const sum = { fairNs: 0, fairPackets: 0, fifoNs: 0, fifoPackets: 0 };
    const ratios: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const ofFair = fair.run(options.seconds / TURNS / 2);
      const ofFifo = fifo.run(options.seconds / TURNS / 2);
      sum.fairNs += ofFair.ns;
      sum.fairPackets += ofFair.packets;
      sum.fifoNs += ofFifo.ns;
      sum.fifoPackets += ofFifo.packets;
      ratios.push(ofFair.ns / ofFair.packets / (ofFifo.ns / ofFifo.packets));
    }
    const gcs = await gcCount();
    for (const rig of [fair, fifo]) rig.checkConservation();
    ratios.sort((a, b) => a - b);
    const nsPerPacket = sum.fairNs / sum.fairPackets;
    return {
      bench: 'core',
      classes: options.classes,
      throttled: options.throttled,
      flows: options.flows,
      queues: options.queues,
      seed: options.seed,
      seconds: options.seconds,
      packets: sum.fairPackets,
      sentShare: round(fair.sentShare, 4),
      nsPerPacket: round(nsPerPacket, 2),
      mpps: round(1000 / nsPerPacket, 3),
      pfifoNsPerPacket: round(sum.fifoNs / sum.fifoPackets, 2),
      leafRatio: round(ratios[TURNS >> 1]!, 3),
      leafRatioMin: round(ratios[0]!, 3),
      leafRatioMax: round(ratios[TURNS - 1]!, 3),
      gcCount: gcs,
      bytesPerClass: round(fair.bytesPerClass, 1),
    };
  });
}

class CoreRig {
  private readonly worker: Worker;
  private readonly port: MemoryPort;
  private readonly other: MemoryPort;
  private readonly umemWords: Int32Array;
  private readonly frames: number;
  private readonly shared: SharedShaper;
  private readonly headerWords: Int32Array;
  private readonly flows: number;
  private random: number;
  private flowsVisited = 0;
  private readonly classes: number;
  private nowNs = 1_000_000;

  constructor(options: CoreOptions, leaf: LeafKind) {
    this.classes = options.classes;
    const tree = treeOf(options, leaf);
    this.shared = createSharedShaper(tree.classes.length, options.queues);
    const source = new EpochQueue();
    const publisher = new Publisher(this.shared, {
      seed: options.seed,
      deliver: (epoch) => source.push(epoch),
    });
    publisher.publish(tree, this.nowNs);
    this.frames =
      2 ** Math.ceil(Math.log2(FRAMES_MOVING + options.classes * options.throttled * LEAF_LIMIT_PACKETS));
    this.umemWords = alignedInt32((this.frames * SLOT_BYTES) >> 2);
    const { buffer, byteOffset, byteLength } = this.umemWords;
    const umem = new Uint8Array(buffer, byteOffset, byteLength);
    this.port = new MemoryPort({ ringSize: RING_SIZE });
    this.other = new MemoryPort({ ringSize: RING_SIZE });
    this.worker = new Worker({
      queue: 0,
      shared: this.shared,
      source,
      umem,
      frames: this.frames,
      frameBytes: SLOT_BYTES,
      ports: [this.other.rings, this.port.rings],
      capacityFlows: Math.max(4096, Math.ceil(options.flows * 1.5)),
      seed: options.seed,
    });
    this.flows = options.flows;
    this.random = options.seed | 0 || 1;
    const headers = new Uint8Array(options.flows * SLOT_BYTES);
    this.headerWords = new Int32Array(headers.buffer);
    for (let flow = 0; flow < options.flows; flow++) {
      const leaf = flow % options.classes;
      writeFrame(headers, flow * SLOT_BYTES, {
        src: 0x08000000 + Math.floor(flow / options.classes),
        dst: addressOf(leaf),
        protocol: 'udp',
        sport: 1024 + (flow % 50_000),
        dport: 443,
        frameBytes: FRAME_BYTES,
      });
    }
    this.worker.step(this.nowNs);
  }

  /** Sends one packet of each flow, so that the steady state that follows finds its flows in the table. */
  visitEveryFlow(): void {
    while (this.flowsVisited < this.flows) {
      this.carry(this.fillRx());
      this.drainTx();
    }
  }

  /** Carries packets through for about `seconds` of measured time. */
  run(seconds: number): { packets: number; ns: number } {
    const endMs = performance.now() + seconds * 1000;
    let packets = 0;
    let ms = 0;
    while (performance.now() < endMs) {
      const burst = this.fillRx();
      const startMs = performance.now();
      this.carry(burst);
      ms += performance.now() - startMs;
      packets += burst;
      this.drainTx();
    }
    return { packets, ns: ms * 1e6 };
  }

  get sentShare(): number {
    return this.worker.counters[Counter.TX_PACKETS]! / this.worker.counters[Counter.RX_PACKETS]!;
  }

  /** Worker-local records and statistics, and the shared words and shape divided by the queues that share them. */
  get bytesPerClass(): number {
    const tree = this.worker.trees[0];
    const sharedBytes = Word.STRIDE * 4 + Shape.STRIDE * 8;
    return (
      tree.memory.usedBytes(this.shared.capacityClasses) / this.classes + sharedBytes / this.shared.queues
    );
  }

  /** Every frame is somewhere, and every packet was sent, dropped or is queued. */
  checkConservation(): void {
    const { worker } = this;
    const rings = countFrames(this.port).total + countFrames(this.other).total;
    const frames = worker.freeFrames + worker.queuedPackets + rings;
    const { counters } = worker;
    const dropped =
      counters[Counter.DROP_QUEUE]! + counters[Counter.DROP_CODEL]! + counters[Counter.DROP_EVICTED]!;
    const accounted = counters[Counter.TX_PACKETS]! + dropped + worker.queuedPackets;
    if (
      frames !== this.frames ||
      accounted !== counters[Counter.RX_PACKETS]! ||
      counters[Counter.UNKNOWN_PACKETS] !== 0
    ) {
      throw new WeirError(
        'E_CONSERVATION',
        `${frames} of ${this.frames} frames, ${accounted} packets accounted for`,
      );
    }
  }

  /** Steps until the burst has been taken in, as a loaded worker does: each step at the time its packets arrive. */
  private carry(burst: number): void {
    const before = this.worker.counters[Counter.RX_PACKETS]!;
    while (this.worker.counters[Counter.RX_PACKETS]! - before < burst) {
      this.nowNs += (BATCH_MAX * 1e9) / OFFERED_PPS;
      this.worker.step(this.nowNs);
    }
  }

  private fillRx(): number {
    const { rx, fill } = this.port.nic;
    const { umemWords, headerWords, flows } = this;
    let random = this.random;
    let visited = this.flowsVisited;
    const room = Math.min(fill.peek(BURST), rx.reserve(BURST));
    for (let i = 0; i < room; i++) {
      const addr = fill.addrAt(fill.cachedCons + i);
      // xorshift32, in place: a generator that returned a number would allocate it.
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      // First every flow once, in strides, because neighbours in a row would overload the class they share.
      const flow = visited < flows ? (visited++ * VISIT_STRIDE) % flows : (random >>> 0) % flows;
      const from = flow * (SLOT_BYTES >> 2);
      for (let word = 0; word < FRAME_BYTES >> 2; word++)
        umemWords[(addr >> 2) + word] = headerWords[from + word]!;
      rx.write(rx.cachedProd + i, addr, FRAME_BYTES);
    }
    this.random = random;
    this.flowsVisited = visited;
    fill.release(room);
    rx.submit(room);
    return room;
  }

  private drainTx(): void {
    const { tx, completion } = this.other.nic;
    const count = Math.min(tx.peek(RING_SIZE), completion.reserve(RING_SIZE));
    for (let i = 0; i < count; i++) completion.write(completion.cachedProd + i, tx.addrAt(tx.cachedCons + i));
    tx.release(count);
    completion.submit(count);
  }
}

/** Three levels: a root, inner classes of up to FAN_OUT leaves, the leaves. Nothing above the leaves limits. */
function treeOf({ classes, throttled }: CoreOptions, leaf: LeafKind): ClassTree {
  const offeredBps = (OFFERED_PPS / classes) * FRAME_BYTES * 8;
  const inners = Math.ceil(classes / FAN_OUT);
  const wide = OFFERED_PPS * FRAME_BYTES * 8 * 4;
  const list: object[] = [{ id: 'root', down: { rate: wide }, up: { rate: wide } }];
  // Rounded down: were their sum above the root's rate by a bit, every packet would be scaled by it.
  const share = Math.floor(wide / inners);
  for (let i = 0; i < inners; i++)
    list.push({ id: `i${i}`, parent: 'root', down: { rate: share }, up: { rate: share } });
  for (let leaf = 0; leaf < classes; leaf++) {
    // Throttled leaves are spread evenly among the others.
    const isThrottled = Math.floor((leaf + 1) * throttled) > Math.floor(leaf * throttled);
    const rate = Math.round(isThrottled ? offeredBps / 2 : offeredBps * 2);
    const parent = `i${Math.floor(leaf / FAN_OUT)}`;
    list.push({
      id: `u${leaf}`,
      parent,
      match: formatIpv4(addressOf(leaf)),
      limit: LEAF_LIMIT_PACKETS,
      down: { rate, burst: 3200, cburst: 3200 },
      up: { rate },
    });
  }
  const { tree, problems } = parseClassTree({ version: 1, leaf, classes: list });
  const first = problems.find(({ severity }) => severity === 'error');
  if (tree === null) throw new WeirError('E_BENCH', `the bench's own tree is wrong: ${first?.message}`);
  return tree;
}

function addressOf(leaf: number): number {
  return 0x0a000000 + leaf;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Runs `body` with a function that tells how many garbage collections there were since it was last asked. */
async function withGcCount<T>(body: (gcCount: () => Promise<number>) => Promise<T>): Promise<T> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    count += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  try {
    return await body(async () => {
      // Entries reach the observer with the next turn of the event loop.
      await new Promise((resolve) => setTimeout(resolve, 20));
      const since = count;
      count = 0;
      return since;
    });
  } finally {
    observer.disconnect();
  }
}
