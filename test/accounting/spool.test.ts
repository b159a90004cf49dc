/** The file: what it keeps, who may have it, and what happens when it is damaged, foreign or full. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Span } from '../../src/accounting/intervals.js';
import { Spool } from '../../src/accounting/spool.js';
import { WeirError } from '../../src/errors.js';
import { makeRng } from '../oracle/random-tree.js';
import { amountsOf, type Four, Sums, seedOf, withFolder } from './parts.js';

const test = suite('spool');
const MINUTE = 60_000;
const NOON = Date.UTC(2026, 0, 31, 12);
const HOLDER = fileURLToPath(new URL('./spool-holder.js', import.meta.url));

interface Opened {
  readonly spool: Spool;
  readonly warnings: string[];
}

function open(path: string, bytesMax = 2 ** 30): Opened {
  const warnings: string[] = [];
  const spool = new Spool({ path, bytesMax, intervalMs: MINUTE, warn: (message) => warnings.push(message) });
  return { spool, warnings };
}

function span(fromMs: number, lengthMs = 1000): Span {
  return { fromMs, untilMs: fromMs + lengthMs, nextMs: fromMs + lengthMs };
}

/** Takes everything out, as the courier does. */
function drain(spool: Spool): Sums {
  const sums = new Sums();
  for (let batch = spool.head(); batch !== null; batch = spool.head()) {
    sums.addRows(batch.rows);
    spool.remove(batch.id);
  }
  return sums;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof WeirError && !error.message.includes('\n')) return error.code;
    throw error;
  }
  return 'none';
}

test('checkpoints add up in their interval, which is closed at its end', () => {
  withFolder((folder) => {
    const { spool } = open(join(folder, 'sub', 'usage.db'));
    const record = (number: number, fromMs: number, four: Four): boolean =>
      spool.record({ run: 'r', number, span: span(fromMs), amounts: amountsOf({ u1: four }) });
    assert.not(record(1, NOON, [10, 1, 0, 0]));
    assert.not(record(2, NOON + 1000, [5, 1, 3, 1]));
    assert.is(spool.head(), null);
    assert.ok(record(3, NOON + 59_500, [1, 1, 0, 0]), 'it reaches over the end');
    const batch = spool.head()!;
    assert.equal([batch.startMs, batch.endMs], [NOON, NOON + MINUTE]);
    assert.equal(batch.rows, [
      { subscriber: 'u1', direction: 'down', bytes: 16, packets: 3 },
      { subscriber: 'u1', direction: 'up', bytes: 3, packets: 1 },
    ]);
    assert.equal(spool.head(), batch, 'it stays until it is removed');
    spool.remove(batch.id);
    assert.is(spool.head(), null);
    spool.close();
  });
});

test('an interval is closed by a later checkpoint without traffic, and after a large step back', () => {
  withFolder((folder) => {
    const { spool } = open(join(folder, 'usage.db'));
    const amounts = amountsOf({ u1: [1, 1, 0, 0] });
    const none = amountsOf({});
    spool.record({ run: 'r', number: 1, span: span(NOON), amounts });
    assert.ok(spool.record({ run: 'r', number: 2, span: span(NOON + 1000, MINUTE), amounts: none }));
    spool.record({ run: 'r', number: 3, span: span(NOON + 2 * MINUTE), amounts });
    const back = NOON - 600 * MINUTE;
    const step: Span = { fromMs: NOON + 2 * MINUTE + 1000, untilMs: NOON + 2 * MINUTE + 2000, nextMs: back };
    assert.ok(spool.record({ run: 'r', number: 4, span: step, amounts }));
    spool.record({ run: 'r', number: 5, span: span(back), amounts });
    spool.closeInterval();
    const starts = [];
    for (let batch = spool.head(); batch !== null; batch = spool.head()) {
      starts.push(batch.startMs);
      assert.ok(batch.endMs === batch.startMs + MINUTE);
      spool.remove(batch.id);
    }
    assert.equal(starts, [NOON, NOON + 2 * MINUTE, back]);
    spool.close();
  });
});

test('a checkpoint that comes again changes nothing, also after the file was opened anew', () => {
  withFolder((folder) => {
    const path = join(folder, 'usage.db');
    const checkpoint = { run: 'r', number: 7, span: span(NOON), amounts: amountsOf({ u1: [9, 1, 0, 0] }) };
    let { spool } = open(path);
    spool.record(checkpoint);
    spool.record(checkpoint);
    spool.close();
    ({ spool } = open(path));
    spool.record(checkpoint);
    spool.record({ ...checkpoint, run: 'another run', number: 1 });
    spool.closeInterval();
    assert.equal(drain(spool).plain(), [['u1', [18, 2, 0, 0]]]);
    spool.close();
  });
});

test('many parts of one interval are folded, and nothing is lost by it', () => {
  withFolder((folder) => {
    const { spool } = open(join(folder, 'usage.db'));
    for (let number = 1; number <= 500; number++) {
      const amounts = amountsOf({ [`u${number % 3}`]: [number, 1, 0, 0] });
      spool.record({ run: 'r', number, span: span(NOON + number, 1), amounts });
    }
    spool.closeInterval();
    const sum = drain(spool).plain();
    assert.is(
      sum.reduce((total, [, four]) => total + four[0], 0),
      (500 * 501) / 2,
    );
    spool.close();
  });
});

