/**
 * A queue discipline for leaves. One object serves all leaves of a tree that have it; what it knows of a leaf lies in the
 * leaf's record and in pools of the worker.
 *
 * It keeps BACKLOG_PACKETS and BACKLOG_BYTES of the record and the tree's total. It may drop packets that it holds, at
 * any call but never the last one of a leaf, so that whether a leaf is backlogged changes only by `enqueue` and `dequeue`.
 * What it drops goes to the worker's `DropList`.
 */
export interface LeafQueue {
  /** To be called when the tree's clock has been set, before anything else. */
  beginStep(): void;
  /**
   * Takes the packet in, or says false: the caller then owns it still, and the drop is counted. `flowHash` tells flows
   * apart and `deviceHash` the subscriber's devices.
   */
  enqueue(record: number, packet: number, lenBytes: number, flowHash: number, deviceHash: number): boolean;
  /** The packet that goes next, left where it is; only called with a backlog. */
  peek(record: number): number;
  /** Gives the packet that goes next; only called with a backlog. */
  dequeue(record: number): number;
  /**
   * Drops packets for want of frames: from the head of the leaf's fattest flow, at most `count`, and never the last
   * packet of the leaf. Returns how many.
   */
  evict(record: number, count: number): number;
  /**
   * Takes out any one packet, without judging it, those of a flow in their order; only called with a backlog. For packets
   * that move to another queue.
   */
  takeOut(record: number): number;
}

/** Why a leaf dropped a packet. */
export const enum DropCause {
  /** The leaf held as many packets or bytes as it may. */
  LIMIT = 0,
  /** CoDel: it had waited too long. */
  CODEL = 1,
  /** The worker ran out of frames, and this leaf had the most of them. */
  EVICTED = 2,
  COUNT = 3,
}
