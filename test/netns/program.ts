/** Programs that the tests run beside the daemon, in namespaces. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot, startInNamespace } from './namespaces.js';

const READY_MS = 10_000;

/** A program that prints one JSON document: one of bench/peers, or a script for Node.js. */
export class Program {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = '';
  #errors = '';

  constructor(namespace: string, name: string, words: readonly string[]) {
    this.#name = name;
    const command = name.endsWith('.js')
      ? [process.execPath, name]
      : [join(packageRoot(), 'bench', 'peers', 'build', name)];
    this.#child = startInNamespace(namespace, command[0]!, [...command.slice(1), ...words]);
    this.#child.stdout!.on('data', (part) => (this.#output += part));
    this.#child.stderr!.on('data', (part) => (this.#errors += part));
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  /** Throws when the program has not said that it is ready. */
  async ready(): Promise<void> {
    const endMs = performance.now() + READY_MS;
    while (!this.#errors.includes('ready')) {
      if (this.#child.exitCode !== null || performance.now() > endMs)
        throw new Error(`${this.#name} is not ready: ${this.#errors}`);
      await sleep(10);
    }
  }

  stop(): void {
    this.#child.kill('SIGTERM');
  }

  async result(): Promise<unknown> {
    await this.#ended;
    if (this.#output === '') throw new Error(`${this.#name}: ${this.#errors}`);
    return JSON.parse(this.#output);
  }
}
