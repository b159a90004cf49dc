/**
 * A user database as a source of classes.
 *
 *                     first event                       events
 *     not followed ────────────────► all is pending ──► ids are pending ──► load reads only these
 *          ▲                                                   │
 *          └──────── unsubscribed, or the database is lost ◄───┘
 *
 * While nobody follows the database, nothing is known of what has changed in it: every load reads all of it then. What a
 * load takes on goes back to what is pending if reading fails, and an event that comes while a load reads stays for the next.
 */
import { defer, finalize, map, type Observable, share, tap } from 'rxjs';
import { Book } from '../book.js';
import type { CompileResult } from '../compile.js';
import { CHANGED_IDS_MAX, type Store, type StoreChange } from '../stores/store.js';
import { linesOf } from './lines.js';
import type { ClassSource, SourceResult } from './source.js';

type Pending = ReadonlySet<string> | 'all';

const NOTHING: Pending = new Set();

export class StoreSource implements ClassSource {
  readonly label: string;
  readonly changes$: Observable<void>;
  readonly #store: Store;
  readonly #book = new Book();
  #isFollowed = false;
  #pending: Pending = 'all';
  /** The end of the load that runs now; never rejects. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
    this.label = store.label;
    this.changes$ = defer(() => store.watch()).pipe(
      tap((change) => this.#note(change)),
      finalize(() => this.#unfollow()),
      map(() => undefined),
      share(),
    );
  }

  load(nowMs: number): Promise<SourceResult> {
    const result = this.#turn.then(() => this.#load(nowMs));
    this.#turn = result.catch(() => {});
    return result;
  }

  invalidate(): void {
    this.#pending = 'all';
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  #note(change: StoreChange): void {
    if (!this.#isFollowed || change.kind === 'all') this.#pending = 'all';
    else this.#pending = joined(this.#pending, new Set(change.ids));
    this.#isFollowed = true;
  }

  #unfollow(): void {
    this.#isFollowed = false;
    this.#pending = 'all';
  }

  async #load(nowMs: number): Promise<SourceResult> {
    const pending = this.#pending;
    this.#pending = this.#isFollowed ? NOTHING : 'all';
    try {
      return this.#resultOf(await this.#compile(pending, nowMs));
    } catch (error) {
      this.#pending = joined(pending, this.#pending);
      throw error;
    }
  }

  async #compile(pending: Pending, nowMs: number): Promise<CompileResult> {
    if (pending !== 'all' && !this.#book.needsReplace) {
      if (pending.size === 0) return this.#book.tick(nowMs);
      const patch = await this.#store.readSubscribers([...pending]);
      if (patch !== null) return this.#book.patch(patch, nowMs);
    }
    return this.#book.replace(await this.#store.readAll(), nowMs);
  }

  #resultOf({ tree, problems, expired, nextExpiryMs }: CompileResult): SourceResult {
    return { tree, ...linesOf(problems, this.label), expired, nextExpiryMs };
  }
}

function joined(a: Pending, b: Pending): Pending {
  if (a === 'all' || b === 'all' || a.size + b.size > CHANGED_IDS_MAX) return 'all';
  return new Set([...a, ...b]);
}
