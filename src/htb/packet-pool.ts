import { DropList } from './leaves/drop-list.js';
import { FlowPool } from './leaves/flow-pool.js';

/**
 * What the tree knows about packets: a few words a UMEM frame. Queues are linked through `PACKET_NEXT`, so a
 * class needs no queue memory of its own and an idle one costs nothing.
 */
export const enum Packet {
  SHIFT = 2,
  /** Number of the next packet in its queue plus one; 0 ends the queue. */
  NEXT = 0,
  /** Layer-2 bytes without FCS. */
  LEN_BYTES = 1,
  /** Wrapping microseconds at which it was queued. */
  QUEUED_AT_US = 2,
  /** The frame's byte offset in the UMEM, which need not be its slot's first byte. */
  ADDR = 3,
}

export class PacketPool {
  readonly capacityPackets: number;
  readonly words: Int32Array;
  /** What leaves have dropped of it. */
  readonly drops: DropList;
  /** Flow queues of all leaves that may hold these packets. */
  readonly flows: FlowPool;

  constructor(capacityPackets: number) {
    this.capacityPackets = capacityPackets;
    this.words = new Int32Array(capacityPackets << Packet.SHIFT);
    this.drops = new DropList(capacityPackets);
    this.flows = new FlowPool(capacityPackets);
  }
}
