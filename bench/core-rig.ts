/**
 * One worker over memory rings, and who feeds it between the timed stretches. `CoreRig` plays the NIC: it writes frames
 * and rings, then times the steps that carry them through. `ShapingRig` (core-shaping.ts) plays all of the worker but the
 * tree. Time is virtual, so what the classes allow does not depend on how fast the machine is.
 */
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
import {
  createSharedShaper,
  EpochQueue,
  type PublishedEpoch,
  type SharedShaper,
} from '../src/shm/shared-shaper.js';
import { Shape, Word } from '../src/shm/tree-layout.js';

export interface RigSpec {
  /** Leaf classes. */
  readonly classes: number;
  /** Share of the classes whose ceil is half of what they are offered; the rest stay below their rate. */
  readonly throttled: number;
  readonly flows: number;
  /** Queues that the trees share their rates with. */
  readonly queues: number;
  /** Of these, how many offer traffic; each brings every class its full load. */
  readonly busyQueues: number;
  readonly seed: number;
  readonly leaf: LeafKind;
  /** Levels of classes from the root to a leaf, both counted, at least 2. */
  readonly depth: number;
}

/** Levels of the tree that the benchmark `core` has. */
export const DEPTH_USUAL = 3;

export const FRAME_BYTES = 64;
export const SLOT_BYTES = 64;
/** Frames on their way through rings and steps; what throttled classes hold comes on top. */
const FRAMES_MOVING = 8192;
/** Packets a leaf holds: enough for a throttled one always to have the next at hand. */
const LEAF_LIMIT_PACKETS = 8;
export const RING_SIZE = 2048;
/** Frames between two clock readings: enough to make reading it free, few enough to stay in the cache. */
const BURST = 1024;
/** Virtual packets a second; fixes what each class is offered. */
const OFFERED_PPS = 10_000_000;
const FAN_OUT = 1024;
/** Virtual time of the first step. */
const START_NS = 1_000_000;
/** Until bursts are used up and queues full: what a throttled class is offered, of which half is over its rate. */
const SETTLE_PACKETS = 80;
/** A prime that divides no sensible number of flows. */
const VISIT_STRIDE = 7_368_787;

/** The trees in shared memory, and what tells a worker of them. */
export interface Published {
  readonly shared: SharedShaper;
  readonly epoch: PublishedEpoch;
}

export interface Stretch {
  readonly packets: number;
  /** Of the worker's steps alone. */
  readonly ns: number;
  readonly sentShare: number;
}

/** Flows in the order in which their packets come: first each once, then at random. */
class Visits {
  /** What was drawn last. */
  readonly drawn = new Int32Array(BURST);
  count = 0;
  #random: number;

  constructor(
    private readonly flows: number,
    seed: number,
  ) {
    this.#random = seed | 0 || 1;
  }

  /** The flows of the next `packets`, at most BURST, into `drawn`. */
  draw(packets: number): void {
    const { flows, drawn } = this;
    let random = this.#random;
    let count = this.count;
    for (let i = 0; i < packets; i++) {
      // xorshift32, in place: a generator that returned a number would allocate it.
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      // In strides, because neighbours in a row would overload the class they share.
      drawn[i] = count < flows ? (count++ * VISIT_STRIDE) % flows : (random >>> 0) % flows;
    }
    this.#random = random;
    this.count = count;
  }
}

/** The worker of one queue, and what all who feed it have in common. */
export abstract class MemoryRig {
  protected readonly worker: Worker;
  protected readonly port: MemoryPort;
  protected readonly other: MemoryPort;
  protected readonly umemWords: Int32Array;
  protected readonly visits: Visits;
  protected readonly spec: RigSpec;
  protected readonly epoch: PublishedEpoch;
  protected nowNs = START_NS;
  protected busyMs = 0;
  private readonly frames: number;
  private readonly shared: SharedShaper;

  constructor(spec: RigSpec, published: Published, queue: number, capacityFlows: number) {
    const { shared, epoch } = published;
    this.spec = spec;
    this.shared = shared;
    this.epoch = epoch;
    const source = new EpochQueue();
    source.push(epoch);
    this.frames =
      2 ** Math.ceil(Math.log2(FRAMES_MOVING + spec.classes * spec.throttled * LEAF_LIMIT_PACKETS));
    this.umemWords = alignedInt32((this.frames * SLOT_BYTES) >> 2);
    const { buffer, byteOffset, byteLength } = this.umemWords;
    const umem = new Uint8Array(buffer, byteOffset, byteLength);
    this.port = new MemoryPort({ ringSize: RING_SIZE });
    this.other = new MemoryPort({ ringSize: RING_SIZE });
    this.worker = new Worker({
      queue,
      shared,
      source,
      umem,
      frames: this.frames,
      frameBytes: SLOT_BYTES,
      ports: [this.other.rings, this.port.rings],
      capacityFlows,
      seed: spec.seed,
    });
    this.visits = new Visits(spec.flows, spec.seed + queue);
    this.worker.step(this.nowNs);
  }

  /**
   * Brings it to the steady state: sends one packet of each flow, so that all are in the table, and then as many as fill
   * the throttled classes, for at most `secondsMax` of the clock.
   */
  settle(secondsMax: number): void {
    const { classes, throttled, flows } = this.spec;
    const endMs = performance.now() + secondsMax * 1000;
    while (this.visits.count < flows) this.turn();
    const target = throttled === 0 ? 0 : classes * SETTLE_PACKETS;
    while (this.received < target && performance.now() < endMs) this.turn();
  }

  /** One burst; returns how many packets it was. Only what is to be measured is timed. */
  abstract turn(): number;

