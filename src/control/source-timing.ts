/** When a source is read again: after an account has expired, or after it could not be read. */
import {
  asyncScheduler,
  defer,
  NEVER,
  type Observable,
  of,
  type SchedulerLike,
  switchMap,
  timer,
} from 'rxjs';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 30_000;
/** What a timer can wait. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** How long to wait before the attempt, counted from 1: 0.25 s, 0.5 s, up to 30 s. */
export function retryMs(attempt: number): number {
  return Math.min(RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 16), RETRY_MAX_MS);
}

/** Emits at the time, in milliseconds since 1970, that was told last, and never before it; null for never. */
export function atTime(
  atMs$: Observable<number | null>,
  scheduler: SchedulerLike = asyncScheduler,
): Observable<unknown> {
  return atMs$.pipe(switchMap((atMs) => (atMs === null ? NEVER : reached(atMs, scheduler))));
}

/** A timer may be early by a part of a millisecond, and waits for some weeks at most: it is set again then. */
function reached(atMs: number, scheduler: SchedulerLike): Observable<unknown> {
  const leftMs = (): number => atMs - scheduler.now();
  return defer(() => timer(Math.min(Math.max(0, leftMs()), TIMER_MAX_MS), scheduler)).pipe(
    switchMap(() => (leftMs() > 0 ? reached(atMs, scheduler) : of(null))),
  );
}
