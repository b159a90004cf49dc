/** What a run found out, as `weir sim --json` prints it. */
export interface DirectionResult {
  offeredBps: number;
  /** Layer-2 bits that left, over the whole run. */
  goodputBps: number;
  offeredPackets: number;
  sentPackets: number;
  /** Packets that found their leaf full, or the network card without a frame or room in its ring. */
  drops: number;
  /** Packets still queued at the end, also those in the network card's ring. */
  backlogPackets: number;
  /** From the packet's arrival to its departure; null where nothing was sent. */
  delayMs: { p50: number | null; p99: number | null };
  /** Goodput of each full window. */
  windowsBps: number[];
}

/** A direction is present where traffic was offered to the class or to one below it. */
export interface ClassResult {
  down?: DirectionResult;
  up?: DirectionResult;
}

export interface SimResult {
  queues: number;
  seconds: number;
  seed: number;
  windowMs: number;
  /** Every class of every tree of the scenario, in the order of the first one. */
  classes: Record<string, ClassResult>;
}
