/**
 * The control plane: from a user database or a file to an epoch that a worker has adopted. Everything is the daemon's own
 * (source, feed, publisher, worker); the worker has memory rings and no traffic, and steps when an epoch is published.
 */
import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import pg from 'pg';
import { fillStore } from '../classes/sample.js';
import { openSource } from '../classes/source/open.js';
import { openStore } from '../classes/stores/open.js';
import { ClassFeed } from '../src/control/class-feed.js';
import { createLogger } from '../src/control/log.js';
import { ScratchPostgres, whyNoPostgres } from '../src/lab/scratch-postgres.js';
import { ClassesRig } from './classes-rig.js';
import { type BenchDocument, documentOf, type Point, type RigOptions } from './rig/document.js';
import { type Measured, type Spread, spreadOf } from './rig/rounds.js';

export interface ClassesOptions extends RigOptions {
  /** Subscribers in the databases. */
  users: number;
  /** Classes in the file. */
  fileClasses: number;
  /** Single rows that are changed, for each figure. */
  changes: number;
  seed: number;
}

export interface StoreFigures {
  /** All subscribers, from opening the database to the adopted epoch. */
  sourceToEpochMs: Spread;
  /** One subscriber's plan, from its commit to the adopted epoch. */
  rowInForceMs: Spread;
  /** What one such change would do, of a daemon that follows the database but does not apply. */
  planMs: Spread;
}

export interface FileFigures {
  classes: number;
  fileBytes: number;
  /** From opening the file to the adopted epoch, in a process of its own. */
  seconds: number;
  peakRssBytes: number;
}

/** What the document says in fields of its own, for programs that read one figure. */
export interface ClassesSummary {
  users: number;
  classes: number;
  changes: number;
  sqlite: StoreFigures;
  /** Null where PostgreSQL's programs are missing; then the document says so. */
  postgres: StoreFigures | null;
  file: FileFigures | null;
}

export type ClassesDocument = BenchDocument & ClassesSummary;

/** Commits what another program would. */
interface Editor {
  url: string;
  /** Gives a subscriber another plan. */
  changePlan(user: number): Promise<void>;
  close(): Promise<void>;
}

const CHILD = fileURLToPath(new URL('./classes-file.js', import.meta.url));
const CHILD_TIMEOUT_MS = 300_000;
const CHANGE_TIMEOUT_MS = 10_000;
const SETTLE_MS = { full: 1500, smoke: 200 };
/** Two plans of the sample. */
const CHANGE_PLAN =
  "UPDATE subscribers SET plan = CASE plan WHEN '50m-20m' THEN '25m-5m' ELSE '50m-20m' END WHERE id =";

