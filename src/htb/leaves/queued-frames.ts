/** What leaves need to know of the bytes of a packet, and may change in them. Packets are frame numbers. */
export interface QueuedFrames {
  /**
   * Sets Congestion Experienced (RFC 3168) if the packet is ECN capable, and keeps its checksum right. False, with
   * nothing changed, if it is not. True as well for one that is marked already.
   */
  markCe(packet: number): boolean;
  /** The packet's DSCP, 0 to 63; 0 for what is not IP. */
  dscp(packet: number): number;
  /** Sets the DSCP to 0, leaves ECN as it is, and keeps the checksum right. */
  wash(packet: number): void;
  /** The hashes that `enqueue` had, worked out again from the frame: for a packet that moves to another queue. */
  flowHash(packet: number): number;
  deviceHash(packet: number): number;
}

/** Of packets without bytes: every one is best effort, not ECN capable, and of one flow. */
export const NO_FRAMES: QueuedFrames = {
  markCe: () => false,
  dscp: () => 0,
  wash: () => {},
  flowHash: () => 0,
  deviceHash: () => 0,
};
