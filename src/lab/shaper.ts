/** What the lab wants of the thing between its two ports. Tests put something else there than the daemon. */
export interface Shaper {
  /** Done when it forwards. */
  start(signal: AbortSignal): Promise<void>;
  /** Its own counters, summed over its queues; null if it has none. */
  counters(): Promise<ShaperCounters | null>;
  /** Throws when it has ended by itself. */
  assertRunning(): void;
  /** Never throws; also before it was started. */
  stop(): Promise<void>;
}

export interface ShaperCounters {
  /** layer-2 bytes sent of each loaded class, by `rateKey` */
  readonly bytes: ReadonlyMap<string, number>;
  /** frames that it took in and did not send, whatever the cause */
  readonly droppedFrames: number;
  readonly queuedFrames: number;
}
