/** A class tree in files: the tree file, LibreQoS's two files, or scripts of tc. */
import { statSync } from 'node:fs';
import { defer, type Observable, share } from 'rxjs';
import { areEqualClasses } from '../difference.js';
import type { ClassSpec, ClassTree } from '../model.js';
import { NO_SETTINGS, type QueueSettings } from '../queue.js';
import { areEqualSettings } from '../queue-table.js';
import { type FileSet, filesOf, type ReadOptions, readFiles } from './file-formats.js';
import { type FileWatchOptions, signatureOfFiles, watchFiles } from './file-watch.js';
import { linesOf } from './lines.js';
import type { ClassSource, SourceResult } from './source.js';

/** More than a tick of any file system's clock. */
const OLD_MS = 100;
const NOBODY: ReadonlySet<string> = new Set();

export class FileSource implements ClassSource {
  readonly label: string;
  readonly changes$: Observable<void>;
  readonly #files: FileSet;
  readonly #options: ReadOptions;
  /** The files as they were when last read, and what was in them. */
  #read: { readonly signature: string; readonly result: SourceResult } | null = null;
  /** Of the last good load, so that classes which did not change stay the same objects. */
  #last: readonly ClassSpec[] = [];
  #lastQueue: QueueSettings = NO_SETTINGS;

  /** Throws a usage error, E_CLASSES_FORMAT, for a name whose ending says nothing. */
  constructor(path: string, options: ReadOptions = {}, watchOptions: FileWatchOptions = {}) {
    this.label = path;
    this.#files = filesOf(path);
    this.#options = options;
    this.changes$ = defer(() => watchFiles(this.#files.paths, watchOptions)).pipe(share());
  }

  /** Reads everything if anything changed: only parsing tells what. */
  async load(): Promise<SourceResult> {
    const signature = signatureOfFiles(this.#files.paths);
    if (this.#read?.signature === signature) return this.#read.result;
    const result = await this.#load();
    this.#read = this.#areOld() ? { signature, result } : null;
    return result;
  }

  async #load(): Promise<SourceResult> {
    const { tree, problems } = await readFiles(this.#files.paths, this.#files.format, this.#options);
    return {
      tree: tree === null ? null : this.#keep(tree),
      ...linesOf(problems, this.label),
      expired: NOBODY,
      nextExpiryMs: null,
    };
  }

  invalidate(): void {
    this.#read = null;
  }

  async close(): Promise<void> {}

  /** A file that was written just now may be written again within the same tick of its clock. */
  #areOld(): boolean {
    const beforeMs = Date.now() - OLD_MS;
    return this.#files.paths.every(
      (path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < beforeMs,
    );
  }

  #keep(tree: ClassTree): ClassTree {
    const last = this.#last;
    let byId: Map<string, ClassSpec> | null = null;
    const classes = tree.classes.map((spec, at) => {
      // In an edited file most classes stand where they stood; the map of a million is made only when it is needed.
      let before: ClassSpec | undefined = last[at];
      if (last.length > 0 && before?.id !== spec.id) {
        byId ??= new Map(last.map((one) => [one.id, one]));
        before = byId.get(spec.id);
      }
      return before !== undefined && areEqualClasses(before, spec) ? before : spec;
    });
    this.#last = classes;
    if (!areEqualSettings(this.#lastQueue, tree.queue)) this.#lastQueue = tree.queue;
    return { ...tree, queue: this.#lastQueue, classes };
  }
}
