/**
 * Tells when files have changed and are at rest again.
 *
 * The folder is watched and not the file, for editors and `mv` put a new file in the old one's place, which a watch on the
 * old one would never see. A look at the files once a second catches what the kernel does not report: network file systems, a
 * folder that was replaced, too many watches. Whatever woke us, only size, times and inode decide.
 */
import { type FSWatcher, type Stats, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { asyncScheduler, Observable, type SchedulerLike, type Subscriber, type Subscription } from 'rxjs';

export interface FileWatchOptions {
  readonly scheduler?: SchedulerLike;
  /** From one look at the files to the next where the kernel tells nothing. */
  readonly pollMs?: number;
  /** Files that have not changed for so long are at rest: nobody is in the midst of writing them. */
  readonly restMs?: number;
}

const POLL_MS = 1000;
const REST_MS = 50;

/** Emits when the watch stands, and after each change of one of the files, their coming and going included. Never errors. */
export function watchFiles(paths: readonly string[], options: FileWatchOptions = {}): Observable<void> {
  return new Observable((out) => {
    const files = new FileWatch(paths, out, options);
    files.start();
    return () => files.stop();
  });
}

interface FolderWatch {
  readonly names: ReadonlySet<string>;
  watcher: FSWatcher | null;
  /** of the folder that is watched */
  identity: string;
}

class FileWatch {
  readonly #paths: readonly string[];
  readonly #out: Subscriber<void>;
  readonly #scheduler: SchedulerLike;
  readonly #pollMs: number;
  readonly #restMs: number;
  readonly #folders = new Map<string, FolderWatch>();
  /** The files as they were when last told of. */
  #told = '';
  /** The files as they are now, while they have to rest; null when nothing is to be told. */
  #resting: string | null = null;
  #restTimer: Subscription | null = null;
  #pollTimer: Subscription | null = null;

  constructor(paths: readonly string[], out: Subscriber<void>, options: FileWatchOptions) {
    this.#paths = paths;
    this.#out = out;
    this.#scheduler = options.scheduler ?? asyncScheduler;
    this.#pollMs = options.pollMs ?? POLL_MS;
    this.#restMs = options.restMs ?? REST_MS;
    for (const path of paths) {
      const folder = dirname(path);
      const names = new Set(this.#folders.get(folder)?.names).add(basename(path));
      this.#folders.set(folder, { names, watcher: null, identity: '' });
    }
  }

  start(): void {
    this.#watchFolders();
    this.#told = this.#signature();
    this.#poll();
    this.#out.next();
  }

  stop(): void {
    this.#restTimer?.unsubscribe();
    this.#pollTimer?.unsubscribe();
    for (const folder of this.#folders.values()) folder.watcher?.close();
    this.#folders.clear();
  }

  #poll(): void {
    this.#pollTimer = this.#scheduler.schedule(() => {
      this.#watchFolders();
      this.#look();
      this.#poll();
    }, this.#pollMs);
  }

  #look(): void {
    const now = this.#signature();
    if (now === this.#resting) return;
    this.#restTimer?.unsubscribe();
    this.#resting = now === this.#told ? null : now;
    if (this.#resting === null) return;
    this.#restTimer = this.#scheduler.schedule(() => this.#endRest(), this.#restMs);
  }

  #endRest(): void {
    const now = this.#signature();
    if (now !== this.#resting) {
      this.#look();
      return;
    }
    this.#told = now;
    this.#resting = null;
    this.#out.next();
  }

  /** Watches folders that are not watched yet, and those that are other ones by now. */
  #watchFolders(): void {
    for (const [path, folder] of this.#folders) {
      const identity = describe(path, ({ dev, ino }) => `${dev}:${ino}`);
      if (folder.watcher !== null && folder.identity === identity) continue;
      folder.watcher?.close();
      folder.identity = identity;
      folder.watcher = this.#watchFolder(path, folder);
    }
  }

  /** Null where the folder cannot be watched; then the polls have to do. */
  #watchFolder(path: string, folder: FolderWatch): FSWatcher | null {
    try {
      const watcher = watch(path, (_event, name) => {
        if (name === null || folder.names.has(name)) this.#look();
      });
      watcher.on('error', () => {
        watcher.close();
        folder.watcher = null;
      });
      return watcher;
    } catch {
      return null;
    }
  }

  #signature(): string {
    return signatureOfFiles(this.#paths);
  }
}

/** Differs after any change of the files, but for one of the same size within a tick of the file system's clock. */
export function signatureOfFiles(paths: readonly string[]): string {
  return paths.map((path) => describe(path, signatureOf)).join(' ');
}

/** The time of the last change of the inode moves also where a tool sets the time of modification back. */
function signatureOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

function describe(path: string, how: (stats: Stats) => string): string {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? 'none' : how(stats);
  } catch {
    return 'unreadable';
  }
}
