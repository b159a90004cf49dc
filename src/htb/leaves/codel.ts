/**
 * CoDel's judgement of the packets at the head of one flow (RFC 8289; with marks, and with the whole leaf's backlog for the
 * question whether a standing queue is left, as in Linux's codel_impl.h and RFC 8290).
 *
 * Times are wrapping microseconds. The state lies in the flow's words:
 *
 *                          above target for an interval: drop or mark one
 *      idle ───────────────────────────────────────────────────▶ dropping ──┐ at DROP_NEXT: one more, and the next
 *        ▲                                                         │  ▲─────┘ interval / √count later
 *        └────────── below target, or no more than a packet left ──┘
 */
import { Flow, FlowFlag } from './flow-pool.js';

/** A queue of no more than one full frame is never too long. */
export const CODEL_MTU_BYTES = 1514;
/** Within so many intervals after it last dropped, a flow goes on about as fast as it had to then. */
const MEMORY_INTERVALS = 16;

/**
 * Whether the head packet has waited for more than the target, and packets before it have for an interval. `sojournUs` is
 * its own wait, `restBytes` what the leaf holds beside it.
 */
export function isOverTarget(
  words: Int32Array,
  flow: number,
  nowUs: number,
  sojournUs: number,
  restBytes: number,
  targetUs: number,
  intervalUs: number,
): boolean {
  const flags = words[flow + Flow.FLAGS]!;
  if (sojournUs < targetUs || restBytes <= CODEL_MTU_BYTES) {
    words[flow + Flow.FLAGS] = flags & ~FlowFlag.IS_ABOVE;
    return false;
  }
  if ((flags & FlowFlag.IS_ABOVE) === 0) {
    words[flow + Flow.FLAGS] = flags | FlowFlag.IS_ABOVE;
    words[flow + Flow.FIRST_ABOVE_US] = (nowUs + intervalUs) | 0;
    return false;
  }
  return ((nowUs - words[flow + Flow.FIRST_ABOVE_US]!) | 0) >= 0;
}

/** Enters the dropping state, one packet having been dropped or marked just now. */
export function beginDropping(words: Int32Array, flow: number, nowUs: number, intervalUs: number): void {
  words[flow + Flow.FLAGS]! |= FlowFlag.IS_DROPPING;
  const lastCount = words[flow + Flow.CODEL_LAST_COUNT]!;
  const more = (words[flow + Flow.CODEL_COUNT]! - lastCount) | 0;
  const sinceUs = (nowUs - words[flow + Flow.DROP_NEXT_US]!) | 0;
  const isRecent = lastCount !== 0 && sinceUs < Math.imul(MEMORY_INTERVALS, intervalUs);
  const count = more > 1 && isRecent ? more : 1;
  words[flow + Flow.CODEL_COUNT] = count;
  words[flow + Flow.CODEL_LAST_COUNT] = count;
  words[flow + Flow.DROP_NEXT_US] = controlLaw(nowUs, intervalUs, count);
}

/** When the next packet is to be dropped after one at `fromUs`, `count` having been in a row. */
export function controlLaw(fromUs: number, intervalUs: number, count: number): number {
  return (fromUs + ((intervalUs / Math.sqrt(count)) | 0)) | 0;
}