test('beyond its bounds old intervals are merged: sums stay, and the oldest batch is left alone', () => {
  withFolder((folder) => {
    const seed = seedOf('spool');
    const rng = makeRng(seed);
    const bytesMax = 6000;
    const { spool, warnings } = open(join(folder, 'usage.db'), bytesMax);
    const counted = new Sums();
    let first = '';
    for (let number = 1; number <= 300; number++) {
      const entries: Record<string, Four> = {};
      for (let i = 0; i < 30; i++)
        entries[`user${rng.int(40)}`] = [rng.logInt(1, 2 ** 30), 1 + rng.int(9), 0, 5];
      const amounts = amountsOf(entries);
      counted.addAmounts(amounts);
      spool.record({ run: 'r', number, span: span(NOON + number * MINUTE, MINUTE), amounts });
      if (number === 1) first = spool.head()!.id;
    }
    assert.ok(spool.closedCount < 20, `${spool.closedCount} batches`);
    assert.is(warnings.length, 1, warnings.join());
    assert.match(warnings[0]!, /merged/);
    const oldest = spool.head()!;
    assert.is(oldest.id, first);
    assert.is(oldest.endMs - oldest.startMs, MINUTE);
    const found = new Sums();
    let reachedMs = 0;
    for (let batch = spool.head(); batch !== null; batch = spool.head()) {
      assert.ok(batch.startMs >= reachedMs, 'in order and not overlapping');
      reachedMs = batch.endMs;
      found.addRows(batch.rows);
      spool.remove(batch.id);
    }
    assert.equal(found.plain(), counted.plain(), `WEIR_SEED=${seed}`);
    spool.close();
  });
});

test('a second daemon is told that the spool is taken, until the first has been killed', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'usage.db');
    const holder = fork(HOLDER, [path], { stdio: 'inherit' });
    try {
      await once(holder, 'message');
      assert.is(
        codeOf(() => open(path)),
        'E_SPOOL_BUSY',
      );
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
      const { spool, warnings } = open(path);
      assert.equal(warnings, []);
      assert.equal(drain(spool).plain(), [['held', [1, 1, 0, 0]]], 'what the killed one had open is closed');
      spool.close();
    } finally {
      holder.kill('SIGKILL');
    }
  });
});

function fill(path: string): void {
  const { spool } = open(path);
  for (let number = 1; number <= 50; number++) {
    const entries: Record<string, Four> = {};
    for (let i = 0; i < 200; i++) entries[`user${i}`] = [number, 1, 1, 1];
    spool.record({
      run: 'r',
      number,
      span: span(NOON + number * MINUTE, MINUTE),
      amounts: amountsOf(entries),
    });
  }
  spool.close();
}

const DAMAGES: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ['no database at all', () => Buffer.from('subscriber,bytes\n'.repeat(500))],
  ['cut off', (bytes) => bytes.subarray(0, bytes.length >> 1)],
  [
    'a page of noise',
    (bytes) => Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(8192, 0xa5), bytes.subarray(16384)]),
  ],
  ['a header of noise', (bytes) => Buffer.concat([Buffer.alloc(100, 0xa5), bytes.subarray(100)])],
];

for (const [name, damage] of DAMAGES) {
  test(`a damaged spool is moved aside with a warning: ${name}`, () => {
    withFolder((folder) => {
      const path = join(folder, 'usage.db');
      fill(path);
      const damaged = damage(readFileSync(path));
      writeFileSync(path, damaged);
      const { spool, warnings } = open(path);
      assert.is(warnings.length, 1, warnings.join('; '));
      assert.match(
        warnings[0]!,
        /^the usage spool .* is damaged \(.*\); moved to .*, going on with a new one$/,
      );
      const aside = readdirSync(folder).find((file) => file.includes('.damaged-'));
      assert.ok(readFileSync(join(folder, aside!)).equals(damaged), 'it is kept as it was');
      spool.record({ run: 'r', number: 1, span: span(NOON), amounts: amountsOf({ u1: [1, 1, 0, 0] }) });
      spool.closeInterval();
      assert.equal(drain(spool).plain(), [['u1', [1, 1, 0, 0]]]);
      spool.close();
    });
  });
}

test('amounts that are none are damage too, when they are met while the spool is in use', () => {
  withFolder((folder) => {
    const path = join(folder, 'usage.db');
    fill(path);
    const db = new Database(path);
    db.exec("UPDATE parts SET body = x'ffff' WHERE number = (SELECT min(number) FROM parts)");
    db.close();
    const { spool, warnings } = open(path);
    assert.equal(warnings, []);
    assert.is(spool.head(), null);
    assert.is(warnings.length, 1);
    spool.record({ run: 'r', number: 1, span: span(NOON), amounts: amountsOf({ u1: [1, 1, 0, 0] }) });
    spool.close();
  });
});

test("somebody else's database is left alone", () => {
  withFolder((folder) => {
    const path = join(folder, 'users.db');
    const db = new Database(path);
    db.exec('CREATE TABLE users (id TEXT)');
    db.close();
    const before = readFileSync(path);
    assert.is(
      codeOf(() => open(path)),
      'E_SPOOL',
    );
    assert.ok(readFileSync(path).equals(before));
    assert.equal(readdirSync(folder), ['users.db']);
  });
});

test('a path that cannot be used is an error of one line', () => {
  withFolder((folder) => {
    writeFileSync(join(folder, 'file'), '');
    assert.is(
      codeOf(() => open(join(folder, 'file', 'usage.db'))),
      'E_SPOOL',
    );
    assert.is(
      codeOf(() => open(folder)),
      'E_SPOOL',
    );
  });
});

test('only its owner can read the spool', () => {
  withFolder((folder) => {
    const path = join(folder, 'usage.db');
    const { spool } = open(path);
    spool.record({ run: 'r', number: 1, span: span(NOON), amounts: amountsOf({ u1: [1, 1, 0, 0] }) });
    for (const file of [path, `${path}-wal`]) {
      assert.ok(existsSync(file));
      assert.is(statSync(file).mode & 0o777, 0o600, file);
    }
    spool.close();
  });
});

test.run();
