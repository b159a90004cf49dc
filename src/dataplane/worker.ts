/**
 * One worker: the queue pair q of both ports and the trees that shape between them. `step` is all of its life: a
 * thread calls it in a loop, the simulator calls it in virtual time.
 *
 *   RX (inside)  -> parse -> classify -> up tree   -> TX (outside) -> completion -> free
 *   RX (outside) -> parse -> classify -> down tree -> TX (inside)  -> completion -> free -> fill
 *
 * Every frame of the UMEM is in exactly one place: free here, queued in a tree, or in one of the eight rings. It
 * keeps its number, its offset in the UMEM divided by the frame size, from place to place; nothing is copied.
 */
import { ChangeApplier } from '../htb/changes.js';
import { Htb } from '../htb/htb.js';
import { PacketPool } from '../htb/packet-pool.js';
import type { PortRings } from '../rings/ring.js';
import { ClassHashReader } from '../shm/class-hash-reader.js';
import {
  adoptedWord,
  Change,
  type EpochSource,
  EpochWord,
  type PublishedEpoch,
  type SharedShaper,
} from '../shm/shared-shaper.js';
import { Direction } from '../shm/tree-layout.js';
import { applyChanges } from './adopt.js';
import {
  BATCH_MAX,
  CLASS_MISS,
  CLASS_NONE,
  KEY_WORDS_SHIFT,
  KIND_IPV4,
  KIND_IPV6,
  PacketBatch,
} from './batch.js';
import { Counter } from './counters.js';
import { FlowTable } from './flow-table.js';
import { FreeFrames } from './free-frames.js';
import { Lane } from './lane.js';
import { Parser } from './parse.js';
import { UmemFrames } from './umem-frames.js';
import { Unclassed, type UnknownPolicy } from './unclassed.js';

export const enum Port {
  INSIDE = 0,
  OUTSIDE = 1,
}

export interface WorkerOptions {
  readonly queue: number;
  readonly shared: SharedShaper;
  readonly source: EpochSource;
  /** The UMEM: `frames` frames of `frameBytes` (a power of two). */
  readonly umem: Uint8Array;
  readonly frames: number;
  readonly frameBytes: number;
  /** Rings of the inside and the outside port. */
  readonly ports: readonly [PortRings, PortRings];
  readonly capacityFlows: number;
  readonly flowIdleMs?: number;
  readonly seed: number;
  readonly unknownPolicy?: UnknownPolicy;
  /**
   * Class hash of the prefixes whose traffic is not shaped, made in epoch BYPASS_EPOCH; null when there are none or
   * the kernel keeps them away.
   */
  readonly bypassHash?: SharedArrayBuffer | null;
}

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const BATCH = BATCH_MAX;
/** Classes of the first epoch that are gone over so often again. */
const REHEARSED_CLASSES = 16_384;
const REHEARSALS = 2;
/** When a fill ring has less than its half, and less than this part of all frames, queued packets make room. */
const LOW_FRAMES_PART = 8;
const KEY_SHIFT = KEY_WORDS_SHIFT;
const IPV4 = KIND_IPV4;
const IPV6 = KIND_IPV6;
const MISS = CLASS_MISS;
const NONE = CLASS_NONE;

export class Worker {
  readonly counters = new Float64Array(new SharedArrayBuffer(Counter.COUNT * 8));
  /** The time of the step, in [0]: a double handed from function to function is boxed where it is not inlined. */
  readonly clock = new Float64Array(1);
  /** By direction: `Direction.DOWN`, `Direction.UP`. */
  readonly trees: readonly [Htb, Htb];
  readonly lanes: readonly [Lane, Lane];
  readonly free: FreeFrames;
  readonly parser: Parser;
  readonly flows: FlowTable;
  readonly pool: PacketPool;
  private readonly queue: number;
  private readonly shared: SharedShaper;
  private readonly source: EpochSource;
  private readonly ports: readonly [PortRings, PortRings];
  private readonly frameShift: number;
  private readonly capturedMax: number;
  private readonly unclassed: Unclassed;
  private receives = true;
  private readonly lowFrames: number;
  private readonly appliers: readonly [ChangeApplier, ChangeApplier];
  private readonly batch = new PacketBatch();
  private epoch = 0;
  private mapEpoch = 0;
  private portEpoch = 0;
  private classHash: ClassHashReader | null = null;
  private defaultClass = -1;
  /** Packets taken in and sent out in this step. */
  private moved = 0;

