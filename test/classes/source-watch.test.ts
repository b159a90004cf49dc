import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom, Subject, type Subscription, timeout, VirtualTimeScheduler } from 'rxjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { watchFiles } from '../../classes/source/file-watch.js';

/** Nothing the kernel tells takes longer; a test that comes to this fails. */
const WAIT_MAX_MS = 10_000;

interface Context {
  folder: string;
  path: string;
}

const test = suite<Context>('source-watch');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'weir-watch-'));
  context.path = join(context.folder, 'tree.json');
  writeFileSync(context.path, 'one');
});

test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

/** A watch in virtual time that lives on its polls: no test below lets the kernel's events in. */
class PolledWatch {
  count = 0;
  readonly #scheduler = new VirtualTimeScheduler();
  readonly #subscription: Subscription;
  #nowMs = 0;

  constructor(...paths: string[]) {
    this.#subscription = watchFiles(paths, { scheduler: this.#scheduler }).subscribe(() => this.count++);
  }

  /** How many times it has emitted in these milliseconds. */
  advance(ms: number): number {
    const before = this.count;
    this.#nowMs += ms;
    this.#scheduler.maxFrames = this.#nowMs;
    this.#scheduler.flush();
    this.#scheduler.frame = this.#nowMs;
    return this.count - before;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }
}

test('emits when the watch stands, and then no more while nothing changes', ({ path }) => {
  const watch = new PolledWatch(path);
  assert.is(watch.count, 1);
  assert.is(watch.advance(10_000), 0);
  watch.stop();
});

test('a change is told when the file has rested', ({ path }) => {
  const watch = new PolledWatch(path);
  writeFileSync(path, 'three');
  assert.is(watch.advance(1049), 0);
  assert.is(watch.advance(1), 1);
  assert.is(watch.advance(10_000), 0);
  watch.stop();
});

test('a file that is being written is waited for', ({ path }) => {
  const watch = new PolledWatch(path);
  writeFileSync(path, 'x');
  watch.advance(1040);
  for (let length = 2; length < 6; length++) {
    writeFileSync(path, 'x'.repeat(length));
    assert.is(watch.advance(50), 0, `at length ${length}`);
  }
  assert.is(watch.advance(50), 1);
  watch.stop();
});

test('a file of the same size and time in its place, and one whose time was set back', ({ folder, path }) => {
  const watch = new PolledWatch(path);
  const other = join(folder, 'other');
  writeFileSync(other, 'two');
  utimesSync(other, 1e9, 1e9);
  utimesSync(path, 1e9, 1e9);
  assert.is(watch.advance(1100), 1);
  renameSync(other, path);
  assert.is(watch.advance(1100), 1);
  writeFileSync(path, 'six');
  utimesSync(path, 1e9, 1e9);
  assert.is(watch.advance(1100), 1);
  watch.stop();
});

test('coming, going, and a folder that was not there', ({ folder }) => {
  const path = join(folder, 'deep', 'network.json');
  const watch = new PolledWatch(path);
  assert.is(watch.advance(3000), 0);
  mkdirSync(join(folder, 'deep'));
  writeFileSync(path, '{}');
  assert.is(watch.advance(1100), 1);
  rmSync(path);
  assert.is(watch.advance(1100), 1);
  watch.stop();
});

test('two files are one source', ({ folder, path }) => {
  const second = join(folder, 'network.json');
  const watch = new PolledWatch(path, second);
  writeFileSync(second, '{}');
  assert.is(watch.advance(1100), 1);
  writeFileSync(second, '{ }');
  writeFileSync(path, 'three');
  assert.is(watch.advance(1100), 1);
  watch.stop();
});

test('nothing is told after the end', ({ path }) => {
  const watch = new PolledWatch(path);
  writeFileSync(path, 'three');
  watch.advance(1010);
  watch.stop();
  assert.is(watch.advance(10_000), 0);
});

for (const [name, change] of [
  ['written in place', (path: string) => writeFileSync(path, 'three')],
  [
    'renamed into place',
    (path: string) => {
      writeFileSync(`${path}.new`, 'four');
      renameSync(`${path}.new`, path);
    },
  ],
  [
    'deleted and created',
    (path: string) => {
      rmSync(path);
      writeFileSync(path, 'five');
    },
  ],
] as const) {
  test(`the kernel tells at once of a file ${name}`, async ({ path }) => {
    // Polls are an hour apart, so whatever comes was told by the kernel.
    const events = new Subject<void>();
    const watch = watchFiles([path], { pollMs: 3_600_000, restMs: 5 }).subscribe(events);
    const next = firstValueFrom(events.pipe(timeout(WAIT_MAX_MS)));
    change(path);
    await next;
    watch.unsubscribe();
  });
}

test.run();
