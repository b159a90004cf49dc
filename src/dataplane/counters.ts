/** Counters of one worker: doubles in shared memory that this worker alone writes and the control thread reads. */
export const enum Counter {
  RX_PACKETS = 0,
  RX_BYTES = 1,
  TX_PACKETS = 2,
  TX_BYTES = 3,
  /** Packets of no class, whatever the policy then did with them. */
  UNKNOWN_PACKETS = 4,
  /** Frames that could not be parsed as IP; part of the unknown ones. */
  UNPARSED_PACKETS = 5,
  /** Dropped because a leaf held as much as it may. */
  DROP_QUEUE = 6,
  /** Dropped by the policy for unknown traffic. */
  DROP_UNKNOWN = 7,
  /** Unshaped traffic that found the TX ring full. */
  DROP_TX_FULL = 8,
  /** Steps, and steps that moved a packet. */
  STEPS = 9,
  BUSY_STEPS = 10,
  /** Packets of bypass prefixes, where this worker and not the kernel lets them pass. */
  BYPASS_PACKETS = 11,
  /** Dropped by the policy for unknown traffic because it is IP that could not be read. */
  DROP_PARSE = 12,
  /** Dropped by CoDel, and marked by it instead. */
  DROP_CODEL = 13,
  MARKS = 14,
  /** Dropped from the leaf that had most of them when frames ran low. */
  DROP_EVICTED = 15,
  COUNT = 16,
}