  constructor(options: WorkerOptions) {
    const { shared, queue } = options;
    this.queue = queue;
    this.shared = shared;
    this.source = options.source;
    this.ports = options.ports;
    this.frameShift = Math.log2(options.frameBytes);
    this.capturedMax = options.frameBytes;
    this.unclassed = new Unclassed({
      umem: options.umem,
      policy: options.unknownPolicy ?? 'pass',
      bypass: options.bypassHash ? new ClassHashReader(options.bypassHash) : null,
      counters: this.counters,
    });
    this.parser = new Parser(options.umem);
    this.flows = new FlowTable({
      capacityFlows: options.capacityFlows,
      seed: options.seed,
      ...(options.flowIdleMs === undefined ? {} : { idleTimeoutMs: options.flowIdleMs }),
    });
    this.pool = new PacketPool(options.frames);
    const fillSize = Math.min(options.ports[0].fill.size, options.ports[1].fill.size);
    this.lowFrames = Math.ceil(Math.min(fillSize / 2, options.frames / LOW_FRAMES_PART));
    this.free = new FreeFrames(options.frames);
    this.lanes = [this.makeLane(options, Direction.DOWN), this.makeLane(options, Direction.UP)];
    this.trees = [this.lanes[0].tree, this.lanes[1].tree];
    this.appliers = [new ChangeApplier(this.trees[0]), new ChangeApplier(this.trees[1])];
  }

  private makeLane(options: WorkerOptions, direction: Direction): Lane {
    const { pool, free, unclassed, counters, clock, frameShift } = this;
    const { shared, queue, ports, seed } = options;
    const tree = new Htb(shared.trees[direction], queue, pool, this.framesOf(options, direction));
    const { tx } = ports[direction === Direction.DOWN ? Port.INSIDE : Port.OUTSIDE];
    return new Lane({ direction, tree, tx, pool, free, unclassed, counters, clock, frameShift, seed });
  }

  private framesOf({ umem, frameBytes, seed }: WorkerOptions, direction: Direction): UmemFrames {
    const port = direction === Direction.DOWN ? Port.OUTSIDE : Port.INSIDE;
    const { pool, flows } = this;
    return new UmemFrames({ umem, pool, capturedMax: frameBytes, flows, direction, port, seed });
  }

  /** Frames that are in no ring and in no tree. */
  get freeFrames(): number {
    return this.free.count;
  }

  /** Packets in both trees. */
  get queuedPackets(): number {
    return this.trees[0].backlogPackets + this.trees[1].backlogPackets;
  }

  /**
   * Moves everything that can move at `nowNs`, at most one batch a port and ring. `nowNs` must not go back. Returns
   * the packets taken in and sent out; 0 means that nothing happens until `nextDueNs` or a new frame.
   */
  step(nowNs: number): number {
    this.clock[0] = nowNs;
    return this.stepNow();
  }

  /** The same at the time in `clock`: for a loop that must not leave garbage. */
  stepNow(): number {
    const nowNs = this.clock[0]!;
    this.moved = 0;
    const published = Atomics.load(this.shared.epochWords, EpochWord.PUBLISHED);
    if (published !== this.epoch) this.adopt(published, nowNs);
    this.portEpoch = Atomics.load(this.shared.epochWords, EpochWord.PORT_STATE);
    this.recycle(this.ports[Port.INSIDE]);
    this.recycle(this.ports[Port.OUTSIDE]);
    if (this.free.count < this.lowFrames) this.makeRoom();
    const down = this.lanes[Direction.DOWN];
    const up = this.lanes[Direction.UP];
    down.begin();
    up.begin();
    if (this.receives) {
      this.receive(Port.INSIDE, Direction.UP);
      this.receive(Port.OUTSIDE, Direction.DOWN);
    }
    down.end();
    up.end();
    this.moved += down.sent + up.sent;
    this.takeDropped();
    this.counters[Counter.STEPS]! += 1;
    if (this.moved > 0) this.counters[Counter.BUSY_STEPS]! += 1;
    return this.moved;
  }

  /** From now on `step` takes nothing in and only sends what is queued. */
  stopReceiving(): void {
    this.receives = false;
  }

  /** When `step` will have something to do if no frame arrives: `nowNs` if at once, Infinity if never. */
  nextDueNs(nowNs: number): number {
    const down = this.trees[Direction.DOWN].nextDueNs(nowNs);
    const up = this.trees[Direction.UP].nextDueNs(nowNs);
    return down < up ? down : up;
  }

  // ---- new classes ------------------------------------------------------------------------------------

  private adopt(published: number, nowNs: number): void {
    while (this.epoch !== published) {
      const next = this.source.take();
      if (next === null) break;
      this.adoptOne(next, nowNs);
    }
    // Pairs with the publisher's load: what only earlier epochs could see may be reused from here on.
    Atomics.store(this.shared.epochWords, adoptedWord(this.queue), this.epoch);
  }

  private adoptOne(next: PublishedEpoch, nowNs: number): void {
    if (next.classHash !== null) this.classHash = new ClassHashReader(next.classHash);
    for (const tree of this.trees) {
      tree.setNow(nowNs);
      tree.setLinkLayer(next.overheadBytes, next.mpuBytes, next.linkLayer);
    }
    applyChanges(next.changes, this.appliers);
    if (this.epoch === 0) this.rehearse(next.changes);
    if (next.remapsFlows || next.defaultClassIndex !== this.defaultClass)
      this.mapEpoch = (this.mapEpoch + 1) | 0;
    this.defaultClass = next.defaultClassIndex;
    this.epoch = next.epoch;
  }

