/** What the control thread and the accounting thread say to each other. */
import type { SourceSpec } from '../../classes/source/source.js';
import type { Amounts } from './amounts.js';
import type { Span } from './intervals.js';

export interface AccountingThreadData {
  readonly store: SourceSpec;
  readonly spool: string;
  readonly intervalMs: number;
  readonly spoolBytesMax: number;
  /** Names this run of the daemon; the same for every thread that it starts. */
  readonly run: string;
}

export type ToThread =
  /** Answered by `recorded` or `refused`. The next one comes after the answer. */
  | {
      readonly kind: 'checkpoint';
      readonly number: number;
      readonly span: Span;
      readonly amounts: Amounts;
    }
  /** Closes the interval, delivers for so long, and ends the thread. */
  | { readonly kind: 'finish'; readonly deliverMs: number };

export type FromThread =
  /** The spool is open. */
  | { readonly kind: 'ready'; readonly pendingBatches: number }
  /** The spool cannot be opened; the thread ends. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  /** On disk. */
  | { readonly kind: 'recorded'; readonly number: number; readonly pendingBatches: number }
  /** Not on disk; to be sent again. */
  | { readonly kind: 'refused'; readonly number: number; readonly message: string }
  /** The database took a batch (`fault` null), or did not. */
  | { readonly kind: 'attempt'; readonly pendingBatches: number; readonly fault: string | null }
  | { readonly kind: 'warning'; readonly message: string };
