import { Shape } from '../shm/tree-layout.js';
import { Field } from './layout.js';
import type { TreeMemory } from './memory.js';
import { Packet, type PacketPool } from './packet-pool.js';

/** A queue discipline for leaves. One object serves all leaves of a tree; their state is in their records. */
export interface LeafQueue {
  /** Takes the packet in, or says false: the caller then owns it still and counts the drop. */
  enqueue(record: number, packet: number, lenBytes: number): boolean;
  /** The packet that goes next, left where it is; only called with a backlog. */
  peek(record: number): number;
  /** Gives the packet that goes next; only called with a backlog. */
  dequeue(record: number): number;
  /** Packets held. */
  backlog(record: number): number;
}

/** First in, first out, with limits in packets and bytes, as tc's pfifo and bfifo. */
export class Pfifo implements LeafQueue {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #shapes: Float64Array;
  readonly #packets: Int32Array;

  constructor(memory: TreeMemory, pool: PacketPool) {
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#shapes = memory.shared.shapes;
    this.#packets = pool.words;
  }

  enqueue(record: number, packet: number, lenBytes: number): boolean {
    const nowNs = this.#clock[0]!;
    const words = this.#words;
    const packets = this.#packets;
    const shape = words[record + Field.SHAPE]!;
    const backlogPackets = words[record + Field.BACKLOG_PACKETS]!;
    if (backlogPackets >= this.#shapes[shape + Shape.LIMIT_PACKETS]!) return false;
    const backlogBytes = words[record + Field.BACKLOG_BYTES]! + lenBytes;
    if (backlogBytes > this.#shapes[shape + Shape.LIMIT_BYTES]!) return false;
    const at = packet << Packet.SHIFT;
    packets[at + Packet.NEXT] = 0;
    packets[at + Packet.LEN_BYTES] = lenBytes;
    packets[at + Packet.QUEUED_AT_US] = nowNs / 1000;
    if (backlogPackets === 0) words[record + Field.HEAD_PACKET] = packet + 1;
    else packets[((words[record + Field.TAIL_PACKET]! - 1) << Packet.SHIFT) + Packet.NEXT] = packet + 1;
    words[record + Field.TAIL_PACKET] = packet + 1;
    words[record + Field.BACKLOG_PACKETS] = backlogPackets + 1;
    words[record + Field.BACKLOG_BYTES] = backlogBytes;
    return true;
  }

  peek(record: number): number {
    return this.#words[record + Field.HEAD_PACKET]! - 1;
  }

  dequeue(record: number): number {
    const words = this.#words;
    const packet = words[record + Field.HEAD_PACKET]! - 1;
    const at = packet << Packet.SHIFT;
    words[record + Field.HEAD_PACKET] = this.#packets[at + Packet.NEXT]!;
    words[record + Field.BACKLOG_PACKETS]! -= 1;
    words[record + Field.BACKLOG_BYTES]! -= this.#packets[at + Packet.LEN_BYTES]!;
    return packet;
  }

  backlog(record: number): number {
    return this.#words[record + Field.BACKLOG_PACKETS]!;
  }
}
