/**
 * The one kind of error the control plane throws on purpose. `code` is stable and starts with `E_`;
 * `exitCode` is what a verb ends with: 1 it failed, 2 wrong usage or configuration.
 */
export class WeirError extends Error {
  readonly code: string;
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WeirError';
    this.code = code;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A user's mistake in an argument, a file or a setting: exit code 2. */
export function usageError(code: string, message: string, cause?: unknown): WeirError {
  return new WeirError(code, message, { exitCode: 2, cause });
}