  /** Carries packets through for about `seconds` of the clock. */
  run(seconds: number, beforeTurn: () => void = () => {}): Stretch {
    const { sent, busyMs } = this;
    const endMs = performance.now() + seconds * 1000;
    let packets = 0;
    while (performance.now() < endMs) {
      beforeTurn();
      packets += this.turn();
    }
    return { packets, ns: (this.busyMs - busyMs) * 1e6, sentShare: (this.sent - sent) / packets };
  }

  /** Packets so far. */
  abstract get received(): number;

  get sent(): number {
    return this.worker.counters[Counter.TX_PACKETS]!;
  }

  /** Worker-local records and statistics, and the shared words and shape divided by the queues that share them. */
  get bytesPerClass(): number {
    const tree = this.worker.trees[0];
    const sharedBytes = Word.STRIDE * 4 + Shape.STRIDE * 8;
    return (
      tree.memory.usedBytes(this.shared.capacityClasses) / this.spec.classes +
      sharedBytes / this.shared.queues
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
    if (frames !== this.frames || accounted !== this.received || counters[Counter.UNKNOWN_PACKETS] !== 0) {
      throw new WeirError(
        'E_CONSERVATION',
        `${frames} of ${this.frames} frames, ${accounted} packets accounted for`,
      );
    }
  }

  /** To the time of the next step: a loaded worker's steps come when a batch has come. */
  protected nextStep(): void {
    this.nowNs += (BATCH_MAX * 1e9) / OFFERED_PPS;
  }
}

/** The worker with the card that feeds it: all that it does for a packet is timed. */
export class CoreRig extends MemoryRig {
  private readonly headerWords: Int32Array;

  constructor(spec: RigSpec, published: Published, queue = 0, headers = headersOf(spec)) {
    super(spec, published, queue, Math.max(4096, Math.ceil(spec.flows * 1.5)));
    this.headerWords = headers;
  }

  turn(): number {
    const burst = this.fillRx();
    const startMs = performance.now();
    this.carry(burst);
    this.busyMs += performance.now() - startMs;
    this.drainTx();
    return burst;
  }

  get received(): number {
    return this.worker.counters[Counter.RX_PACKETS]!;
  }

  /** Steps until the burst has been taken in. */
  private carry(burst: number): void {
    const before = this.received;
    while (this.received - before < burst) {
      this.nextStep();
      this.worker.step(this.nowNs);
    }
  }

  private fillRx(): number {
    const { rx, fill } = this.port.nic;
    const { umemWords, headerWords, visits } = this;
    const room = Math.min(fill.peek(BURST), rx.reserve(BURST));
    visits.draw(room);
    for (let i = 0; i < room; i++) {
      const addr = fill.addrAt(fill.cachedCons + i);
      const from = visits.drawn[i]! * (SLOT_BYTES >> 2);
      for (let word = 0; word < FRAME_BYTES >> 2; word++)
        umemWords[(addr >> 2) + word] = headerWords[from + word]!;
      rx.write(rx.cachedProd + i, addr, FRAME_BYTES);
    }
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

/** The first packets of all flows, one after the other. */
export function headersOf({ flows, classes }: RigSpec): Int32Array {
  const headers = new Uint8Array(flows * SLOT_BYTES);
  for (let flow = 0; flow < flows; flow++) {
    writeFrame(headers, flow * SLOT_BYTES, {
      src: 0x08000000 + Math.floor(flow / classes),
      dst: addressOf(flow % classes),
      protocol: 'udp',
      sport: 1024 + (flow % 50_000),
      dport: 443,
      frameBytes: FRAME_BYTES,
    });
  }
  return new Int32Array(headers.buffer);
}

/** Makes the shared memory of all queues and puts the tree into it. */
export function publishTree(spec: RigSpec): Published {
  const tree = treeOf(spec);
  const shared = createSharedShaper(tree.classes.length, spec.queues);
  const epochs: PublishedEpoch[] = [];
  const publisher = new Publisher(shared, { seed: spec.seed, deliver: (epoch) => epochs.push(epoch) });
  publisher.publish(tree, START_NS);
  return { shared, epoch: epochs[0]! };
}

/** A root, more below it one by one where the depth asks for it, inner classes of up to FAN_OUT leaves, the leaves. */
function treeOf({ classes, throttled, leaf, depth, busyQueues }: RigSpec): ClassTree {
  const offeredBps = (OFFERED_PPS / classes) * FRAME_BYTES * 8 * busyQueues;
  // Nothing above the leaves limits.
  const wide = OFFERED_PPS * FRAME_BYTES * 8 * 4 * busyQueues;
  const list: object[] = [];
  let above: string | undefined;
  for (let level = 1; level < Math.max(2, depth - 1); level++) {
    list.push({ id: `l${level}`, parent: above, down: { rate: wide }, up: { rate: wide } });
    above = `l${level}`;
  }
  const inners = depth < 3 ? 0 : Math.ceil(classes / FAN_OUT);
  // Rounded down: were their sum above the root's rate by a bit, every packet would be scaled by it.
  const share = Math.floor(wide / inners);
  for (let i = 0; i < inners; i++)
    list.push({ id: `i${i}`, parent: above, down: { rate: share }, up: { rate: share } });
  for (let i = 0; i < classes; i++) {
    // Throttled leaves are spread evenly among the others.
    const isThrottled = Math.floor((i + 1) * throttled) > Math.floor(i * throttled);
    const rate = Math.round(isThrottled ? offeredBps / 2 : offeredBps * 2);
    list.push({
      id: `u${i}`,
      parent: inners === 0 ? above : `i${Math.floor(i / FAN_OUT)}`,
      match: formatIpv4(addressOf(i)),
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

export function addressOf(leaf: number): number {
  return 0x0a000000 + leaf;
}
