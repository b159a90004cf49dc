/**
 * One queue of the simulation: a real worker over memory rings, and the two network cards it serves. The cards
 * are part of the experiment, not of what is studied: they send at once whatever the worker gives them, because
 * the classes are what limits, and they drop what arrives while the RX ring is full or no frame is free.
 */
import { Worker } from '../dataplane/worker.js';
import { countFrames, MemoryPort } from '../rings/memory.js';
import type { EpochSource, SharedShaper } from '../shm/shared-shaper.js';
import { Direction } from '../shm/tree-layout.js';
import { Arrivals } from './arrivals.js';
import {
  buildHeaders,
  Ecn,
  FRAMES_MAX,
  FRAMES_MIN,
  HEADER_STRIDE_SHIFT,
  type Headers,
  RING_SIZE,
  Slot,
  SlotDouble,
  type Subscribers,
} from './frames.js';
import type { Meters } from './meters.js';
import type { Scenario } from './scenario.js';

/** Of all workers together, where the scenario does not say how many; each costs about a hundred bytes. */
const ALL_FRAMES_MAX = 2 ** 24;
/** Most packets that a worker takes or sends in one step, by port. */
const BATCH = 64;
/** Steps at one time; enough to empty full rings of both ports. */
const STEPS_MAX = 128;

export interface SimQueueOptions {
  readonly queue: number;
  readonly scenario: Scenario;
  readonly shared: SharedShaper;
  readonly source: EpochSource;
  /** Number, and most packets a leaf may hold, of each class that has flows. */
  readonly classNumbers: ReadonlyMap<string, number>;
  readonly limitPackets: ReadonlyMap<string, number>;
  readonly subscribers: Subscribers;
  readonly meters: Meters;
  readonly originNs: number;
}

/** What Jain's index of a flow's 5-tuples is made of. */
export interface TupleSums {
  count: number;
  bytes: number;
  squares: number;
}

export class SimQueue {
  readonly worker: Worker;
  readonly arrivals: Arrivals;
  readonly frames: number;
  private readonly inside = new MemoryPort({ ringSize: RING_SIZE });
  private readonly outside = new MemoryPort({ ringSize: RING_SIZE });
  /** The UMEM's slots. */
  private readonly slotWords: Int32Array;
  private readonly slotDoubles: Float64Array;
  private readonly slotBytes: Uint8Array;
  private readonly headers: Headers;
  private readonly meters: Meters;
  /** By source: length of its packets, whether they go down, and the header of the next one. */
  private readonly sizeOf: Int32Array;
  private readonly isDown: Uint8Array;
  private readonly nextHeader: Int32Array;
  /** Bytes that left, by header. */
  private readonly sentBytes: Float64Array;

  constructor(options: SimQueueOptions) {
    const { queue, scenario, classNumbers, subscribers } = options;
    const arrivals = new Arrivals(scenario.flows, queue, scenario.seed, options.originNs);
    const { flowOf } = arrivals;
    this.arrivals = arrivals;
    this.meters = options.meters;
    this.headers = buildHeaders(scenario.flows, flowOf, classNumbers, subscribers, queue);
    this.nextHeader = this.headers.first.slice(0, flowOf.length);
    const headers = this.headers.first[flowOf.length]!;
    this.sentBytes = new Float64Array(headers);
    this.sizeOf = flowOf.map((flow) => scenario.flows[flow]!.sizeBytes);
    this.isDown = Uint8Array.from(flowOf, (flow) =>
      scenario.flows[flow]!.direction === Direction.DOWN ? 1 : 0,
    );
    this.frames = scenario.frames ?? framesFor(options, flowOf);
    // Shared memory is demand-zeroed, so what is never queued is never resident.
    const umem = new SharedArrayBuffer(this.frames * Slot.BYTES);
    this.slotWords = new Int32Array(umem);
    this.slotDoubles = new Float64Array(umem);
    this.slotBytes = new Uint8Array(umem);
    this.worker = new Worker({
      queue,
      shared: options.shared,
      source: options.source,
      umem: this.slotBytes,
      frames: this.frames,
      frameBytes: Slot.BYTES,
      ports: [this.inside.rings, this.outside.rings],
      capacityFlows: Math.max(1024, headers * 2),
      seed: scenario.seed,
    });
  }

