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
import { DropCause } from '../htb/leaves/leaf-queue.js';
import { Packet, PacketPool } from '../htb/packet-pool.js';
import type { DescProducer, PortRings } from '../rings/ring.js';
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
import { deviceHashOf } from './device-hash.js';
import { FlowTable } from './flow-table.js';
import { isNonIp } from './non-ip.js';
import { Parser } from './parse.js';
import { UmemFrames } from './umem-frames.js';

/** What happens to traffic of no class. A default class in the tree file takes precedence for IP traffic. */
export type UnknownPolicy = 'pass' | 'drop';

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

/** Bypass prefixes never change while a worker lives, so one epoch sees them all. */
export const BYPASS_EPOCH = 1;

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
  readonly parser: Parser;
  readonly flows: FlowTable;
  readonly pool: PacketPool;
  private readonly queue: number;
  private readonly shared: SharedShaper;
  private readonly source: EpochSource;
  private readonly ports: readonly [PortRings, PortRings];
  private readonly frameShift: number;
  private readonly capturedMax: number;
  private readonly passesUnknown: boolean;
  private readonly umem: Uint8Array;
  private readonly bypass: ClassHashReader | null;
  private receives = true;
  private readonly lowFrames: number;
  private readonly seed: number;
  private readonly appliers: readonly [ChangeApplier, ChangeApplier];
  private readonly batch = new PacketBatch();
  /** Stack of free frames, by number. */
  private readonly free: Int32Array;
  private freeCount = 0;
  /** Packets that a tree releases when its step begins. */
  private readonly released = new Int32Array(BATCH);
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
    this.passesUnknown = options.unknownPolicy !== 'drop';
    this.umem = options.umem;
    this.bypass = options.bypassHash ? new ClassHashReader(options.bypassHash) : null;
    this.parser = new Parser(options.umem);
    this.flows = new FlowTable({
      capacityFlows: options.capacityFlows,
      seed: options.seed,
      ...(options.flowIdleMs === undefined ? {} : { idleTimeoutMs: options.flowIdleMs }),
    });
    this.pool = new PacketPool(options.frames);
    const fillSize = Math.min(options.ports[0].fill.size, options.ports[1].fill.size);
    this.lowFrames = Math.ceil(Math.min(fillSize / 2, options.frames / LOW_FRAMES_PART));
    this.seed = options.seed | 0;
    this.trees = [
      new Htb(shared.trees[Direction.DOWN], queue, this.pool, this.framesOf(options, Direction.DOWN)),
      new Htb(shared.trees[Direction.UP], queue, this.pool, this.framesOf(options, Direction.UP)),
    ];
    this.appliers = [new ChangeApplier(this.trees[0]), new ChangeApplier(this.trees[1])];
    this.free = new Int32Array(options.frames);
    for (let frame = options.frames - 1; frame >= 0; frame--) this.free[this.freeCount++] = frame;
  }

  private framesOf({ umem, frameBytes, seed }: WorkerOptions, direction: Direction): UmemFrames {
    const port = direction === Direction.DOWN ? Port.OUTSIDE : Port.INSIDE;
    const { pool, flows } = this;
    return new UmemFrames({ umem, pool, capturedMax: frameBytes, flows, direction, port, seed });
  }

  /** Frames that are in no ring and in no tree. */
  get freeFrames(): number {
    return this.freeCount;
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
    if (this.freeCount < this.lowFrames) this.makeRoom();
    // What was waiting goes first, and then no longer stands in the way of packets that may pass at once.
    this.release(Port.INSIDE, Direction.DOWN);
    this.release(Port.OUTSIDE, Direction.UP);
    this.transmit(Port.INSIDE, Direction.DOWN);
    this.transmit(Port.OUTSIDE, Direction.UP);
    if (this.receives) {
      this.receive(Port.INSIDE, Direction.UP);
      this.receive(Port.OUTSIDE, Direction.DOWN);
    }
    this.transmit(Port.INSIDE, Direction.DOWN);
    this.transmit(Port.OUTSIDE, Direction.UP);
    this.trees[Direction.DOWN].endStep();
    this.trees[Direction.UP].endStep();
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
    const free = this.free;
    const shift = this.frameShift;
    const done = completion.peek(completion.size);
    let freeCount = this.freeCount;
    for (let i = 0, at = completion.cachedCons; i < done; i++)
      free[freeCount++] = completion.addrAt(at + i) >>> shift;
    completion.release(done);
    const wanted = fill.reserve(freeCount < fill.size ? freeCount : fill.size);
    for (let i = 0, at = fill.cachedProd; i < wanted; i++) fill.write(at + i, free[--freeCount]! << shift);
    fill.submit(wanted);
    this.freeCount = freeCount;
  }

  /** When a port is about to have nothing to receive into: drops from the leaves that hold most of the frames. */
  private makeRoom(): void {
    const { ports, trees, lowFrames } = this;
    if (ports[Port.INSIDE].fill.published() >= lowFrames && ports[Port.OUTSIDE].fill.published() >= lowFrames)
      return;
    const down = trees[Direction.DOWN].leaves;
    const up = trees[Direction.UP].leaves;
    let wanted = 2 * lowFrames - this.freeCount;
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
  private takeDropped(): void {
    const { drops } = this.pool;
    const { counters } = this;
    if (drops.marks > 0) {
      counters[Counter.MARKS]! += drops.marks;
      drops.marks = 0;
    }
    if (drops.count === 0) return;
    for (let i = 0; i < drops.count; i++) this.free[this.freeCount++] = drops.packets[i]!;
    drops.count = 0;
    counters[Counter.DROP_QUEUE]! += drops.totals[DropCause.LIMIT]!;
    counters[Counter.DROP_CODEL]! += drops.totals[DropCause.CODEL]!;
    counters[Counter.DROP_EVICTED]! += drops.totals[DropCause.EVICTED]!;
    drops.totals.fill(0);
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
    this.enqueue(port, direction, count);
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
      if (found < 0 || this.bypass !== null) found = this.orUnclassed(found, i);
      classIndex[i] = found;
      this.flows.insert(this.batch, i, port, flowEpoch, nowMs, found, 1 - port);
    }
  }

  /** The class of packet `i` when the class hash said `found`: none for a bypassed one, the default for an unknown one. */
  private orUnclassed(found: number, i: number): number {
    if (this.bypass !== null && this.isBypassed(this.bypass, i)) return NONE;
    return found < 0 ? this.defaultClass : found;
  }

  /** Whether packet `i` comes from or goes to a bypass prefix. */
  private isBypassed(bypass: ClassHashReader, i: number): boolean {
    const { kind, key } = this.batch;
    const at = i << KEY_SHIFT;
    if (kind[i] === IPV4)
      return bypass.lookup4(key[at]!, BYPASS_EPOCH) >= 0 || bypass.lookup4(key[at + 1]!, BYPASS_EPOCH) >= 0;
    if (kind[i] !== IPV6) return false;
    for (let word = at; word < at + 8; word += 4) {
      if (bypass.lookup6(key[word]!, key[word + 1]!, key[word + 2]!, key[word + 3]!, BYPASS_EPOCH) >= 0)
        return true;
    }
    return false;
  }

  /** Sends what may leave at once, queues or drops the rest. */
  private enqueue(port: Port, direction: Direction, count: number): void {
    const { addr, lenBytes, classIndex, passes, kind, key, hash } = this.batch;
    const tree = this.trees[direction];
    const packets = this.pool.words;
    const shift = this.frameShift;
    const tx = this.ports[(1 - port) as Port].tx;
    const room = tx.reserve(count);
    const at = tx.cachedProd;
    // One load of every leaf's record first: their cache misses overlap, where they would come one after the other.
    tree.touch(classIndex, count);
    let unknown = 0;
    for (let i = 0; i < count; i++) if (classIndex[i] === NONE) unknown++;
    // Unknown traffic has its room first: what the tree lets pass is charged and must find room.
    tree.pass(classIndex, lenBytes, passes, count, room > unknown ? room - unknown : 0);
    tree.touchQueues(classIndex, passes, count);
    let passed = 0;
    let bytes = 0;
    let drops = 0;
    for (let i = 0; i < count; i++) {
      const len = lenBytes[i]!;
      const index = classIndex[i]!;
      if (passes[i] !== 0 || (index === NONE && this.mayPassUnclassed(i))) {
        if (passed < room) {
          tx.write(at + passed++, addr[i]!, len);
          bytes += len;
          continue;
        }
        this.counters[Counter.DROP_TX_FULL]! += 1;
      } else if (index !== NONE) {
        const frame = addr[i]! >>> shift;
        packets[(frame << Packet.SHIFT) + Packet.ADDR] = addr[i]!;
        const deviceHash = deviceHashOf(key, i, kind[i]!, direction, this.seed);
        if (tree.enqueue(index, frame, len, hash[i]!, deviceHash)) continue;
        drops++;
      }
      this.free[this.freeCount++] = addr[i]! >>> shift;
    }
    this.counters[Counter.DROP_QUEUE]! += drops;
    this.countSent(tx, passed, bytes);
  }

  /** Counts packet `i` of the batch, which has no class, and says whether it goes on, unshaped. */
  private mayPassUnclassed(i: number): boolean {
    const { kind, addr, capturedBytes } = this.batch;
    if (this.bypass !== null && this.isBypassed(this.bypass, i)) {
      this.counters[Counter.BYPASS_PACKETS]! += 1;
      return true;
    }
    this.counters[Counter.UNKNOWN_PACKETS]! += 1;
    if (kind[i] === 0) this.counters[Counter.UNPARSED_PACKETS]! += 1;
    if (this.passesUnknown) return true;
    // The policy is about subscribers' traffic; without ARP and the like there would be no wire.
    if (kind[i] === 0 && isNonIp(this.umem, addr[i]!, capturedBytes[i]!)) return true;
    if (kind[i] === 0) this.counters[Counter.DROP_PARSE]! += 1;
    else this.counters[Counter.DROP_UNKNOWN]! += 1;
    return false;
  }

  private countSent(tx: DescProducer, packets: number, bytes: number): void {
    if (packets === 0) return;
    tx.submit(packets);
    this.counters[Counter.TX_PACKETS]! += packets;
    this.counters[Counter.TX_BYTES]! += bytes;
    this.moved += packets;
  }

  /** Begins a tree's step, and sends what its timers release at once. */
  private release(port: Port, direction: Direction): void {
    const tree = this.trees[direction];
    tree.memory.clock[0] = this.clock[0]!;
    const tx = this.ports[port].tx;
    const { released } = this;
    const words = this.pool.words;
    const count = tree.release(released, tree.backlogPackets === 0 ? 0 : tx.reserve(BATCH));
    const at = tx.cachedProd;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const word = released[i]! << Packet.SHIFT;
      const len = words[word + Packet.LEN_BYTES]!;
      tx.write(at + i, words[word + Packet.ADDR]!, len);
      bytes += len;
    }
    this.countSent(tx, count, bytes);
  }

  private transmit(port: Port, direction: Direction): void {
    const tree = this.trees[direction];
    if (tree.backlogPackets === 0) return;
    const tx = this.ports[port].tx;
    const packets = this.pool.words;
    const room = tx.reserve(BATCH);
    const at = tx.cachedProd;
    let sent = 0;
    let bytes = 0;
    while (sent < room) {
      const packet = tree.dequeue();
      if (packet < 0) break;
      const word = packet << Packet.SHIFT;
      const len = packets[word + Packet.LEN_BYTES]!;
      tx.write(at + sent, packets[word + Packet.ADDR]!, len);
      bytes += len;
      sent++;
    }
    this.countSent(tx, sent, bytes);
  }
}
