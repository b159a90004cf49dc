/** Runs the compiled command as users do. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function weir(...args: string[]): Outcome {
  return weirWith({}, ...args);
}

/** The same with more in its environment. */
export function weirWith(variables: Readonly<Record<string, string>>, ...args: string[]): Outcome {
  const env = { ...process.env, ...variables };
  const child = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000, env });
  return { code: child.status, stdout: child.stdout, stderr: child.stderr };
}