  /** Lets everything arrive that is due, and the worker step until it has caught up. */
  run(nowNs: number): void {
    this.receive(nowNs);
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const moved = this.worker.step(nowNs);
      this.transmit(this.inside, nowNs);
      this.transmit(this.outside, nowNs);
      if (moved < BATCH) return;
    }
  }

  /** When the worker has something to do next, after a step at `nowNs`. */
  nextDueNs(nowNs: number): number {
    if (this.inside.rings.rx.peek(1) + this.outside.rings.rx.peek(1) > 0) return nowNs;
    const dueNs = this.worker.nextDueNs(nowNs);
    return Math.min(dueNs, this.arrivals.heap.topTime);
  }

  /** The cards take in what has arrived by `nowNs`. */
  receive(nowNs: number): void {
    const { arrivals, meters, sizeOf, isDown } = this;
    const { heap, flowOf } = arrivals;
    const down = this.outside.nic;
    const up = this.inside.nic;
    const downRoom = Math.min(down.fill.peek(RING_SIZE), down.rx.reserve(RING_SIZE));
    const upRoom = Math.min(up.fill.peek(RING_SIZE), up.rx.reserve(RING_SIZE));
    let downCount = 0;
    let upCount = 0;
    while (heap.topTime <= nowNs) {
      const source = heap.topId;
      const flow = flowOf[source]!;
      const lenBytes = sizeOf[source]!;
      const header = this.takeHeader(source);
      meters.offeredPackets[flow]! += 1;
      meters.offeredBytes[flow]! += lenBytes;
      if (isDown[source] === 1) {
        if (downCount === downRoom) meters.nicDrops[flow]! += 1;
        else {
          const addr = down.fill.addrAt(down.fill.cachedCons + downCount);
          this.write(addr, header, flow, heap.topTime);
          down.rx.write(down.rx.cachedProd + downCount, addr, lenBytes);
          downCount++;
        }
      } else if (upCount === upRoom) meters.nicDrops[flow]! += 1;
      else {
        const addr = up.fill.addrAt(up.fill.cachedCons + upCount);
        this.write(addr, header, flow, heap.topTime);
        up.rx.write(up.rx.cachedProd + upCount, addr, lenBytes);
        upCount++;
      }
      arrivals.advance();
    }
    down.fill.release(downCount);
    down.rx.submit(downCount);
    up.fill.release(upCount);
    up.rx.submit(upCount);
  }

  /** The header of the source's next packet: its 5-tuples take turns. */
  private takeHeader(source: number): number {
    const { first } = this.headers;
    const header = this.nextHeader[source]!;
    this.nextHeader[source] = header + 1 === first[source + 1]! ? first[source]! : header + 1;
    return header;
  }

  private write(addr: number, header: number, flow: number, arrivedNs: number): void {
    const words = this.slotWords;
    const headers = this.headers.words;
    const to = addr >> 2;
    const from = header << HEADER_STRIDE_SHIFT;
    for (let i = 0; i < Slot.HEADER_WORDS; i++) words[to + i] = headers[from + i]!;
    words[to + Slot.FLOW] = flow;
    words[to + Slot.HEADER] = header;
    this.slotDoubles[(addr >> 3) + SlotDouble.ARRIVED_NS] = arrivedNs;
  }

  /** The card sends everything in its TX ring and gives the frames back. */
  private transmit(port: MemoryPort, nowNs: number): void {
    const { tx, completion } = port.nic;
    const count = tx.peek(RING_SIZE);
    if (count === 0) return;
    const room = completion.reserve(count);
    for (let i = 0; i < room; i++) {
      const addr = tx.addrAt(tx.cachedCons + i);
      const flow = this.slotWords[(addr >> 2) + Slot.FLOW]!;
      const lenBytes = tx.lenAt(tx.cachedCons + i);
      const delayNs = nowNs - this.slotDoubles[(addr >> 3) + SlotDouble.ARRIVED_NS]!;
      completion.write(completion.cachedProd + i, addr);
      this.meters.sent(flow, lenBytes, delayNs);
      this.sentBytes[this.slotWords[(addr >> 2) + Slot.HEADER]!]! += lenBytes;
      if ((this.slotBytes[addr + Slot.TRAFFIC_CLASS_BYTE]! & Ecn.MASK) === Ecn.CE)
        this.meters.markedPackets[flow]! += 1;
    }
    tx.release(room);
    completion.submit(room);
  }

  // ---- accounts ---------------------------------------------------------------------------------------

  /** Frames in the rings of both ports, and with their cards. */
  get ringFrames(): number {
    return countFrames(this.inside).total + countFrames(this.outside).total;
  }

  /** Adds the packets that wait in the RX rings to `packets`, by flow. */
  countReceived(packets: Float64Array): void {
    for (const { rings } of [this.inside, this.outside]) {
      const count = rings.rx.peek(RING_SIZE);
      for (let i = 0; i < count; i++) {
        const addr = rings.rx.addrAt(rings.rx.cachedCons + i);
        packets[this.slotWords[(addr >> 2) + Slot.FLOW]!]! += 1;
      }
    }
  }

  /** Adds the bytes that left of each 5-tuple to `tuples`, by flow. */
  countTuples(tuples: readonly TupleSums[]): void {
    const { first } = this.headers;
    this.arrivals.flowOf.forEach((flow, source) => {
      const sums = tuples[flow]!;
      for (let header = first[source]!; header < first[source + 1]!; header++) {
        const bytes = this.sentBytes[header]!;
        sums.count += 1;
        sums.bytes += bytes;
        sums.squares += bytes * bytes;
      }
    });
  }
}

/** Enough frames to fill every leaf that has flows on the queue, and the rings, within bounds. */
function framesFor({ scenario, limitPackets }: SimQueueOptions, flowOf: Int32Array): number {
  const limits = new Map<string, number>();
  for (const flow of flowOf) {
    const { classId, direction } = scenario.flows[flow]!;
    limits.set(`${direction} ${classId}`, limitPackets.get(classId)!);
  }
  let wanted = FRAMES_MIN;
  for (const limit of limits.values()) wanted += limit;
  return Math.min(FRAMES_MAX, Math.max(FRAMES_MIN, Math.floor(ALL_FRAMES_MAX / scenario.queues)), wanted);
}
