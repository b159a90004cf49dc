/** The verb `weir classes watch`: follows a source from outside the daemon. */
import {
  audit,
  BehaviorSubject,
  concatMap,
  defer,
  fromEvent,
  lastValueFrom,
  merge,
  NEVER,
  type Observable,
  retry,
  takeUntil,
  timer,
} from 'rxjs';
import { openSource } from '../../../classes/source/open.js';
import type { SourceSpec } from '../../../classes/source/source.js';
import { ask, RefusedError } from '../../control/client.js';
import { atTime, retryMs } from '../../control/source-timing.js';
import { usageError, WeirError } from '../../errors.js';
import { controlSocket } from '../control-socket.js';
import { printError, printJson, printText } from '../output.js';
import { APPLY_TIMEOUT_MS } from './apply.js';
import { targetOf } from './target.js';

export interface WatchArguments {
  readonly config?: string;
  readonly socket?: string;
  readonly json?: boolean;
  readonly seconds?: string;
}

interface Applied {
  readonly epoch: number;
  readonly counts: Readonly<Record<'added' | 'removed' | 'moved' | 'changed' | 'settings', number>>;
  readonly nextExpiryMs: number | null;
}

/** Changes that come together are applied together. */
const GATHER_MS = 20;
/** Lines of one refusal: the same table may be wrong in every row. */
const LINES_MAX = 10;

/** Applies every change until SIGINT, SIGTERM or the end of `seconds`. Returns the exit code; throws WeirError. */
export async function runWatch(name: string | undefined, options: WatchArguments): Promise<number> {
  const socket = controlSocket(options);
  if (socket === null) return 2;
  const spec = targetOf(name, options.config);
  const end$ = merge(
    fromEvent(process, 'SIGINT'),
    fromEvent(process, 'SIGTERM'),
    options.seconds === undefined ? NEVER : timer(secondsOf(options.seconds) * 1000),
  );
  const source = openSource(spec);
  const follower = new Follower(socket, spec, options.json === true);
  const applied$ = merge(
    defer(() => source.changes$),
    follower.expiry$,
  ).pipe(
    audit(() => timer(GATHER_MS)),
    concatMap(() => follower.apply()),
    retry({ delay: lost, resetOnSuccess: true }),
    takeUntil(end$),
  );
  try {
    await lastValueFrom(applied$, { defaultValue: undefined });
    return 0;
  } finally {
    await source.close();
  }
}

class Follower {
  /** Emits when an account expires. */
  readonly expiry$: Observable<unknown>;
  readonly #nextExpiryMs$ = new BehaviorSubject<number | null>(null);
  readonly #socket: string;
  readonly #source: SourceSpec;
  readonly #isJson: boolean;
  #lastRefusal = '';

  constructor(socket: string, source: SourceSpec, isJson: boolean) {
    this.#socket = socket;
    this.#source = source;
    this.#isJson = isJson;
    this.expiry$ = atTime(this.#nextExpiryMs$);
  }

  /** Prints what has changed, if anything has. What the daemon refuses is told once, and the next change is waited for. */
  async apply(): Promise<void> {
    try {
      const call = { method: 'POST', body: { source: this.#source }, timeoutMs: APPLY_TIMEOUT_MS } as const;
      const applied = JSON.parse(await ask(this.#socket, '/classes/apply', call)) as Applied;
      this.#lastRefusal = '';
      if (applied.nextExpiryMs !== this.#nextExpiryMs$.value) this.#nextExpiryMs$.next(applied.nextExpiryMs);
      if (Object.entries(applied.counts).every(([key, count]) => key === 'unchanged' || count === 0)) return;
      if (this.#isJson) await printJson(applied);
      else await printText(lineOf(applied));
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#tell(error);
    }
  }

  #tell({ code, lines }: RefusedError): void {
    const text = lines.join('\n');
    if (text === this.#lastRefusal) return;
    this.#lastRefusal = text;
    for (const line of lines.slice(0, LINES_MAX)) printError(code, line);
    if (lines.length > LINES_MAX) printError(code, `and ${lines.length - LINES_MAX} more`);
  }
}

function lineOf({ epoch, counts }: Applied): string {
  const { added, removed, moved, changed } = counts;
  return `epoch ${epoch}: ${added} added, ${removed} removed, ${moved} moved, ${changed} changed\n`;
}

/** Told, and tried again; what nobody foresaw ends the verb. */
function lost(error: unknown, attempt: number): Observable<0> {
  if (!(error instanceof WeirError)) throw error;
  printError(error.code, error.message);
  return timer(retryMs(attempt));
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds > 0 && seconds < 2 ** 31 / 1000) return seconds;
  throw usageError('E_USAGE', `--seconds must be a number above 0, not '${text}'`);
}
