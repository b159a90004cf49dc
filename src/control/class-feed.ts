/**
 * Keeps the daemon's classes equal to their source, without ever making them worse.
 *
 *     source.changes$, expiries ──▶ rest ──▶ load ──▶ difference ──▶ guard ──▶ publish
 *                 ▲                            │            │            │
 *                 └── retry, waiting longer ───┘ lost    invalid      refused: the classes in force stay
 *
 * Whatever reads the source, the watch and the API's plan and apply, takes its turn: a source is read by one at a time.
 */
import { audit, BehaviorSubject, concatMap, defer, merge, retry, type Subscription, timer } from 'rxjs';
import { type Difference, difference, type Refusal, refusal } from '../../classes/difference.js';
import type { ClassTree } from '../../classes/model.js';
import type { ClassSource } from '../../classes/source/source.js';
import { WeirError } from '../errors.js';
import type { SourceReport } from '../metrics/report.js';
import { readClasses } from './class-source.js';
import type { Logger } from './log.js';
import type { PublishSummary } from './publisher.js';
import { atTime, retryMs } from './source-timing.js';

/** The control thread has other things to do: it reads classes for half of its time at most. */
const REST_SHARE = 1;
const REST_MAX_MS = 250;

export interface FeedPlan {
  readonly difference: Difference;
  /** Why apply would refuse it without force; null when it would not. */
  readonly refusal: Refusal | null;
  /** When the next account of the source expires, in milliseconds since 1970. */
  readonly nextExpiryMs: number | null;
  readonly warnings: readonly string[];
}

export interface FeedResult extends FeedPlan {
  readonly summary: PublishSummary;
}

export interface FeedOptions {
  readonly source: ClassSource;
  /** The leaf for IP traffic of no class, or null; a default in the tree goes before it. */
  readonly unknownClass: string | null;
  readonly isWatched: boolean;
  readonly guardPercent: number;
  readonly log: Logger;
  /** The classes in force. */
  readonly current: () => { readonly tree: ClassTree; readonly epoch: number };
  readonly publish: (tree: ClassTree) => PublishSummary;
}

