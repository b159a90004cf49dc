/** Follows a source's changes, for tests that wait for them. */
import { filter, firstValueFrom, ReplaySubject, type Subscription, take, timeout } from 'rxjs';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';

/** Nothing that is waited for takes longer; a test that comes to this fails. */
const WAIT_MAX_MS = 10_000;

export class Follower {
  readonly #events = new ReplaySubject<number>();
  readonly #subscription: Subscription;
  #count = 0;

  constructor(source: ClassSource) {
    this.#subscription = source.changes$.subscribe({
      next: () => this.#events.next(++this.#count),
      error: (error: unknown) => this.#events.error(error),
    });
  }

  /** Until at least so many changes have come in all. */
  async until(count: number): Promise<void> {
    const reached$ = this.#events.pipe(
      filter((at) => at >= count),
      take(1),
      timeout(WAIT_MAX_MS),
    );
    await firstValueFrom(reached$);
  }

  /** Until the source is lost; returns the error. */
  async loss(): Promise<unknown> {
    return this.until(Number.POSITIVE_INFINITY).catch((error: unknown) => error);
  }

  get count(): number {
    return this.#count;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }
}

/** Ids of the classes that are other objects than before, or new. */
export function changedSince(before: SourceResult, after: SourceResult): string[] {
  if (after.tree === null) throw new Error(after.errors.join('\n'));
  const known = new Set(before.tree!.classes);
  return after.tree.classes.filter((spec) => !known.has(spec)).map(({ id }) => id);
}
