/** System tools: run to their end, or kept running until the lab is over. */
import { type ChildProcess, spawn } from 'node:child_process';
import { WeirError } from '../errors.js';

const COMMAND_TIMEOUT_MS = 20_000;
/** A process that does not heed SIGTERM is killed after this. */
const TERM_PATIENCE_MS = 6000;
/** Of what a process has said, this much is kept for an error message. */
const TAIL_CHARACTERS = 2000;

const ENV = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };

/**
 * The command at another priority: how much of a CPU it gets when several want it, from -20 (most) to 19.
 *
 * In the lab weir's workers, the programs that load them and those that measure share the same few CPUs, as they never
 * would elsewhere. A worker that waits for its turn behind iperf3 would be measured as one that shapes badly.
 */
export function atNice(nice: number, command: readonly string[]): string[] {
  return ['nice', '-n', String(nice), ...command];
}

/** What the tool prints. Throws E_LAB_COMMAND with its last words when it fails. `input` goes to its stdin. */
export async function run(command: readonly string[], input = ''): Promise<string> {
  const child = launch(command, 'pipe');
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A tool that ends without reading its input is no fault of ours.
  child.stdin!.on('error', () => {});
  child.stdin!.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      stderr += error.message;
      resolve(127);
    });
    child.on('close', (exitCode) => resolve(exitCode ?? 1));
  });
  clearTimeout(timer);
  if (code !== 0) throw commandFailed(command, stderr.trim() || `exit code ${code}`);
  return stdout;
}

/**
 * In a process group of its own: Ctrl-C at a terminal goes to all of the terminal's group, and it is the lab that
 * ends what it has started, in the right order.
 */
function launch(command: readonly string[], stdin: 'pipe' | 'ignore'): ChildProcess {
  const [file, ...args] = command;
  return spawn(file!, args, { env: ENV, stdio: [stdin, 'pipe', 'pipe'], detached: true });
}

/** A process that runs beside the lab, with the end of what it has said. */
export class Helper {
  readonly exited: Promise<number>;
  private exitCode: number | null = null;
  private tail = '';
  private readonly child: ChildProcess;
  private readonly command: readonly string[];

  /** `onOutput` gets what the process prints, as it comes. */
  constructor(command: readonly string[], onOutput: (text: string) => void = () => {}) {
    this.command = command;
    this.child = launch(command, 'ignore');
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.keep(text);
      onOutput(text);
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.keep(text));
    this.exited = new Promise((resolve) => {
      const end = (code: number): void => {
        this.exitCode ??= code;
        resolve(code);
      };
      this.child.on('error', (error) => {
        this.keep(error.message);
        end(127);
      });
      this.child.on('close', (code) => end(code ?? 1));
    });
  }

  get isRunning(): boolean {
    return this.exitCode === null;
  }

  get lastWords(): string {
    return this.tail.trim();
  }

  /** Throws E_LAB_COMMAND if the process has ended. */
  assertRunning(): void {
    if (!this.isRunning) throw commandFailed(this.command, this.lastWords || `exit code ${this.exitCode}`);
  }

  /** Asks it to end, later makes it; done when it has. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), TERM_PATIENCE_MS);
    await this.exited;
    clearTimeout(timer);
  }

  private keep(text: string): void {
    this.tail = (this.tail + text).slice(-TAIL_CHARACTERS);
  }
}

function commandFailed(command: readonly string[], message: string): WeirError {
  return new WeirError('E_LAB_COMMAND', `${command.join(' ')}: ${message}`);
}
