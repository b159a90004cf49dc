/** When a source is read again: after an account has expired, or after it could not be read. */
import { NEVER, type Observable, switchMap, timer } from 'rxjs';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 30_000;
/** What a timer can wait. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** How long to wait before the attempt, counted from 1: 0.25 s, 0.5 s, up to 30 s. */
export function retryMs(attempt: number): number {
  return Math.min(RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 16), RETRY_MAX_MS);
}

/** Emits at the time, in milliseconds since 1970, that was told last; null for never. */
export function atTime(atMs$: Observable<number | null>): Observable<unknown> {
  const waitMs = (atMs: number): number => Math.min(Math.max(0, atMs - Date.now()), TIMER_MAX_MS);
  return atMs$.pipe(switchMap((atMs) => (atMs === null ? NEVER : timer(waitMs(atMs)))));
}
