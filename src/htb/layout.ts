/**
 * A worker's own memory about one tree. Layout only, no behaviour.
 *
 * Everything lives in one buffer, seen as `words` (Int32) and `doubles` (Float64). A *node* is a word offset
 * into it; offset 0 means none. There are two kinds of node, which begin alike so that lists and the timing
 * wheel need not tell them apart:
 *
 *   class record      CLASS_STRIDE words, at (classIndex + 1) * CLASS_STRIDE
 *   feed node         FEED_STRIDE words, eight to an inner class, one for each prio; from `feedBase` on
 *
 * The fields of a class are kept together, not in columns: a packet touches one cache line of its leaf, where a
 * dozen columns would cost a dozen misses (24,000 classes do not fit in a second-level cache). Of a class's three
 * lines the first holds what every packet needs, the second what only a backlogged class does, the third what is
 * seldom looked at. Three and not four, because with a power of two all first lines would compete for a quarter
 * of the cache.
 */
export const enum Field {
  CLASS_STRIDE = 48,
  FEED_SHIFT = 5,
  FEED_STRIDE = 1 << FEED_SHIFT,
  FEED_BLOCK_WORDS = 8 * FEED_STRIDE,

  // ---- common to both kinds -----------------------------------------------------------------------------

  FLAGS = 0,
  /** Links of the row, or of the list of parked nodes. */
  ROW_NEXT = 16,
  ROW_PREV = 17,
  /** Where in the timing wheel's chunks the node stands. */
  WHEEL_AT = 18,
  /** Slot of the timing wheel plus one; 0 when the node waits for nothing. */
  WHEEL_SLOT = 20,
  /** Links of the parent's feed: a leaf or a feed node that borrows. */
  FEED_NEXT = 21,
  FEED_PREV = 22,

  // ---- class record, first line -------------------------------------------------------------------------

  /** Record of the parent, 0 for a root. */
  PARENT = 1,
  /** Offset of the shape in `shapes`. */
  SHAPE = 2,
  /** Leaf. */
  BACKLOG_PACKETS = 3,
  /** Inner: bytes that may still be charged to its ledger; 0 while that is closed. */
  LEDGER_BUDGET = 3,
  /** (Doubles are at offset record >> 1.) The time the bucket would be full again, as this worker sees it: the shared word plus its own tab. */
  D_RATE_FULL_AT_NS = 2,
  D_CEIL_FULL_AT_NS = 3,
  /** What this worker has used and not yet charged to the shared bucket; negative: charged ahead. */
  D_RATE_TAB_NS = 4,
  D_CEIL_TAB_NS = 5,
  /** Sent, in layer-2 bytes; of an inner class, through it. */
  D_BYTES = 6,
  D_PACKETS = 7,

  // ---- class record, second line (with the links above) -------------------------------------------------

  /**
   * Leaf, pfifo: first and last packet, as frame number + 1. A fair leaf has the last of its new flows and the last of its
   * old flows here, each as -(flow number + 1), or with tins the number of its block of them in the first.
   */
  HEAD_PACKET = 23,
  TAIL_PACKET = 24,
  BACKLOG_BYTES = 25,
  /** Leaf: deficits of the round robin at level 0 and above it. */
  DEFICIT_GREEN = 26,
  DEFICIT_BORROW = 27,
  D_DROPS = 14,
  D_OVERLIMITS = 15,
  /** Leaf: sparse flows, and in the upper half bulk ones. */
  FLOW_COUNTS = 19,
  /** Inner: its eight feed nodes. */
  FEEDS = 23,
  /** Inner: what was charged to its ledger, in layer-2 bytes and packets, and all that its budget has ever had. */
  LEDGER_BYTES = 24,
  LEDGER_PACKETS = 25,
  LEDGER_GRANTED = 26,
  /** Inner: next open ledger, -1 for the last; 0 when it is not on that list. */
  LEDGER_NEXT = 27,
  /** Inner: children with registered backlog on this worker. */
  CLAIM_COUNT = 21,

  // ---- class record, third line -------------------------------------------------------------------------

  /** Inner: classes below it that this worker still holds. */
  CHILDREN = 32,
  /** Inner: slot in `fairWords`. */
  FAIR_SLOT = 33,
  /** Inner: bytes it has room for beyond what its ledger was granted. */
  LEDGER_ROOM = 34,
  /** Inner: nodes that wait until its ceil lets assured packets through. */
  PARKED_HEAD = 35,
  /** Leaf: the weight this worker has published for it. */
  WEIGHT_PUBLISHED = 32,
  /** Leaf: the fair clock as last seen. */
  LEAF_CLOCK_SEEN = 33,
  /** The assured claim this worker has published for a class, and the record whose sum of claims it is part of. */
  CLAIM_PUBLISHED = 36,
  CLAIM_HOLDER = 37,
  /** Leaf: how far this worker is ahead of the leaf's fair clock, and when that was looked at. */
  D_LEAF_GAP = 19,
  D_LEAF_GAP_AT_NS = 20,
  /** Inner: by what assured rates below it are divided because they oversubscribe, and when that was looked at. */
  D_CLAIM_FACTOR = 19,
  D_CLAIM_FACTOR_AT_NS = 20,
  /** Inner: packets sent with its tokens for classes below. A leaf lends to itself what it does not borrow. */
  D_LENDS = 21,
  D_BORROWS = 22,
  /** Leaf: of its drops those for want of frames, and those by CoDel; packets marked. */
  D_EVICTED = 17,
  D_CODEL_DROPS = 21,
  D_MARKS = 23,

  // ---- feed node ----------------------------------------------------------------------------------------

  OWNER = 1,
  /** Child that is served next; 0 when no child borrows. */
  FEED_HEAD = 2,
  /** Weight of the borrowers below that this worker has published. */
  FEED_WEIGHT = 3,
  FEED_CLOCK_SEEN = 4,
  /** How far this worker is ahead of the fair clock, and when that was looked at (doubles). */
  D_FEED_GAP = 3,
  D_FEED_GAP_AT_NS = 4,
  /** Bytes left of its turn in the feed above, and of that in a row (doubles: a turn may be a million quanta long). */
  D_FEED_DEFICIT = 5,
  D_ROW_DEFICIT = 6,
  /** How long such a turn is: the quanta of all borrowers that could be sent through it. */
  D_TURN_BYTES = 7,
}

