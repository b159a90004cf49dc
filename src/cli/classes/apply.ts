/** The verbs `weir classes plan` and `weir classes apply`: the running daemon reads, compares and publishes. */
import type { Refusal } from '../../../classes/difference.js';
import { formatRefusal } from '../../control/class-feed.js';
import { ask, RefusedError } from '../../control/client.js';
import { controlSocket } from '../control-socket.js';
import { printError, printText } from '../output.js';
import { targetOf } from './target.js';

export interface ApplyArguments {
  readonly config?: string;
  readonly socket?: string;
  readonly json?: boolean;
  readonly force?: boolean;
}

/** What the API answers when it is asked for text. */
interface TextReport {
  readonly epoch: number;
  readonly text: string;
  readonly refusal: Refusal | null;
  readonly warnings: readonly string[];
}

/** A daemon with a million classes reads them for so long. */
export const APPLY_TIMEOUT_MS = 120_000;

/** Returns the exit code; throws WeirError. */
export async function runPlan(source: string | undefined, options: ApplyArguments): Promise<number> {
  const text = await send('/classes/plan', source, options);
  if (text === null) return 2;
  if (options.json === true) return printed(text);
  const report = JSON.parse(text) as TextReport;
  for (const warning of report.warnings) printError('W_CLASSES', warning);
  await printText(`${report.text}\n`);
  if (report.refusal !== null) printError('W_GUARD', formatRefusal(report.refusal));
  return 0;
}

/** Returns the exit code; throws WeirError, and nothing has changed then. */
export async function runApply(source: string | undefined, options: ApplyArguments): Promise<number> {
  const text = await send('/classes/apply', source, options);
  if (text === null) return 2;
  if (options.json === true) return printed(text);
  const report = JSON.parse(text) as TextReport;
  for (const warning of report.warnings) printError('W_CLASSES', warning);
  await printText(`${report.text}\nin force as epoch ${report.epoch}\n`);
  return 0;
}

/** The daemon's answer, or null after errors have been printed. Without a source it is the daemon's own. */
async function send(
  path: string,
  source: string | undefined,
  options: ApplyArguments,
): Promise<string | null> {
  const socket = controlSocket(options);
  if (socket === null) return null;
  const body = {
    source: source === undefined ? null : targetOf(source, options.config),
    force: options.force === true,
    text: options.json !== true,
  };
  try {
    return await ask(socket, path, { method: 'POST', body, timeoutMs: APPLY_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    // All but the last here; the last ends the verb.
    for (const line of error.lines.slice(0, -1)) printError(error.code, line);
    throw new RefusedError(error.code, error.lines.at(-1)!, [], error.exitCode);
  }
}

async function printed(text: string): Promise<number> {
  await printText(text);
  return 0;
}
