/**
 * What one RX batch is while the worker looks at it: a struct of arrays, one slot per packet, filled
 * pass by pass (RX → parse → classify → enqueue) and reused for ever.
 *
 * Key words of a packet, `KEY_WORDS` apart, addresses and ports as big-endian numbers in an int32:
 *
 *   kind 4:  0 source   1 destination   2 sport<<16|dport   3 proto | outer VLAN<<8 | inner VLAN<<20
 *   kind 6:  0-3 source   4-7 destination   8 sport<<16|dport   9 proto | outer VLAN<<8 | inner VLAN<<20
 *
 * Without a tag the VLAN field is 0; a fragment has ports 0, because only its addresses are the same in
 * all fragments of a packet.
 */
export const BATCH_MAX = 256;
export const KEY_WORDS_SHIFT = 4;
export const KEY_WORDS = 1 << KEY_WORDS_SHIFT;

/** `kind` of a packet. */
export const KIND_UNKNOWN = 0;
export const KIND_IPV4 = 4;
export const KIND_IPV6 = 6;

/** `classIndex` when the flow table has no valid entry. */
export const CLASS_MISS = -2;
/** `classIndex` of traffic that belongs to no class. */
export const CLASS_NONE = -1;

export class PacketBatch {
  /** Byte offset of the frame's first byte in the UMEM. */
  readonly addr = new Int32Array(BATCH_MAX);
  /** Length on the wire in layer-2 bytes without FCS. */
  readonly lenBytes = new Int32Array(BATCH_MAX);
  /** Bytes that are really there from `addr` on; the parser reads no further. */
  readonly capturedBytes = new Int32Array(BATCH_MAX);
  readonly kind = new Int32Array(BATCH_MAX);
  readonly key = new Int32Array(BATCH_MAX << KEY_WORDS_SHIFT);
  readonly hash = new Int32Array(BATCH_MAX);
  readonly classIndex = new Int32Array(BATCH_MAX);
  /** 1 for packets that the tree lets leave without being queued. */
  readonly passes = new Int32Array(BATCH_MAX);
  /** Port the packet leaves by as its flow table entry says, -1 where there is none. */
  readonly egress = new Int32Array(BATCH_MAX);
}