export const enum Flag {
  // ---- flags --------------------------------------------------------------------------------------------

  CAN_SEND = 0,
  MAY_BORROW = 1,
  CANT_SEND = 2,
  MODE_MASK = 3,

  /** Which lists a node is on: a row or a list of parked nodes, not both, and a feed. */
  ON_ROW = 1 << 2,
  IS_PARKED = 1 << 3,
  ON_FEED = 1 << 7,

  PRIO_SHIFT = 4,
  PRIO_MASK = 7 << PRIO_SHIFT,
  LEVEL_SHIFT = 8,
  LEVEL_MASK = 31 << LEVEL_SHIFT,

  /** The record is in use. */
  IS_PRESENT = 1 << 13,
  IS_INNER = 1 << 14,
  /** The class was removed and goes when it is empty. */
  IS_DRAINING = 1 << 15,
  /** Inner: its ceil lets nothing through, not even assured packets. */
  IS_SHUT = 1 << 16,
  /** Leaf: backlog is announced to others when it outlasts a step. */
  MUST_REGISTER = 1 << 17,
  IS_REGISTERED = 1 << 18,
  IS_WEIGHTED = 1 << 19,
  /** Leaf: on the list that is looked at when the step ends. */
  IS_PENDING = 1 << 20,
  /** Leaf: emptied, still counted for a while. */
  IS_LINGERING = 1 << 21,
  /** Held back because this worker is ahead of its fair share. */
  IS_GATED = 1 << 22,
  /** Some ancestor's children have more assured than the ancestor. */
  HAS_CLAIM = 1 << 23,
  /** Its claim has been published. */
  IS_CLAIMING = 1 << 24,
  /** Leaf: known to `Overflow`. */
  IS_FAT = 1 << 25,
  /** Leaf: its packets are never let pass unqueued, for the queue changes them. */
  MUST_QUEUE = 1 << 26,
}
