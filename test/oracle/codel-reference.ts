/**
 * CoDel for one queue, after the pseudo-code of RFC 8289, section 5, with what Linux's codel_impl.h adds: packets that
 * can be marked are marked instead of dropped. Times are plain numbers of microseconds that never wrap.
 */
export interface CodelSettings {
  targetUs: number;
  intervalUs: number;
  /** A backlog of at most this much is never too long. */
  mtuBytes: number;
}

export interface CodelPacket {
  queuedUs: number;
}

/** The queue that is judged. */
export interface CodelSource<P extends CodelPacket> {
  /** Takes out the first packet; null when there is none. */
  take(): P | null;
  /** What waits besides the packets taken. */
  waitingBytes(): number;
  drop(packet: P): void;
  /** Marks the packet if that is wanted and possible. */
  mark(packet: P): boolean;
}

/** Drops further apart than this many intervals have nothing to do with each other. */
const RESUME_INTERVALS = 16;

export class CodelReference<P extends CodelPacket> {
  /** Since when, plus one interval, sojourn times are above the target; null when they are not. */
  firstAboveUs: number | null = null;
  dropNextUs = 0;
  count = 0;
  lastCount = 0;
  isDropping = false;
  readonly #settings: CodelSettings;

  constructor(settings: CodelSettings) {
    this.#settings = settings;
  }

  /** The packet that may leave at `nowUs`, after those in front of it that had to be dropped. */
  dequeue(nowUs: number, source: CodelSource<P>): P | null {
    let packet = source.take();
    let mayDrop = this.#mayDrop(nowUs, packet, source);
    if (this.isDropping) {
      if (!mayDrop) this.isDropping = false;
      while (this.isDropping && nowUs >= this.dropNextUs) {
        this.count += 1;
        if (source.mark(packet!)) {
          this.dropNextUs = this.#controlLaw(this.dropNextUs);
          return packet;
        }
        source.drop(packet!);
        packet = source.take();
        mayDrop = this.#mayDrop(nowUs, packet, source);
        if (mayDrop) this.dropNextUs = this.#controlLaw(this.dropNextUs);
        else this.isDropping = false;
      }
    } else if (mayDrop) {
      if (!source.mark(packet!)) {
        source.drop(packet!);
        packet = source.take();
        this.#mayDrop(nowUs, packet, source);
      }
      this.isDropping = true;
      const delta = this.count - this.lastCount;
      const sinceUs = this.lastCount === 0 ? Number.POSITIVE_INFINITY : nowUs - this.dropNextUs;
      const isRecent = sinceUs < RESUME_INTERVALS * this.#settings.intervalUs;
      this.count = delta > 1 && isRecent ? delta : 1;
      this.lastCount = this.count;
      this.dropNextUs = this.#controlLaw(nowUs);
    }
    return packet;
  }

  /** Whether sojourn times have been above the target for an interval; `dodequeue` of the RFC. */
  #mayDrop(nowUs: number, packet: P | null, source: CodelSource<P>): boolean {
    const { targetUs, intervalUs, mtuBytes } = this.#settings;
    if (packet === null || nowUs - packet.queuedUs < targetUs || source.waitingBytes() <= mtuBytes) {
      this.firstAboveUs = null;
      return false;
    }
    if (this.firstAboveUs === null) {
      this.firstAboveUs = nowUs + intervalUs;
      return false;
    }
    return nowUs >= this.firstAboveUs;
  }

  #controlLaw(fromUs: number): number {
    return fromUs + Math.floor(this.#settings.intervalUs / Math.sqrt(this.count));
  }
}
