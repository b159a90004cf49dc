/** A row that changes in the user database of a running daemon, and what a subscriber's stream gets by it on the wire. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPeers } from '../../bench/inline-net.js';
import { openStore } from '../../classes/stores/open.js';
import { ask } from '../../src/control/client.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import type { StatsDocument } from '../../src/metrics/report.js';
import { DaemonProcess, type Lab, makeLab, removeLab, SUBSCRIBER, writeConfig } from './daemon-lab.js';
import { type LoadResult, monotonicNs, packetsBetween } from './fail-open-load.js';
import { hasTool, whyNoXdp } from './namespaces.js';
import { Program } from './program.js';

const test = suite('a row that changes');
const FRAME_BYTES = 1500;
const OFFERED_BPS = 30e6;
const SLOW_BPS = 1e6;
const FAST_BPS = 20e6;
/** A second is measured, and a burst is a little more than its share. */
const SHARE_MIN = 0.85;
const SHARE_MAX = 1.1;
const WINDOW_MS = 1000;
const SETTLE_MS = 1500;
const LOOK_MS = 1;
const UNTIL_MS = 10_000;
/** The aim is 50 ms, which a busy machine does not always keep. */
const IN_FORCE_MAX_MS = 1000;
const LIFE_SECONDS = 4;
const CHANGES = 10;

/** What another program would do with the database. */
interface Editor {
  readonly url: string;
  run(sql: string): Promise<void>;
  close(): Promise<void>;
}

function sqliteEditor(lab: Lab): Editor {
  const path = join(lab.folder, 'users.db');
  let database: Database.Database | null = null;
  return {
    url: `sqlite:${path}`,
    run: async (sql) => {
      database ??= new Database(path);
      database.exec(sql);
    },
    close: async () => {
      database?.close();
    },
  };
}

async function postgresEditor(): Promise<Editor> {
  const server = await ScratchPostgres.start();
  return {
    url: server.url,
    run: async (sql) => {
      await server.query(sql);
    },
    close: () => server.remove(),
  };
}

/** One subscriber in a large plan or a small one, and somebody else. The large one's burst outlasts a busy machine's pauses. */
const ROWS = `
  INSERT INTO plans (id, down_rate, up_rate, down_burst, limit_packets) VALUES
    ('slow', '1mbit', '1mbit', NULL, 100), ('fast', '20mbit', '20mbit', '64kb', 100);
  UPDATE plans SET down_cburst = down_burst;
  INSERT INTO sites (id, down_rate, up_rate) VALUES ('uplink', '500mbit', '500mbit');
  INSERT INTO subscribers (id, site, plan) VALUES ('u1', 'uplink', 'slow'), ('u2', 'uplink', 'slow');
  INSERT INTO addresses (address, subscriber) VALUES ('${SUBSCRIBER}', 'u1'), ('10.77.0.6', 'u2');`;

async function inRig(
  name: string,
  open: (lab: Lab) => Promise<Editor>,
  body: (lab: Lab, editor: Editor) => Promise<void>,
): Promise<void> {
  const lab = makeLab(name, 1);
  const editor = await open(lab).catch((error: unknown) => {
    removeLab(lab);
    throw error;
  });
  try {
    const store = openStore(editor.url);
    await store.createSchema();
    await store.close();
    await editor.run(ROWS);
    const config = writeConfig(lab, {
      rings: { backend: 'xdp', frames: 8192, ringSize: 1024 },
      classes: { source: editor.url },
      accounting: { spool: join(lab.folder, 'usage.db') },
    });
    const daemon = new DaemonProcess(lab, config);
    try {
      await daemon.logged('"shaping"');
      await body(lab, editor);
    } finally {
      await daemon.stop();
    }
  } finally {
    await editor.close();
    removeLab(lab);
  }
}

async function getStats(lab: Lab, id: string): Promise<StatsDocument> {
  return JSON.parse(await ask(join(lab.folder, 'weir.sock'), `/stats?class=${id}`)) as StatsDocument;
}

/** Milliseconds until another epoch than `epoch` is published. */
async function untilEpoch(lab: Lab, epoch: number): Promise<number> {
  const startMs = performance.now();
  while ((await getStats(lab, 'uplink')).epoch === epoch) {
    assert.ok(performance.now() < startMs + UNTIL_MS, 'the change did not come into force');
    await sleep(LOOK_MS);
  }
  return performance.now() - startMs;
}

/** A stream of OFFERED_BPS to the subscriber while `during` happens, and what came of it in each millisecond. */
async function stream(
  lab: Lab,
  seconds: number,
  during: () => Promise<void>,
): Promise<Pick<LoadResult, 'milliPackets' | 'startNs'>> {
  const sink = new Program(lab.subscriber, 'sink', ['sub0', '--millis', '--seconds', String(seconds + 2)]);
  await sink.ready();
  const blast = new Program(lab.internet, 'blast', [
    ...['net0', '--af-packet', '--direction', 'down', '--size', String(FRAME_BYTES), '--base', SUBSCRIBER],
    ...['--pps', String(OFFERED_BPS / 8 / FRAME_BYTES), '--seconds', String(seconds)],
  ]);
  await during();
  await blast.result();
  sink.stop();
  return (await sink.result()) as LoadResult;
}

