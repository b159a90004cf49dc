/**
 * One direction of a worker: its tree, and the way of classified packets through it to the ring that they leave by. The
 * step is `begin`, `enqueue` for each batch that has come, `end`.
 */
import type { Htb } from '../htb/htb.js';
import { Packet, type PacketPool } from '../htb/packet-pool.js';
import type { DescProducer } from '../rings/ring.js';
import type { Direction } from '../shm/tree-layout.js';
import { BATCH_MAX, CLASS_NONE, type PacketBatch } from './batch.js';
import { Counter } from './counters.js';
import { deviceHashOf } from './device-hash.js';
import type { FreeFrames } from './free-frames.js';
import type { Unclassed } from './unclassed.js';

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const BATCH = BATCH_MAX;
const NONE = CLASS_NONE;

export interface LaneOptions {
  readonly direction: Direction;
  readonly tree: Htb;
  readonly tx: DescProducer;
  readonly pool: PacketPool;
  readonly free: FreeFrames;
  readonly unclassed: Unclassed;
  readonly counters: Float64Array;
  /** The worker's time, in [0]. */
  readonly clock: Float64Array;
  readonly frameShift: number;
  /** What devices are hashed with. */
  readonly seed: number;
}

export class Lane {
  readonly tree: Htb;
  /** Packets sent in this step. */
  sent = 0;
  readonly #direction: Direction;
  readonly #tx: DescProducer;
  readonly #packets: Int32Array;
  readonly #free: FreeFrames;
  readonly #unclassed: Unclassed;
  readonly #counters: Float64Array;
  readonly #clock: Float64Array;
  readonly #frameShift: number;
  readonly #seed: number;
  /** Packets that the tree releases when the step begins. */
  readonly #released = new Int32Array(BATCH);

  constructor(options: LaneOptions) {
    this.tree = options.tree;
    this.#direction = options.direction;
    this.#tx = options.tx;
    this.#packets = options.pool.words;
    this.#free = options.free;
    this.#unclassed = options.unclassed;
    this.#counters = options.counters;
    this.#clock = options.clock;
    this.#frameShift = options.frameShift;
    this.#seed = options.seed | 0;
  }

  /** What was waiting goes first, and then no longer stands in the way of packets that may pass at once. */
  begin(): void {
    this.sent = 0;
    this.#release();
    this.#transmit();
  }

  /** Sends what of a batch may leave at once, queues or drops the rest. */
  enqueue(batch: PacketBatch, count: number): void {
    const { addr, lenBytes, classIndex, passes, kind, key, hash } = batch;
    const tree = this.tree;
    const packets = this.#packets;
    const shift = this.#frameShift;
    const tx = this.#tx;
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
      if (passes[i] !== 0 || (index === NONE && this.#unclassed.mayPass(batch, i))) {
        if (passed < room) {
          tx.write(at + passed++, addr[i]!, len);
          bytes += len;
          continue;
        }
        this.#counters[Counter.DROP_TX_FULL]! += 1;
      } else if (index !== NONE) {
        const frame = addr[i]! >>> shift;
        packets[(frame << Packet.SHIFT) + Packet.ADDR] = addr[i]!;
        const deviceHash = deviceHashOf(key, i, kind[i]!, this.#direction, this.#seed);
        if (tree.enqueue(index, frame, len, hash[i]!, deviceHash)) continue;
        drops++;
      }
      this.#free.frames[this.#free.count++] = addr[i]! >>> shift;
    }
    this.#counters[Counter.DROP_QUEUE]! += drops;
    this.#countSent(passed, bytes);
  }

  /** Sends what may leave now, and ends the tree's step. */
  end(): void {
    this.#transmit();
    this.tree.endStep();
  }

  /** Begins the tree's step, and sends what its timers release at once. */
  #release(): void {
    const tree = this.tree;
    tree.memory.clock[0] = this.#clock[0]!;
    const tx = this.#tx;
    const released = this.#released;
    const words = this.#packets;
    const count = tree.release(released, tree.backlogPackets === 0 ? 0 : tx.reserve(BATCH));
    const at = tx.cachedProd;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const word = released[i]! << Packet.SHIFT;
      const len = words[word + Packet.LEN_BYTES]!;
      tx.write(at + i, words[word + Packet.ADDR]!, len);
      bytes += len;
    }
    this.#countSent(count, bytes);
  }

  #transmit(): void {
    const tree = this.tree;
    if (tree.backlogPackets === 0) return;
    const tx = this.#tx;
    const packets = this.#packets;
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
    this.#countSent(sent, bytes);
  }

  #countSent(packets: number, bytes: number): void {
    if (packets === 0) return;
    this.#tx.submit(packets);
    this.#counters[Counter.TX_PACKETS]! += packets;
    this.#counters[Counter.TX_BYTES]! += bytes;
    this.sent += packets;
  }
}
