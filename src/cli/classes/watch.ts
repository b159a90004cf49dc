/** The verb `weir classes watch`: follows a source from outside the daemon. */
import {
  audit,
  concatMap,
  defer,
  from,
  fromEvent,
  lastValueFrom,
  merge,
  NEVER,
  retry,
  takeUntil,
  timer,
} from 'rxjs';
import { openSource } from '../../../classes/source/open.js';
import type { SourceSpec } from '../../../classes/source/source.js';
import { ask, RefusedError } from '../../control/client.js';
import { usageError, WeirError } from '../../errors.js';
import { controlSocket } from '../control-socket.js';
import { printError, printJson, printText } from '../output.js';
import { targetOf } from './target.js';

export interface WatchArguments {
  readonly config?: string;
  readonly socket?: string;
  readonly json?: boolean;
  readonly seconds?: string;
}

interface Applied {
  readonly epoch: number;
  readonly counts: Readonly<Record<'added' | 'removed' | 'moved' | 'changed', number>>;
}

/** Changes that come together are applied together. */
const GATHER_MS = 20;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 30_000;

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
  const changes$ = defer(() => source.changes$).pipe(
    audit(() => timer(GATHER_MS)),
    concatMap(() => from(applyOnce(socket, spec, options.json === true))),
    retry({
      delay: (error: unknown, attempt) => {
        if (error instanceof WeirError) printError(error.code, error.message);
        else throw error;
        return timer(Math.min(RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 16), RETRY_MAX_MS));
      },
      resetOnSuccess: true,
    }),
    takeUntil(end$),
  );
  try {
    await lastValueFrom(changes$, { defaultValue: undefined });
    return 0;
  } finally {
    await source.close();
  }
}

/** Prints what has changed, if anything has. What the daemon refuses is told, and the next change is waited for. */
async function applyOnce(socket: string, source: SourceSpec, isJson: boolean): Promise<void> {
  try {
    const text = await ask(socket, '/classes/apply', { method: 'POST', body: { source } });
    const applied = JSON.parse(text) as Applied;
    const { added, removed, moved, changed } = applied.counts;
    if (added + removed + moved + changed === 0) return;
    if (isJson) await printJson(applied);
    else
      await printText(
        `epoch ${applied.epoch}: ${added} added, ${removed} removed, ${moved} moved, ${changed} changed\n`,
      );
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    for (const line of error.lines) printError(error.code, line);
  }
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds > 0 && seconds < 2 ** 31 / 1000) return seconds;
  throw usageError('E_USAGE', `--seconds must be a number above 0, not '${text}'`);
}
