/** The queues of all leaves of one tree: which of them a leaf has, and what goes beyond one leaf. */
import { LeafFlag, Shape } from '../../shm/tree-layout.js';
import { Field, Flag } from '../layout.js';
import type { TreeMemory } from '../memory.js';
import { Packet, type PacketPool } from '../packet-pool.js';
import type { DropList } from './drop-list.js';
import { FqCodel } from './fq-codel.js';
import { DropCause, type LeafQueue } from './leaf-queue.js';
import { Overflow } from './overflow.js';
import { Pfifo } from './pfifo.js';
import type { QueuedFrames } from './queued-frames.js';

export class LeafQueues {
  readonly overflow: Overflow;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #packets: Int32Array;
  readonly #drops: DropList;
  readonly #frames: QueuedFrames;
  readonly #fifo: Pfifo;
  readonly #fair: FqCodel;

  constructor(memory: TreeMemory, pool: PacketPool, frames: QueuedFrames) {
    this.overflow = new Overflow(memory, pool.capacityPackets);
    this.#words = memory.words;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#packets = pool.words;
    this.#drops = pool.drops;
    this.#frames = frames;
    this.#fifo = new Pfifo(memory, pool);
    this.#fair = new FqCodel(memory, pool, frames);
  }

  /** To be called when the tree's clock has been set. */
  beginStep(): void {
    this.#fifo.beginStep();
    this.#fair.beginStep();
  }

  of(leaf: number): LeafQueue {
    const flags = this.#shapes[this.#words[leaf + Field.SHAPE]! + Shape.LEAF]!;
    return (flags & LeafFlag.IS_FAIR) !== 0 ? this.#fair : this.#fifo;
  }

  /** See `LeafQueue.enqueue`; a drop is counted. */
  enqueue(leaf: number, packet: number, lenBytes: number, flowHash: number, deviceHash: number): boolean {
    const words = this.#words;
    if (!this.of(leaf).enqueue(leaf, packet, lenBytes, flowHash, deviceHash)) {
      this.#doubles[(leaf >> 1) + Field.D_DROPS]! += 1;
      return false;
    }
    // When its DSCP has said which tin it is for.
    if ((words[leaf + Field.FLAGS]! & Flag.MUST_QUEUE) !== 0) this.#frames.wash(packet);
    if (
      words[leaf + Field.BACKLOG_PACKETS]! >= this.overflow.fatPackets &&
      (words[leaf + Field.FLAGS]! & Flag.IS_FAT) === 0
    )
      this.overflow.join(leaf);
    return true;
  }

  /** Packets of the leaf that has the most, 0 where none has more than one. For when frames run low. */
  mostPackets(): number {
    return this.overflow.mostPackets();
  }

  /**
   * Drops up to `count` packets from leaves that have more than `level`, down to that, from the heads of their fattest flows;
   * returns how many. A `level` below half of what `mostPackets` said means thinner leaves than the fattest.
   */
  evict(level: number, count: number): number {
    const words = this.#words;
    let evicted = 0;
    let place = this.overflow.nextAbove(level, 0);
    while (place >= 0 && evicted < count) {
      const leaf = this.overflow.leafAt(place);
      const wanted = Math.min(words[leaf + Field.BACKLOG_PACKETS]! - level, count - evicted);
      evicted += this.of(leaf).evict(leaf, wanted);
      place = this.overflow.nextAbove(level, place + 1);
    }
    return evicted;
  }

  /**
   * Gives a leaf with packets another shape, whose queue keeps them in another way. They keep their order within a flow and
   * the time that they have waited; what the new queue has no room for is dropped, and that may be all of them.
   */
  requeue(leaf: number, shape: number): void {
    const words = this.#words;
    const packets = this.#packets;
    const held = new Int32Array(words[leaf + Field.BACKLOG_PACKETS]!);
    const before = this.of(leaf);
    for (let i = 0; i < held.length; i++) held[i] = before.takeOut(leaf);
    words[leaf + Field.SHAPE] = shape;
    for (const packet of held) {
      const at = packet << Packet.SHIFT;
      const queuedAtUs = packets[at + Packet.QUEUED_AT_US]!;
      const lenBytes = packets[at + Packet.LEN_BYTES]!;
      const flowHash = this.#frames.flowHash(packet);
      if (this.enqueue(leaf, packet, lenBytes, flowHash, this.#frames.deviceHash(packet)))
        packets[at + Packet.QUEUED_AT_US] = queuedAtUs;
      else this.#drops.add(packet, DropCause.LIMIT);
    }
  }
}
