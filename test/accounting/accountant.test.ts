/** The accountant with its real thread, spool and database; the clock is the test's. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../classes/stores/open.js';
import type { UsageRow } from '../../classes/stores/usage.js';
import { Accountant, type AccountantOptions } from '../../src/accounting/accountant.js';
import { WeirError } from '../../src/errors.js';
import { HandMeter, Sums, withFolder } from './parts.js';

const test = suite('accountant');
const NOON = Date.UTC(2026, 0, 31, 12);
/** For what processes and disks need; nothing waits that long unless it is broken. */
const UNTIL_MS = 20_000;

interface Rig {
  readonly accountant: Accountant;
  readonly meter: HandMeter;
  readonly log: string[];
  readonly database: string;
  readonly spool: string;
  wallMs: number;
}

/** `pace` may shorten what the accountant waits for. */
function rig(
  folder: string,
  options: Partial<AccountantOptions> = {},
  pace: (ms: number) => number = (ms) => ms,
): Rig {
  const log: string[] = [];
  const note = (message: string): void => void log.push(message);
  const database = join(folder, 'users.db');
  const meter = new HandMeter();
  const spool = options.spool ?? join(folder, 'usage.db');
  const self = { wallMs: NOON, meter, log, database, spool };
  const accountant = new Accountant({
    store: { url: `sqlite:${database}`, queries: {} },
    spool,
    intervalSeconds: 60,
    checkpointSeconds: 1,
    log: { info: note, warn: note, error: note },
    meter,
    clock: {
      wallMs: () => self.wallMs,
      monotonicMs: () => performance.now(),
      setTimer: (work, ms) => {
        const timer = setTimeout(work, pace(ms));
        return () => clearTimeout(timer);
      },
    },
    ...options,
  });
  return Object.assign(self, { accountant });
}

async function makeDatabase(path: string): Promise<void> {
  const store = openStore(`sqlite:${path}`);
  await store.createSchema();
  await store.close();
}

function usageOf(path: string): { sums: Sums; starts: string[] } {
  const db = new Database(path, { readonly: true });
  const rows = db.prepare('SELECT * FROM usage').all() as (UsageRow & { interval_start: string })[];
  db.close();
  const sums = new Sums();
  sums.addRows(rows);
  return { sums, starts: [...new Set(rows.map((row) => row.interval_start))].sort() };
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const endsMs = performance.now() + UNTIL_MS;
  while (!isSo()) {
    assert.ok(performance.now() < endsMs, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('counts, hands over at the end of an interval, and writes the rest at the end', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder);
    await makeDatabase(it.database);
    assert.equal(it.accountant.status(), { state: 'off', pendingBatches: 0, lastTakenAt: null, fault: null });
    await it.accountant.start();
    it.meter.open('u1');
    it.meter.count('u1', [1000, 2, 60, 1]);
    assert.ok(await it.accountant.flush());
    assert.is(it.accountant.status().state, 'ok');
    it.meter.count('u1', [500, 1, 0, 0]);
    it.wallMs += 61_000;
    assert.ok(await it.accountant.flush());
    await until(() => it.accountant.status().lastTakenAt !== null, 'the interval was not taken');
    assert.equal(usageOf(it.database).sums.plain(), [['u1', [1500, 3, 60, 1]]]);
    it.meter.count('u1', [7, 1, 0, 0]);
    await it.accountant.stop();
    const { sums, starts } = usageOf(it.database);
    assert.equal(sums.plain(), [['u1', [1507, 4, 60, 1]]]);
    assert.equal(starts, ['2026-01-31T12:00:00.000Z', '2026-01-31T12:01:00.000Z']);
    assert.is(it.accountant.status().state, 'off');
    assert.equal(it.log, []);
  });
});

test('an interval without further traffic is handed over too', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder);
    await makeDatabase(it.database);
    await it.accountant.start();
    it.meter.open('u1');
    it.meter.count('u1', [1000, 2, 0, 0]);
    await it.accountant.flush();
    it.wallMs += 60_000;
    it.accountant.checkpoint();
    await until(() => it.accountant.status().lastTakenAt !== null, 'the interval was not taken');
    await it.accountant.stop();
    assert.equal(usageOf(it.database).sums.plain(), [['u1', [1000, 2, 0, 0]]]);
  });
});

test('checkpoints come by themselves', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder, { checkpointSeconds: 0.05 });
    await makeDatabase(it.database);
    await it.accountant.start();
    it.meter.open('u1');
    it.meter.count('u1', [1, 1, 0, 0]);
    await until(() => {
      it.wallMs += 5000;
      return it.accountant.status().lastTakenAt !== null;
    }, 'no checkpoint came');
    await it.accountant.stop();
  });
});

