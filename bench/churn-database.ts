/**
 * Subscribers of which each is in one of two plans, as a user database for weir and as a tree for the kernel: the same
 * classes, and the same changes. No rate holds anybody back, so that what is lost is lost by a change.
 */
import Database from 'better-sqlite3';
import { formatIpv4 } from '../classes/prefix.js';
import { openStore } from '../classes/stores/open.js';

export type PlanName = 'small' | 'large';

export interface ChurnTree {
  readonly version: 1;
  readonly leaf: 'pfifo';
  readonly classes: readonly { readonly id: string; readonly [key: string]: unknown }[];
}

export const SUBSCRIBER_BASE = 0x0a000000;
const PER_SITE = 1024;
const UPLINK_RATE = '100gbit';
const SITE_RATE = '4gbit';
const UP_RATE = '1mbit';
const CEIL = '100mbit';
const DOWN_RATES: Readonly<Record<PlanName, string>> = { small: '1mbit', large: '2mbit' };
const TOGGLE = "UPDATE subscribers SET plan = CASE plan WHEN 'small' THEN 'large' ELSE 'small' END";

/** A new SQLite file with all subscribers in the small plan. */
export async function fillDatabase(path: string, subscribers: number): Promise<void> {
  const store = openStore(`sqlite:${path}`);
  await store.createSchema();
  await store.close();
  const database = new Database(path);
  try {
    database.transaction(() => insertAll(database, subscribers))();
  } finally {
    database.close();
  }
}

function insertAll(database: Database.Database, subscribers: number): void {
  const plan = database.prepare(
    'INSERT INTO plans (id, down_rate, down_ceil, up_rate, up_ceil) VALUES (?, ?, ?, ?, ?)',
  );
  const site = database.prepare('INSERT INTO sites (id, parent, down_rate, up_rate) VALUES (?, ?, ?, ?)');
  const subscriber = database.prepare('INSERT INTO subscribers (id, site, plan) VALUES (?, ?, ?)');
  const address = database.prepare('INSERT INTO addresses (address, subscriber) VALUES (?, ?)');
  for (const [name, rate] of Object.entries(DOWN_RATES)) plan.run(name, rate, CEIL, UP_RATE, CEIL);
  site.run('uplink', null, UPLINK_RATE, UPLINK_RATE);
  for (let i = 0; i < subscribers; i++) {
    if (i % PER_SITE === 0) site.run(siteOf(i), 'uplink', SITE_RATE, SITE_RATE);
    subscriber.run(idOf(i), siteOf(i), 'small');
    address.run(formatIpv4(SUBSCRIBER_BASE + i), idOf(i));
  }
}

/** What the database says when all are in one plan. */
export function treeOf(subscribers: number, plan: PlanName): ChurnTree {
  const same = (rate: string): object => ({ down: { rate }, up: { rate } });
  const classes: { id: string; [key: string]: unknown }[] = [{ id: 'uplink', ...same(UPLINK_RATE) }];
  for (let i = 0; i < subscribers; i += PER_SITE)
    classes.push({ id: siteOf(i), parent: 'uplink', ...same(SITE_RATE) });
  for (let i = 0; i < subscribers; i++) {
    classes.push({
      ...{ id: idOf(i), parent: siteOf(i), match: formatIpv4(SUBSCRIBER_BASE + i) },
      ...{ down: { rate: DOWN_RATES[plan], ceil: CEIL }, up: { rate: UP_RATE, ceil: CEIL } },
    });
  }
  return { version: 1, leaf: 'pfifo', classes };
}

export function idOf(subscriber: number): string {
  return `u${subscriber}`;
}

function siteOf(subscriber: number): string {
  return `s${Math.floor(subscriber / PER_SITE)}`;
}

/** Another program at the database. */
export class Editor {
  readonly #database: Database.Database;
  readonly #one: Database.Statement;

  constructor(path: string) {
    this.#database = new Database(path);
    this.#one = this.#database.prepare(`${TOGGLE} WHERE id = ?`);
  }

  /** Gives a subscriber the other plan, by itself in a commit of its own. */
  change(subscriber: number): void {
    this.#one.run(idOf(subscriber));
  }

  /** Gives these the other plan, in one commit. */
  changeMany(subscribers: readonly number[]): void {
    this.#database.transaction(() => {
      for (const subscriber of subscribers) this.change(subscriber);
    })();
  }

  /** Gives everybody the other plan, in one commit. */
  changeAll(): void {
    this.#database.exec(TOGGLE);
  }

  close(): void {
    this.#database.close();
  }
}