/** `fileClasses` 0 leaves the file out. See the fields for the units. */
export async function benchClasses(options: ClassesOptions): Promise<ClassesDocument> {
  const startedMs = Date.now();
  const { users, runs, changes, seed, fileClasses } = options;
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-classes-'));
  try {
    const { classes, ...sqlite } = await ofStore(options, await sqliteEditor(folder));
    const whyNot = whyNoPostgres();
    const postgres = whyNot === null ? await ofPostgres(options) : null;
    const file = fileClasses === 0 ? null : await ofFile(options, folder);
    const columns = [columnOf('SQLite', sqlite, null), columnOf('PostgreSQL', postgres, whyNot)];
    const points: Point[] = [
      {
        name: `${users.toLocaleString('en-US')} subscribers`,
        parameters: { users, classes },
        columns,
        ratios: [],
      },
    ];
    if (file !== null) points.push(filePoint(file));
    const document = documentOf({
      bench: 'classes',
      measures: 'from a user database or a file to classes in force: the whole, one row, a plan',
      parameters: { users, fileClasses, changes },
      seed,
      runs,
      points,
      notes: ['One database after the other; sourceToEpochMs over the runs, the others over the changes.'],
      startedMs,
    });
    return { ...document, users, classes, changes, sqlite, postgres, file };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function columnOf(name: string, figures: StoreFigures | null, missing: string | null): Measured {
  return { name, missing, perRun: [], figures: { ...figures } };
}

function filePoint({ classes, ...figures }: FileFigures): Point {
  const spreads = Object.entries(figures).map(([name, value]) => [name, spreadOf([value])]);
  const column = { name: 'file', missing: null, perRun: [figures], figures: Object.fromEntries(spreads) };
  const name = `a file of ${classes.toLocaleString('en-US')} classes`;
  return { name, parameters: { classes }, columns: [column], ratios: [] };
}

async function ofPostgres(options: ClassesOptions): Promise<StoreFigures> {
  const server = await ScratchPostgres.start({ fsync: true });
  try {
    const { classes: _, ...figures } = await ofStore(options, await postgresEditor(server.url));
    return figures;
  } finally {
    await server.remove();
  }
}

async function ofStore(options: ClassesOptions, editor: Editor): Promise<StoreFigures & { classes: number }> {
  try {
    const store = openStore(editor.url);
    await store.createSchema();
    await fillStore(store, { users: options.users, seed: options.seed });
    await store.close();
    const whole: number[] = [];
    let classes = 0;
    for (let run = 0; run < options.runs; run++) {
      const startMs = performance.now();
      const source = openSource({ url: editor.url, queries: {} });
      const rig = new ClassesRig();
      classes = rig.publish((await source.load(Date.now())).tree!).added;
      whole.push(performance.now() - startMs);
      await source.close();
    }
    const rowInForceMs = await timeChanges(options, editor, true);
    const planMs = await timeChanges(options, editor, false);
    return { sourceToEpochMs: spreadOf(whole.map(round)), rowInForceMs, planMs, classes };
  } finally {
    await editor.close();
  }
}

/** Changes one row after the other: until it is in force, or what it takes to plan it. */
async function timeChanges(options: ClassesOptions, editor: Editor, isWatched: boolean): Promise<Spread> {
  const source = openSource({ url: editor.url, queries: {} });
  const rig = new ClassesRig();
  const loaded = await source.load(Date.now());
  rig.publish(loaded.tree!);
  let onPublished = (): void => {};
  const feed = new ClassFeed({
    source,
    unknownClass: null,
    isWatched,
    guardPercent: 10,
    log: createLogger('silent'),
    current: () => rig.current,
    publish: (tree) => {
      const summary = rig.publish(tree);
      onPublished();
      return summary;
    },
  });
  feed.start(loaded.nextExpiryMs);
  try {
    // Until the watch stands and what was there before it has been read again.
    const settleMs = options.smoke ? SETTLE_MS.smoke : SETTLE_MS.full;
    await sleep(settleMs);
    await feed.apply(false);
    await sleep(settleMs);
    const times: number[] = [];
    for (let change = 0; change < options.changes; change++) {
      const user = (change * 7919) % options.users;
      const published = new Promise<void>((resolve) => {
        onPublished = resolve;
      });
      await editor.changePlan(user);
      const startMs = performance.now();
      if (isWatched) await within(published);
      else await feed.plan();
      times.push(performance.now() - startMs);
      if (!isWatched) await feed.apply(false);
      // Changes that come one right after the other wait for the control thread to rest.
      await sleep(100 + (change % 10));
    }
    return spreadOf(times.map(round));
  } finally {
    await feed.stop();
  }
}

async function ofFile(options: ClassesOptions, folder: string): Promise<FileFigures> {
  const path = join(folder, 'tree.json');
  await pipeline(Readable.from(treeText(options.fileClasses)), createWriteStream(path));
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path], {
    timeout: CHILD_TIMEOUT_MS,
  });
  return JSON.parse(stdout) as FileFigures;
}

/** Two prefixes a class, ten plans, three levels. */
function* treeText(classes: number): Generator<string> {
  const sites = Math.ceil(classes / 1000);
  yield '{"version":1,"classes":[{"id":"uplink","down":{"rate":"400gbit"},"up":{"rate":"400gbit"}}';
  for (let site = 0; site < sites; site++)
    yield `,\n{"id":"site-${site}","parent":"uplink","down":{"rate":"100mbit","ceil":"10gbit"},"up":{"rate":"100mbit","ceil":"10gbit"}}`;
  for (let i = 0; i < classes - sites - 1; i++) {
    const address = `${10 + (i >>> 24)}.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`;
    const prefix = `2001:db8:${(i >>> 16).toString(16)}:${(i & 65535).toString(16)}::/64`;
    const plan = 1 + (i % 10);
    yield `,\n{"id":"subscriber-${i}","parent":"site-${i % sites}","match":["${address}","${prefix}"],"down":{"rate":"64kbit","ceil":"${plan}0mbit"},"up":{"rate":"32kbit","ceil":"${plan}mbit"}}`;
  }
  yield '\n]}\n';
}

async function sqliteEditor(folder: string): Promise<Editor> {
  const path = join(folder, 'users.db');
  let database: Database.Database | null = null;
  return {
    url: `sqlite:${path}`,
    changePlan: async (user) => {
      database ??= new Database(path);
      database.prepare(`${CHANGE_PLAN} ?`).run(idOf(user));
    },
    close: async () => {
      database?.close();
    },
  };
}

async function postgresEditor(url: string): Promise<Editor> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    url,
    changePlan: async (user) => {
      await client.query(`${CHANGE_PLAN} $1`, [idOf(user)]);
    },
    close: () => client.end(),
  };
}

/** As the sample names them. */
function idOf(user: number): string {
  return `u${user + 1}`;
}

function within(promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout;
  const limit = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(new Error('a change did not come into force')), CHANGE_TIMEOUT_MS);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** To a hundredth. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}