export class ClassFeed {
  readonly #options: FeedOptions;
  readonly #nextExpiryMs$ = new BehaviorSubject<number | null>(null);
  #subscription: Subscription | null = null;
  /** The end of whatever reads a source now; never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  #restUntilMs = 0;
  #state: SourceReport['state'] = 'ok';
  #fault: string | null = null;
  #sinceMs = Date.now();
  #lastAppliedMs = Date.now();
  #appliedFrom: string;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#appliedFrom = options.source.label;
  }

  /** Follows the source, from a tree that has just been loaded from it. */
  start(nextExpiryMs: number | null): void {
    this.#nextExpiryMs$.next(nextExpiryMs);
    const { source, isWatched } = this.#options;
    if (!isWatched) {
      // A source that is followed knows what has changed, so that plan and apply need not read all of it.
      const wait = (_: unknown, attempt: number): ReturnType<typeof timer> => timer(retryMs(attempt));
      this.#subscription = source.changes$.pipe(retry({ delay: wait, resetOnSuccess: true })).subscribe();
      return;
    }
    this.#subscription = merge(
      defer(() => source.changes$),
      atTime(this.#nextExpiryMs$),
    )
      .pipe(
        audit(() => defer(() => this.#turn).pipe(concatMap(() => timer(this.#waitMs())))),
        concatMap(() => this.#follow()),
        retry({ delay: (error, attempt) => this.#lost(error, attempt), resetOnSuccess: true }),
      )
      .subscribe();
  }

  async stop(): Promise<void> {
    this.#subscription?.unsubscribe();
    await this.#turn;
    await this.#options.source.close();
  }

  status(): SourceReport {
    return {
      source: this.#options.source.label,
      watched: this.#options.isWatched,
      state: this.#state,
      fault: this.#fault,
      since: new Date(this.#sinceMs).toISOString(),
      appliedFrom: this.#appliedFrom,
      lastAppliedAt: new Date(this.#lastAppliedMs).toISOString(),
    };
  }

  /** What apply would change. Throws WeirError: what reading throws, and E_CLASSES with a line for each error. */
  plan(source: ClassSource = this.#options.source): Promise<FeedPlan> {
    return this.#inTurn(async () => (await this.#read(source)).plan);
  }

  /** Publishes the difference, all of it or nothing. Throws as plan(), and E_GUARD unless `isForced`. */
  apply(isForced: boolean, source: ClassSource = this.#options.source): Promise<FeedResult> {
    return this.#inTurn(() => this.#apply(isForced, source));
  }

  /**
   * Reads everything again and publishes it, also when nothing is new and whatever the guard says: somebody asked for it by
   * hand.
   */
  reload(): Promise<FeedResult> {
    const { source } = this.#options;
    return this.#inTurn(() => {
      source.invalidate();
      return this.#apply(true, source, true);
    });
  }

  // ---- one at a time ------------------------------------------------------------------------------------

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #read(source: ClassSource): Promise<{ tree: ClassTree; plan: FeedPlan }> {
    const nowMs = Date.now();
    const { tree, errors, warnings, expired, nextExpiryMs } = await readClasses(
      source,
      this.#options.unknownClass,
      nowMs,
    );
    if (tree === null) throw new ClassFaults(errors);
    if (source === this.#options.source && nextExpiryMs !== this.#nextExpiryMs$.value)
      this.#nextExpiryMs$.next(nextExpiryMs);
    const before = this.#options.current().tree;
    const changes = difference(before, tree);
    const { guardPercent } = this.#options;
    const refused = refusal(changes, before.classes.length, guardPercent, expired);
    return { tree, plan: { difference: changes, refusal: refused, nextExpiryMs, warnings } };
  }

  async #apply(isForced: boolean, source: ClassSource, always = false): Promise<FeedResult> {
    const { tree, plan } = await this.#read(source);
    if (plan.refusal !== null && !isForced)
      throw new WeirError('E_GUARD', `${source.label}: ${formatRefusal(plan.refusal)}`);
    const { epoch } = this.#options.current();
    const isNew = always || !isEmpty(plan.difference);
    const summary = isNew ? this.#options.publish(tree) : { epoch, added: 0, changed: 0, removed: 0 };
    if (isNew) this.#lastAppliedMs = Date.now();
    this.#appliedFrom = source.label;
    if (source === this.#options.source) this.#enter('ok', null);
    return { ...plan, summary };
  }

  // ---- following ----------------------------------------------------------------------------------------

  #waitMs(): number {
    return Math.max(0, this.#restUntilMs - performance.now());
  }

  /** One round. Rejects only when the source cannot be read, which is worth another try later. */
  async #follow(): Promise<void> {
    const startMs = performance.now();
    const { log } = this.#options;
    try {
      const { summary, warnings } = await this.apply(false);
      const { epoch, added, changed, removed } = summary;
      if (added + changed + removed > 0) {
        for (const warning of warnings) log.debug(warning);
        log.debug({ epoch, added, changed, removed }, 'classes changed');
      }
    } catch (error) {
      if (!(error instanceof WeirError) || !HELD_BACK.has(error.code)) throw error;
      this.#enter(error.code === 'E_GUARD' ? 'refused' : 'invalid', error.message);
    } finally {
      const endMs = performance.now();
      this.#restUntilMs = endMs + Math.min(REST_SHARE * (endMs - startMs), REST_MAX_MS);
    }
  }

  #lost(error: unknown, attempt: number): ReturnType<typeof timer> {
    this.#options.source.invalidate();
    this.#enter('retrying', error instanceof Error ? error.message : String(error));
    return timer(retryMs(attempt));
  }

  #enter(state: SourceReport['state'], fault: string | null): void {
    const { log, source } = this.#options;
    if (state === this.#state && fault === this.#fault) return;
    if (state !== this.#state) this.#sinceMs = Date.now();
    this.#state = state;
    this.#fault = fault;
    if (state === 'ok') log.info({ source: source.label }, 'classes follow their source again');
    else
      log.error({ source: source.label, state, reason: fault }, 'classes not re-read, those in force stay');
  }
}

/** Everything that is wrong with the classes of a source. */
export class ClassFaults extends WeirError {
  /** One for each error. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    const more = lines.length > 1 ? ` (and ${lines.length - 1} more)` : '';
    super('E_CLASSES', `${lines[0]}${more}`);
    this.lines = lines;
  }
}

/** Reading the source again at once would find the same. */
const HELD_BACK = new Set(['E_CLASSES', 'E_GUARD', 'E_CAPACITY']);

export function formatRefusal({ removed, total, percent }: Refusal): string {
  return `${removed} of ${total} classes would go, more than ${percent} %; 'weir classes apply --force' lets them`;
}

function isEmpty({ added, removed, moved, changed, settings }: Difference): boolean {
  return added.length + removed.length + moved.length + changed.length + settings.length === 0;
}