  /**
   * Gives classes the values that they have. It changes nothing, but the code for it is compiled before packets wait: the
   * first change of 24,000 classes took 40 ms, more than the rings hold, and takes 10 so.
   */
  private rehearse(changes: Int32Array): void {
    const some = changes.subarray(0, REHEARSED_CLASSES * Change.STRIDE);
    for (let round = 0; round < REHEARSALS; round++) applyChanges(some, this.appliers);
  }

  // ---- frames -----------------------------------------------------------------------------------------

  /** Takes back the frames that a port has sent, and gives it free ones to receive into. */
  private recycle(port: PortRings): void {
    const { completion, fill } = port;
    const { frames } = this.free;
    const shift = this.frameShift;
    const done = completion.peek(completion.size);
    let freeCount = this.free.count;
    for (let i = 0, at = completion.cachedCons; i < done; i++)
      frames[freeCount++] = completion.addrAt(at + i) >>> shift;
    completion.release(done);
    const wanted = fill.reserve(freeCount < fill.size ? freeCount : fill.size);
    for (let i = 0, at = fill.cachedProd; i < wanted; i++) fill.write(at + i, frames[--freeCount]! << shift);
    fill.submit(wanted);
    this.free.count = freeCount;
  }

  /** When a port is about to have nothing to receive into: drops from the leaves that hold most of the frames. */
  private makeRoom(): void {
    const { ports, trees, lowFrames } = this;
    if (ports[Port.INSIDE].fill.published() >= lowFrames && ports[Port.OUTSIDE].fill.published() >= lowFrames)
      return;
    const down = trees[Direction.DOWN].leaves;
    const up = trees[Direction.UP].leaves;
    let wanted = 2 * lowFrames - this.free.count;
    while (wanted > 0) {
      const downMost = down.mostPackets();
      const upMost = up.mostPackets();
      const most = downMost > upMost ? downMost : upMost;
      // Down to half of what the fattest leaf has, whoever has more than that; and so on.
      const level = most >> 1;
      let evicted = most === 0 ? 0 : down.evict(level, wanted);
      if (evicted < wanted && most !== 0) evicted += up.evict(level, wanted - evicted);
      if (evicted === 0) break;
      wanted -= evicted;
    }
    this.takeDropped();
    this.recycle(ports[Port.INSIDE]);
    this.recycle(ports[Port.OUTSIDE]);
  }

  /** Takes the frames back that leaves have dropped. */
  takeDropped(): void {
    this.free.takeDropped(this.pool, this.counters);
  }

  private receive(port: Port, direction: Direction): void {
    const rx = this.ports[port].rx;
    const batch = this.batch;
    const count = rx.peek(BATCH);
    if (count === 0) return;
    const { addr, lenBytes, capturedBytes } = batch;
    let bytes = 0;
    const capturedMax = this.capturedMax;
    for (let i = 0, at = rx.cachedCons; i < count; i++) {
      const len = rx.lenAt(at + i);
      addr[i] = rx.addrAt(at + i);
      lenBytes[i] = len;
      capturedBytes[i] = len < capturedMax ? len : capturedMax;
      bytes += len;
    }
    rx.release(count);
    this.counters[Counter.RX_PACKETS]! += count;
    this.counters[Counter.RX_BYTES]! += bytes;
    this.moved += count;
    this.parser.parse(batch, count);
    this.classify(port, direction, count);
    this.lanes[direction].enqueue(batch, count);
  }

  /** Finds the class of each packet of the batch: in the flow table, else in the class hash. */
  private classify(port: Port, direction: Direction, count: number): void {
    const { kind, key, classIndex } = this.batch;
    const nowMs = (this.clock[0]! / 1_000_000) | 0;
    const flowEpoch = (this.mapEpoch + this.portEpoch) | 0;
    this.flows.lookupBatch(this.batch, count, port, flowEpoch, nowMs);
    for (let i = 0; i < count; i++) {
      if (classIndex[i] !== MISS) continue;
      const at = i << KEY_SHIFT;
      let found = -1;
      if (this.classHash !== null) {
        if (kind[i] === IPV4) {
          found = this.classHash.lookup4(key[at + (direction === Direction.DOWN ? 1 : 0)]!, this.epoch);
        } else if (kind[i] === IPV6) {
          const word = at + (direction === Direction.DOWN ? 4 : 0);
          found = this.classHash.lookup6(
            key[word]!,
            key[word + 1]!,
            key[word + 2]!,
            key[word + 3]!,
            this.epoch,
          );
        }
      }
      if (found < 0 || this.unclassed.hasBypass) found = this.orUnclassed(found, i);
      classIndex[i] = found;
      this.flows.insert(this.batch, i, port, flowEpoch, nowMs, found, 1 - port);
    }
  }

  /** The class of packet `i` when the class hash said `found`: none for a bypassed one, the default for an unknown one. */
  private orUnclassed(found: number, i: number): number {
    if (this.unclassed.isBypassed(this.batch, i)) return NONE;
    return found < 0 ? this.defaultClass : found;
  }
}
