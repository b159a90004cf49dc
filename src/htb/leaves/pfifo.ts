import { Shape } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import type { TreeMemory } from '../memory.js';
import { Packet, type PacketPool } from '../packet-pool.js';
import type { DropList } from './drop-list.js';
import { DropCause, type LeafQueue } from './leaf-queue.js';
import { countSojourn } from './sojourn.js';

/** First in, first out, with limits in packets and bytes, as tc's pfifo and bfifo. */
export class Pfifo implements LeafQueue {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #clock: Float64Array;
  readonly #shapes: Float64Array;
  readonly #backlog: Int32Array;
  readonly #sojournBase: number;
  readonly #packets: Int32Array;
  readonly #drops: DropList;
  /** The step's time, in wrapping microseconds. */
  #nowUs = 0;

  constructor(memory: TreeMemory, pool: PacketPool) {
    this.#words = memory.words;
    this.#doubles = memory.doubles;
    this.#clock = memory.clock;
    this.#shapes = memory.shared.shapes;
    this.#backlog = memory.backlog;
    this.#sojournBase = memory.sojournBase;
    this.#packets = pool.words;
    this.#drops = pool.drops;
  }

  beginStep(): void {
    this.#nowUs = (this.#clock[0]! / 1000) | 0;
  }

  enqueue(record: number, packet: number, lenBytes: number): boolean {
    const words = this.#words;
    const packets = this.#packets;
    const shape = words[record + Field.SHAPE]!;
    const backlogPackets = words[record + Field.BACKLOG_PACKETS]!;
    const backlogBytes = words[record + Field.BACKLOG_BYTES]! + lenBytes;
    if (backlogPackets >= this.#shapes[shape + Shape.LIMIT_PACKETS]!) return false;
    if (backlogBytes > this.#shapes[shape + Shape.LIMIT_BYTES]!) return false;
    const at = packet << Packet.SHIFT;
    packets[at + Packet.NEXT] = 0;
    packets[at + Packet.LEN_BYTES] = lenBytes;
    packets[at + Packet.QUEUED_AT_US] = this.#nowUs;
    if (backlogPackets === 0) words[record + Field.HEAD_PACKET] = packet + 1;
    else packets[((words[record + Field.TAIL_PACKET]! - 1) << Packet.SHIFT) + Packet.NEXT] = packet + 1;
    words[record + Field.TAIL_PACKET] = packet + 1;
    words[record + Field.BACKLOG_PACKETS] = backlogPackets + 1;
    words[record + Field.BACKLOG_BYTES] = backlogBytes;
    this.#backlog[0]! += 1;
    return true;
  }

  peek(record: number): number {
    return this.#words[record + Field.HEAD_PACKET]! - 1;
  }

  dequeue(record: number): number {
    const packet = this.takeOut(record);
    const queuedAtUs = this.#packets[(packet << Packet.SHIFT) + Packet.QUEUED_AT_US]!;
    countSojourn(this.#doubles, this.#sojournBase, record, this.#nowUs - queuedAtUs);
    return packet;
  }

  evict(record: number, count: number): number {
    const most = Math.min(count, this.#words[record + Field.BACKLOG_PACKETS]! - 1);
    for (let i = 0; i < most; i++) this.#drops.add(this.takeOut(record), DropCause.EVICTED);
    if (most <= 0) return 0;
    this.#doubles[(record >> 1) + Field.D_DROPS]! += most;
    this.#doubles[(record >> 1) + Field.D_EVICTED]! += most;
    return most;
  }

  takeOut(record: number): number {
    const words = this.#words;
    const packet = words[record + Field.HEAD_PACKET]! - 1;
    const at = packet << Packet.SHIFT;
    const next = this.#packets[at + Packet.NEXT]!;
    words[record + Field.HEAD_PACKET] = next;
    // A fair leaf tells by these words what it holds.
    if (next === 0) words[record + Field.TAIL_PACKET] = 0;
    words[record + Field.BACKLOG_PACKETS]! -= 1;
    words[record + Field.BACKLOG_BYTES]! -= this.#packets[at + Packet.LEN_BYTES]!;
    this.#backlog[0]! -= 1;
    return packet;
  }
}
