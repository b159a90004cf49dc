/** Link state of a device as a stream. Polled: flow entries may be a fifth of a second late, and no socket is needed. */
import { distinctUntilChanged, interval, map, type Observable, startWith } from 'rxjs';
import { readTextOr } from './machine.js';

const POLL_MS = 150;

export interface LinkState {
  /** `up`, `down`, …, or `gone` when there is no such device. */
  readonly state: string;
  /** Times the carrier has come or gone, so that a flap between two polls is seen. */
  readonly changes: number;
}

export function readLinkState(device: string): LinkState {
  const folder = `/sys/class/net/${device}`;
  return {
    state: readTextOr(`${folder}/operstate`, 'gone'),
    changes: Number(readTextOr(`${folder}/carrier_changes`, '0')),
  };
}

/** The present state at once, then every other one. */
export function linkState$(device: string, read = readLinkState, pollMs = POLL_MS): Observable<LinkState> {
  return interval(pollMs).pipe(
    startWith(-1),
    map(() => read(device)),
    distinctUntilChanged((a, b) => a.state === b.state && a.changes === b.changes),
  );
}
