/** Where a class tree comes from, a file or a database, read once or followed. */
import type { Observable } from 'rxjs';
import type { ClassTree } from '../model.js';
import type { RecordQueries } from '../stores/store.js';

/** `file:tree.yaml`, `file:ShapedDevices.csv`, `sqlite:users.db`, `postgres://…`. */
export interface SourceSpec {
  readonly url: string;
  readonly queries: RecordQueries;
}

/** One line each, with file, row or table and key. */
export interface SourceResult {
  /** Null exactly when there are errors. Classes that did not change since the last load are the same objects. */
  readonly tree: ClassTree | null;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** Classes that are not in the tree because their time is over, and were to expire at that time when last loaded. */
  readonly expired: ReadonlySet<string>;
  /** When the next account expires, in milliseconds since 1970; null when none does. */
  readonly nextExpiryMs: number | null;
}

export interface ClassSource {
  /** Its address for people: without a password. */
  readonly label: string;

  /**
   * The classes now, at `nowMs` since 1970. Reads everything the first time and when it must; after events of `changes$`
   * only what they named. Throws WeirError when the file or the database cannot be read; what is wrong with its content
   * is in the result.
   */
  load(nowMs: number): Promise<SourceResult>;

  /** Forgets what is known, so that the next load reads everything. */
  invalidate(): void;

  /**
   * Emits when a load would find something new, not debounced; once also when the watch stands. Errors with WeirError
   * when the database is lost, to be subscribed again then.
   */
  readonly changes$: Observable<void>;

  close(): Promise<void>;
}
