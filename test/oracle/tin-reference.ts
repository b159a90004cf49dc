/**
 * The tins of sch_cake: which codepoints go into which, from what share of the rate on a tin has to stand back, and which
 * of them is served next.
 */
export type Diffserv = 'besteffort' | 'diffserv3' | 'diffserv4';

/** Shifts of the class's rate that give each tin's threshold. Tin 0 is best effort, tin 1 background, the rest higher. */
export const THRESHOLD_SHIFTS: Readonly<Record<Diffserv, readonly number[]>> = {
  besteffort: [0],
  diffserv3: [0, 4, 2],
  diffserv4: [0, 4, 1, 2],
};

const CS1 = 8;
/** RFC 8622's lower effort. */
const LE = 1;
/** "Minimize delay" of RFC 1349, as a codepoint. */
const TOS4 = 4;
const VOICE_ADMIT = 44;
const EF = 46;
const CS5 = 40;
const CS6 = 48;
const CS7 = 56;
const CS4 = 32;
/** CS2 and AF2x, CS3 and AF3x, AF4x: streams, and data that somebody waits for. */
const STREAMING: readonly number[] = [TOS4, 16, 18, 20, 22, 24, 26, 28, 30, 34, 36, 38];

/** The tin of a codepoint, by what sch_cake's comments say of each traffic class. */
export function tinOf(diffserv: Diffserv, dscp: number): number {
  if (diffserv === 'besteffort') return 0;
  if (dscp === CS1 || dscp === LE) return 1;
  if (diffserv === 'diffserv3') return [TOS4, VOICE_ADMIT, EF, CS6, CS7].includes(dscp) ? 2 : 0;
  if ([CS4, CS5, VOICE_ADMIT, EF, CS6, CS7].includes(dscp)) return 3;
  return STREAMING.includes(dscp) ? 2 : 0;
}

/** When a tin may send next without passing its threshold. Time is what the leaf has sent, in bytes. */
export class TinSchedule {
  nextAt = 0;
  readonly #cost: number;

  constructor(shift: number) {
    this.#cost = 2 ** shift;
  }

  /** Before the first packet of an empty tin. */
  begin(now: number): void {
    this.nextAt = Math.max(this.nextAt, now);
  }

  /** With a packet. A tin already scheduled beyond that packet's time is charged no more. */
  charge(now: number, bytes: number): void {
    if (this.nextAt < now) this.nextAt += bytes * this.#cost;
    else this.nextAt = Math.max(this.nextAt, now + bytes * this.#cost);
  }
}

/** Of the tins with packets: the last that is within its threshold, or else the one that will be first. -1: none. */
export function chooseTin(now: number, tins: readonly { nextAt: number; isQueued: boolean }[]): number {
  let best = -1;
  tins.forEach(({ nextAt, isQueued }, tin) => {
    if (!isQueued) return;
    if (best < 0 || nextAt <= now || nextAt <= tins[best]!.nextAt) best = tin;
  });
  return best;
}
