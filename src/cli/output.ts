/** What all verbs say alike: errors are one line each on stderr, `weir: CODE: message`. */
import { CommanderError } from 'commander';
import { WeirError } from '../errors.js';

/** Writes one line; line breaks inside the message would make it look like several errors. */
export function printError(code: string, message: string): void {
  process.stderr.write(`weir: ${code}: ${message.replace(/\s*\n\s*/g, ' ').trim()}\n`);
}

/** Reports what ended a verb and returns the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof WeirError) {
    printError(error.code, error.message);
    return error.exitCode;
  }
  if (error instanceof CommanderError) {
    printError('E_USAGE', usageMessage(error));
    return 2;
  }
  printError('E_INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

/** Prints a document as the only thing on stdout, and waits until a pipe has taken it. */
export function printJson(document: unknown): Promise<void> {
  return printText(`${JSON.stringify(document)}\n`);
}

export function printText(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

function usageMessage(error: CommanderError): string {
  // Nothing but verbs have been named, and the last of them has verbs below it.
  if (error.code === 'commander.help')
    return `a verb is needed; '${['weir', ...process.argv.slice(2)].join(' ')} help' lists them`;
  return error.message.replace(/^error: /, '');
}