function bpsBetween(
  result: Pick<LoadResult, 'milliPackets' | 'startNs'>,
  ns: number,
  sinceMs: number,
): number {
  const packets = packetsBetween(result as LoadResult, ns, sinceMs, WINDOW_MS);
  return (packets * FRAME_BYTES * 8 * 1000) / WINDOW_MS;
}

function isAbout(bps: number, rateBps: number): boolean {
  return bps > rateBps * SHARE_MIN && bps < rateBps * SHARE_MAX;
}

function why(): string | null {
  const missing = ['make', 'clang'].find((tool) => !hasTool(tool));
  return whyNoXdp() ?? (missing === undefined ? null : `bench/peers needs ${missing}`);
}

const mbit = (bps: number): string => `${(bps / 1e6).toFixed(2)} Mbit/s`;

function addTests(backend: string, open: (lab: Lab) => Promise<Editor>): void {
  test(`${backend}: another plan changes the rate of the stream, without any command`, () =>
    inRig(backend.slice(0, 2), open, async (lab, editor) => {
      let changedNs = 0;
      let tookMs = 0;
      const result = await stream(lab, 5, async () => {
        await sleep(SETTLE_MS + WINDOW_MS);
        const { epoch } = await getStats(lab, 'uplink');
        // Before the statement: weir may have the change before the editor has its answer.
        changedNs = monotonicNs();
        await editor.run("UPDATE subscribers SET plan = 'fast' WHERE id = 'u1'");
        tookMs = await untilEpoch(lab, epoch);
      });
      const before = bpsBetween(result, changedNs, -WINDOW_MS);
      const after = bpsBetween(result, changedNs, 500);
      const times: number[] = [];
      for (let change = 0; change < CHANGES; change++) {
        const { epoch } = await getStats(lab, 'uplink');
        await editor.run(
          `UPDATE subscribers SET plan = '${change % 2 === 0 ? 'slow' : 'fast'}' WHERE id = 'u2'`,
        );
        if (change > 0) times.push(await untilEpoch(lab, epoch));
        await sleep(100 + change);
      }
      times.sort((a, b) => a - b);
      process.stdout.write(
        `${backend}: ${mbit(before)} before, ${mbit(after)} after; published ${tookMs.toFixed(0)} ms after the commit, ` +
          `then median ${times[times.length >> 1]!.toFixed(1)}, longest ${times.at(-1)!.toFixed(1)} ms\n`,
      );
      assert.ok(isAbout(before, SLOW_BPS), `${before} bit/s before`);
      assert.ok(isAbout(after, FAST_BPS), `${after} bit/s after`);
      assert.ok(tookMs < IN_FORCE_MAX_MS);
    }));

  test(`${backend}: a test account expires by itself`, () =>
    inRig(`${backend.slice(0, 2)}x`, open, async (lab, editor) => {
      const endMs = Math.ceil(Date.now() / 1000 + LIFE_SECONDS) * 1000;
      const { epoch } = await getStats(lab, 'uplink');
      await editor.run(
        `UPDATE subscribers SET expires_at = '${new Date(endMs).toISOString()}' WHERE id = 'u1'`,
      );
      let unknownBefore = 0;
      let endNs = 0;
      const result = await stream(lab, LIFE_SECONDS + 4, async () => {
        await sleep(Math.max(0, endMs - Date.now() - 200));
        const stats = await getStats(lab, 'u1');
        assert.is(stats.epoch, epoch, 'nothing has changed yet');
        unknownBefore = stats.queues[0]!.unknownPackets;
        endNs = monotonicNs() + (endMs - Date.now()) * 1e6;
        await sleep(200 + WINDOW_MS);
      });
      const before = bpsBetween(result, endNs, -WINDOW_MS);
      const after = bpsBetween(result, endNs, 500);
      const stats = await getStats(lab, 'uplink');
      const unknown = stats.queues[0]!.unknownPackets - unknownBefore;
      process.stdout.write(
        `${backend}: ${mbit(before)} before the end, ${mbit(after)} after it, of no class\n`,
      );
      assert.ok(isAbout(before, SLOW_BPS), `${before} bit/s before`);
      assert.ok(isAbout(after, OFFERED_BPS), `${after} bit/s after`);
      assert.ok(unknown > (OFFERED_BPS / 8 / FRAME_BYTES) * 2, `${unknown} packets of no class`);
      assert.is(stats.source.state, 'ok', 'the guard is not about who expires');
      const gone = await getStats(lab, 'u1').then(
        () => null,
        (error: unknown) => error as { code: string },
      );
      assert.is(gone?.code, 'E_CLASS');
    }));
}

const reason = why();
if (reason !== null) {
  process.stdout.write(`skipped: ${reason}\n`);
  test.skip(reason, () => {});
} else {
  test.before(() => buildPeers());
  addTests('sqlite', async (lab) => sqliteEditor(lab));
  const noPostgres = whyNoPostgres();
  if (noPostgres === null) addTests('postgres', postgresEditor);
  else process.stdout.write(`skipped: ${noPostgres}\n`);
}

test.run();