test('a database that is not there is said, and gets everything once it is', async () => {
  await withFolder(async (folder) => {
    const first = rig(folder);
    await first.accountant.start();
    first.meter.open('u1');
    for (let i = 0; i < 5; i++) {
      first.meter.count('u1', [10, 1, 0, 0]);
      first.wallMs += 60_000;
      assert.ok(await first.accountant.flush());
    }
    await until(() => first.accountant.status().state === 'retrying', 'no fault was told');
    assert.match(first.accountant.status().fault!, /users\.db/);
    assert.is(first.accountant.status().pendingBatches, 5);
    await first.accountant.stop(100);
    assert.is(first.log.length, 1, first.log.join('; '));
    await makeDatabase(first.database);
    const second = rig(folder);
    second.wallMs = first.wallMs;
    await second.accountant.start();
    await until(() => second.accountant.status().pendingBatches === 0, 'they were not delivered');
    await second.accountant.stop();
    const { sums, starts } = usageOf(first.database);
    assert.equal(sums.plain(), [['u1', [50, 5, 0, 0]]]);
    assert.is(starts.length, 5);
  });
});

test('a second accountant on the same spool is refused, and the first goes on', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder);
    await makeDatabase(it.database);
    await it.accountant.start();
    const other = rig(folder);
    await other.accountant.start().then(
      () => assert.unreachable(),
      (error: unknown) => assert.is(error instanceof WeirError && error.code, 'E_SPOOL_BUSY'),
    );
    assert.is(other.accountant.status().state, 'off');
    it.meter.open('u1');
    it.meter.count('u1', [1, 1, 0, 0]);
    assert.ok(await it.accountant.flush());
    await it.accountant.stop();
  });
});

test('a damaged spool never hinders the start', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder);
    await makeDatabase(it.database);
    writeFileSync(it.spool, 'nonsense '.repeat(1000));
    await it.accountant.start();
    await until(() => it.log.length > 0, 'no warning came');
    assert.match(it.log[0]!, /is damaged .* moved to/);
    await it.accountant.stop();
  });
});

test('an end before the spool is open ends the start', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder);
    const started = it.accountant.start().then(
      () => 'started',
      (error: unknown) => (error instanceof WeirError ? error.code : 'another error'),
    );
    await it.accountant.stop();
    assert.is(await started, 'E_ACCOUNTING');
    assert.is(it.accountant.status().state, 'off');
  });
});

test('nothing is accounted for classes from a file', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder, { store: { url: 'file:tree.yaml', queries: {} } });
    await it.accountant.start();
    it.accountant.checkpoint();
    assert.is(it.accountant.status().state, 'off');
    await it.accountant.stop();
  });
});

test('a thread that dies is replaced, and a checkpoint whose answer it owed is counted once', async () => {
  await withFolder(async (folder) => {
    const it = rig(folder, { threadModule: new URL('./dying-thread.js', import.meta.url) }, (ms) =>
      ms === 1000 ? 10 : ms,
    );
    await makeDatabase(it.database);
    await it.accountant.start();
    it.meter.open('u1');
    for (let i = 1; i <= 4; i++) {
      it.meter.count('u1', [i, 1, 0, 0]);
      while (!(await it.accountant.flush()))
        await until(() => it.accountant.status().fault === null, 'no new thread came');
    }
    const deaths = it.log.filter((line) => line.startsWith('accounting pauses: ')).length;
    assert.is(deaths, 3, it.log.join('; '));
    await it.accountant.stop();
    assert.equal(usageOf(it.database).sums.plain(), [['u1', [10, 4, 0, 0]]]);
  });
});

const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;
if (!canMount) {
  console.log('skipped: a full disk: mounting a small one needs root');
  test.skip('a full disk', () => {});
} else {
  test('a full disk is said; what was counted stays in memory and is written when there is room', async () => {
    await withFolder(async (folder) => {
      const disk = join(folder, 'disk');
      mkdirSync(disk);
      assert.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'weir-test', disk]).status, 0);
      try {
        await onSmallDisk(folder, disk);
      } finally {
        spawnSync('umount', ['-l', disk]);
      }
    });
  });
}

async function onSmallDisk(folder: string, disk: string): Promise<void> {
  const it = rig(folder, { spool: join(disk, 'usage.db') });
  await makeDatabase(it.database);
  await it.accountant.start();
  it.meter.open('u1');
  it.meter.count('u1', [100, 1, 0, 0]);
  assert.ok(await it.accountant.flush());
  // Until nothing fits any more.
  const filler = join(disk, 'filler');
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1k', 'count=1000']);
  const counted = new Sums();
  counted.add('u1', [100, 1, 0, 0]);
  for (let i = 0; i < 3000; i++) {
    const id = `subscriber-${i}`;
    it.meter.open(id);
    it.meter.count(id, [i, 1, 0, 0]);
    counted.add(id, [i, 1, 0, 0]);
  }
  it.accountant.checkpoint();
  await until(() => it.accountant.status().fault !== null, 'the full disk was not told');
  assert.is(it.accountant.status().state, 'retrying');
  assert.match(it.log[0]!, /^usage waits in memory: .*full/);
  it.meter.count('u1', [11, 1, 0, 0]);
  counted.add('u1', [11, 1, 0, 0]);
  rmSync(filler);
  assert.ok(await it.accountant.flush());
  assert.is(it.accountant.status().fault, null);
  await it.accountant.stop();
  assert.equal(usageOf(it.database).sums.plain(), counted.plain());
}

test.run();
