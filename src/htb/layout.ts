/**
 * A worker's own memory about one tree. Layout only, no behaviour.
 *
 * Everything lives in one buffer, seen as `words` (Int32) and `doubles` (Float64). A *node* is a word offset
 * into it; offset 0 means none. There are two kinds of node, which begin alike so that lists and the timing
 * wheel need not tell them apart:
 *
 *   class record      CLASS_STRIDE words, at (classIndex + 1) << CLASS_SHIFT
 *   feed node         FEED_STRIDE words, eight to an inner class, one for each prio; from `feedBase` on
 *
 * The fields of a class are kept together, not in columns: a packet touches one or two cache lines of its
 * leaf, where a dozen columns would cost a dozen misses (24,000 classes do not fit in a second-level cache).
 * The first 64 bytes hold what every packet needs; the second 64 what only a backlogged class does.
 */
export const enum Field {
  CLASS_SHIFT = 5,
  CLASS_STRIDE = 1 << CLASS_SHIFT,
  FEED_SHIFT = 5,
  FEED_STRIDE = 1 << FEED_SHIFT,
  FEED_BLOCK_WORDS = 8 * FEED_STRIDE,

  // ---- common to both kinds -----------------------------------------------------------------------------

  /** Links of the row, or of the list of parked nodes. */
  ROW_NEXT = 0,
  ROW_PREV = 1,
  WHEEL_NEXT = 2,
  WHEEL_PREV = 3,
  /** Slot of the timing wheel plus one; 0 when the node waits for nothing. */
  WHEEL_SLOT = 4,
  FLAGS = 5,
  /** Links of the parent's feed: a leaf or a feed node that borrows. */
  FEED_NEXT = 30,
  FEED_PREV = 31,

  // ---- class record, words ------------------------------------------------------------------------------

  /** Record of the parent, 0 for a root. */
  PARENT = 6,
  /** Offset of the shape in `shapes`. */
  SHAPE = 7,
  /** Leaf: first and last packet, as frame number + 1. */
  HEAD_PACKET = 12,
  TAIL_PACKET = 13,
  BACKLOG_PACKETS = 14,
  BACKLOG_BYTES = 15,
  /** Leaf: deficits of the round robin at level 0 and above it. */
  DEFICIT_GREEN = 24,
  DEFICIT_BORROW = 25,
  /** Leaf: the weight this worker has published for it. */
  WEIGHT_PUBLISHED = 26,
  /** The assured claim this worker has published for it. */
  CLAIM_PUBLISHED = 27,
  /** The record whose sum of claims it was published to. */
  CLAIM_HOLDER = 29,
  /** Leaf: the fair clock as last seen. */
  LEAF_CLOCK_SEEN = 28,
  /** Inner: its eight feed nodes. */
  FEEDS = 24,
  /** Inner: nodes that wait until its ceil lets assured packets through. */
  PARKED_HEAD = 25,
  /** Inner: children with registered backlog on this worker. */
  CLAIM_COUNT = 26,
  /** Inner: classes below it that this worker still holds. */
  CHILDREN = 28,
  /** Inner: slot in `fairWords`. */
  FAIR_SLOT = 12,

  // ---- class record, doubles (offset record >> 1) -------------------------------------------------------

  /** The time the bucket would be full again, as this worker sees it: the shared word plus its own tab. */
  D_RATE_FULL_AT_NS = 4,
  D_CEIL_FULL_AT_NS = 5,
  /** What this worker has used and not yet charged to the shared bucket; negative: charged ahead. */
  D_RATE_TAB_NS = 8,
  D_CEIL_TAB_NS = 9,
  /** Leaf: how far this worker is ahead of the leaf's fair clock, and when that was looked at. */
  D_LEAF_GAP = 10,
  D_LEAF_GAP_AT_NS = 11,
  /** Inner: by what assured rates below it are divided because they oversubscribe, and when that was looked at. */
  D_CLAIM_FACTOR = 10,
  D_CLAIM_FACTOR_AT_NS = 11,

  // ---- feed node ----------------------------------------------------------------------------------------

  OWNER = 6,
  /** Child that is served next; 0 when no child borrows. */
  FEED_HEAD = 7,
  FEED_COUNT = 8,
  /** Children still to be visited in this round. */
  FEED_ROUND = 9,
  /** Weight of the borrowers below that this worker has published. */
  FEED_WEIGHT = 10,
  FEED_CLOCK_SEEN = 11,
  /** How far this worker is ahead of the fair clock, and when that was looked at (doubles). */
  D_FEED_GAP = 6,
  D_FEED_GAP_AT_NS = 7,
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
}
