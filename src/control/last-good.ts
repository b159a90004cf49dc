/**
 * The last good classes of a database, on disk: a daemon that starts while the database is away shapes with them. A host that
 * comes up before its database does must not leave everybody unshaped until then.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { writeTreeFile } from '../../classes/formats/tree-export.js';
import type { ClassTree } from '../../classes/model.js';
import { loadClassTreeFile } from '../../classes/tree-file.js';
import type { Logger } from './log.js';

/** A tree of 24,000 classes takes some 0.2 s of the control thread's time, in pieces. */
const SAVE_EVERY_MS = 60_000;
/** The first one soon, for daemons that do not live long. */
const SAVE_FIRST_MS = 2000;

export class LastGood {
  readonly #path: string;
  readonly #log: Logger;
  #tree: ClassTree | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #waitMs = SAVE_FIRST_MS;
  #hasFailed = false;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Of one source; `label` is its address without a password. */
  static pathOf(folder: string, label: string): string {
    const name = createHash('sha256').update(label).digest('hex').slice(0, 12);
    return join(folder, `classes-${name}.json`);
  }

  /** The classes that were saved last; null when there are none, or not a sound file. */
  static load(path: string): ClassTree | null {
    try {
      return loadClassTreeFile(path).tree;
    } catch {
      return null;
    }
  }

  /** Notes what is in force; it is written before long. */
  note(tree: ClassTree): void {
    this.#tree = tree;
    this.#timer ??= setTimeout(() => void this.#save(), this.#waitMs).unref();
  }

  /** Writes what has been noted and not written yet. */
  async stop(): Promise<void> {
    if (this.#timer !== null) await this.#save();
    await this.#writing;
  }

  #save(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waitMs = SAVE_EVERY_MS;
    this.#writing = this.#writing.then(() => this.#write(this.#tree!));
    return this.#writing;
  }

  /** Never rejects: it is told once, and shaping goes on. */
  async #write(tree: ClassTree): Promise<void> {
    const temporary = `${this.#path}.new`;
    try {
      await mkdir(dirname(this.#path), { recursive: true });
      await pipeline(
        Readable.from(writeTreeFile(tree, 'json')),
        createWriteStream(temporary, { mode: 0o600, flush: true }),
      );
      await rename(temporary, this.#path);
      this.#hasFailed = false;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      if (!this.#hasFailed)
        this.#log.warn({ reason: (error as Error).message }, 'the last good classes are not saved');
      this.#hasFailed = true;
    }
  }
}
