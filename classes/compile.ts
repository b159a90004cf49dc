/**
 * From the canonical tables of a user database to a class tree, or to everything that is wrong with them.
 *
 * Sites become inner classes, subscribers leaves; their ids share one namespace. All checks between classes are those
 * of the tree file (structure.ts). A subscriber whose time is over is left out with its addresses, and its row is not
 * judged beyond its id. What is known after a compile that found no error stays in a Snapshot, which book.ts patches.
 */
import { SpecTables } from './class-reader.js';
import { addressPlace, readAddress, takenBy, unknownSubscriber } from './compile-addresses.js';
import {
  classOf,
  columnOf,
  expiryOf,
  idOf,
  numberOf,
  type Plan,
  queueOf,
  RowProblems,
  RowReader,
  rowPlace,
} from './compile-rows.js';
import { areEqualClasses } from './difference.js';
import {
  CLASSES_MAX,
  type ClassSpec,
  type ClassTree,
  LINK_LAYERS,
  type LinkLayer,
  MATCHES_MAX,
  MPU_MAX_BYTES,
  OVERHEAD_MAX_BYTES,
  OVERHEAD_MIN_BYTES,
  type PrefixSpec,
  type Problem,
} from './model.js';
import { comparePrefixes, warnOfOverlaps } from './overlap.js';
import type { QueueSettings } from './queue.js';
import { QUEUE_KEY_OF, wholeNumberFault, wordFault } from './queue-keys.js';
import { type SaidSettings, takeQueueKey, treeQueue } from './queue-reader.js';
import type { RecordRow, RecordSet, RecordTable } from './records.js';
import { NO_PARENT, orderParentsFirst, type UpperClasses, warnOfRates } from './structure.js';
import { quoted } from './units.js';

export interface CompileResult {
  /** Null exactly when `problems` holds an error. */
  readonly tree: ClassTree | null;
  readonly problems: readonly Problem[];
  /** Subscribers that have no class because their time is over. */
  readonly expired: ReadonlySet<string>;
  /** When the next one's time is over, in milliseconds since 1970, or null. */
  readonly nextExpiryMs: number | null;
}

export interface TreeSettings {
  /** as the settings say, whether that class is there now or has expired */
  readonly defaultClass: string | null;
  readonly overheadBytes: number;
  readonly mpuBytes: number;
  readonly linkLayer: LinkLayer;
  readonly queue: QueueSettings;
}

/** What a compile found out about tables without errors. */
export interface Snapshot {
  readonly settings: TreeSettings;
  readonly plans: ReadonlyMap<string, Plan>;
  /** Parents before their children. */
  readonly sites: readonly ClassSpec[];
  readonly siteIndex: ReadonlyMap<string, number>;
  /** by site index: 1 for a root */
  readonly siteLevel: Int32Array;
  /** by site index, and pointing to sites */
  readonly down: UpperClasses;
  readonly up: UpperClasses;
  /** Classes of the subscribers, in the order of the tree. */
  readonly live: Map<string, ClassSpec>;
  /** canonical prefix → the subscriber that has it */
  readonly owners: Map<string, string>;
  /** Times of those live subscribers that expire. */
  readonly expiries: Map<string, number>;
  /** Subscribers whose time is over, and since when. */
  readonly expired: Map<string, number>;
}

/** Compiles all tables as of `nowMs`, milliseconds since 1970. Never throws, whatever the rows hold. */
export function compile(records: RecordSet, nowMs: number): CompileResult {
  const { tree, problems, snapshot } = new Compilation(records, nowMs, new SpecTables(), NOTHING).run();
  const expired: ReadonlySet<string> = new Set(snapshot?.expired.keys() ?? []);
  return { tree, problems, expired, nextExpiryMs: snapshot === null ? null : earliest(snapshot.expiries) };
}

/** The earliest of the times, or null if there is none. */
export function earliest(times: ReadonlyMap<string, number>): number | null {
  let first = Infinity;
  for (const ms of times.values()) if (ms < first) first = ms;
  return first === Infinity ? null : first;
}

/** The tree that the settings and classes make. `isThere` tells whether the default class is among them. */
export function treeOf(settings: TreeSettings, classes: readonly ClassSpec[], isThere: boolean): ClassTree {
  return { version: 1, ...settings, defaultClass: isThere ? settings.defaultClass : null, classes };
}

const NOTHING: ReadonlyMap<string, ClassSpec> = new Map();
const NO_PREFIXES: readonly PrefixSpec[] = Object.freeze([]);

/** One full compile. Classes equal to one of the same id in `previous` are that object. */
export class Compilation {
  readonly #records: RecordSet;
  readonly #nowMs: number;
  readonly #previous: ReadonlyMap<string, ClassSpec>;
  readonly #problems = new RowProblems();
  readonly #reader: RowReader;
  readonly #treeQueue: QueueSettings;
  readonly #plans = new Map<string, Plan>();
  readonly #siteIndex = new Map<string, number>();
  /** sites in the order of their rows, then live subscribers; ids that cannot be used are empty */
  readonly #classes: ClassSpec[] = [];
  readonly #planOf: (Plan | null)[] = [];
  readonly #live = new Map<string, ClassSpec>();
  readonly #owners = new Map<string, string>();
  readonly #expiries = new Map<string, number>();
  readonly #expired = new Map<string, number>();
  /** subscriber → its row, the last one where there are several */
  readonly #rowOf = new Map<string, number>();

  constructor(
    records: RecordSet,
    nowMs: number,
    tables: SpecTables,
    previous: ReadonlyMap<string, ClassSpec>,
  ) {
    this.#records = records;
    this.#nowMs = nowMs;
    this.#previous = previous;
    this.#treeQueue = this.#readTreeQueue(tables);
    this.#reader = new RowReader(this.#problems, tables, this.#treeQueue, this.#plans);
  }

  run(): { tree: ClassTree | null; problems: readonly Problem[]; snapshot: Snapshot | null } {
    const problems = this.#problems;
    this.#readPlans();
    this.#readSites();
    this.#readSubscribers();
    const { parentOf, order } = this.#link();
    const settings = this.#readSettings(parentOf);
    const sites = this.#records.sites.length;
    problems.planOf = (index) => this.#planOf[index - sites] ?? null;
    const down = warnOfRates(this.#classes, parentOf, order, 'down', problems, true);
    const up = warnOfRates(this.#classes, parentOf, order, 'up', problems, true);
    problems.finish();
    problems.tableOf = () => 'addresses';
    if (problems.errorCount === 0) warnOfOverlaps(this.#classes, problems);
    if (problems.errorCount > 0) return { tree: null, problems: problems.items, snapshot: null };
    const classes = Array.from(order, (index) => this.#classes[index]!);
    const snapshot = this.#snapshot(settings, parentOf, order, down, up);
    const isThere = settings.defaultClass !== null && !this.#expired.has(settings.defaultClass);
    return { tree: treeOf(settings, classes, isThere), problems: problems.items, snapshot };
  }

  #readPlans(): void {
    this.#records.plans.forEach((row, index) => {
      const plan = this.#reader.readPlan(row, index);
      if (plan.id === '') return;
      if (this.#plans.has(plan.id)) this.#fail('plans', plan.id, index, 'id', 'is used by two rows');
      else this.#plans.set(plan.id, plan);
    });
  }

  #readSites(): void {
    this.#records.sites.forEach((row, index) => {
      const site = this.#reader.readSite(row, index);
      const known = this.#previous.get(site.id);
      this.#classes.push(known !== undefined && areEqualClasses(known, site) ? known : site);
      if (site.id === '') return;
      if (this.#siteIndex.has(site.id)) this.#fail('sites', site.id, index, 'id', 'is used by two rows');
      else this.#siteIndex.set(site.id, index);
    });
  }

  #readSubscribers(): void {
    const rows = this.#records.subscribers;
    const ids = this.#readIds(rows);
    const matches = this.#readAddresses(ids);
    this.#problems.table = 'subscribers';
    for (let index = 0; index < rows.length; index++) {
      const id = ids[index]!;
      if (id === '') continue;
      const row = rows[index]!;
      const rates = this.#reader.readRates(row, id, index);
      const parent = this.#readSiteOf(row, id, index);
      const spec = reused(this.#previous, classOf(id, parent, matches[index] ?? NO_PREFIXES, rates));
      this.#live.set(id, spec);
      this.#classes.push(spec);
      this.#planOf.push(rates.plan);
    }
  }

  #readSiteOf(row: RecordRow, id: string, index: number): string | null {
    const siteId = idOf(row.site) as string | undefined;
    if (siteId === undefined) return null;
    const at = this.#siteIndex.get(siteId);
    // The site's own text: a million copies of it can be collected then.
    if (at !== undefined) return this.#classes[at]!.id;
    this.#problems.classError(id, index, 'site', `${quoted(siteId)} is not the id of a site`);
    return siteId;
  }

  /** Ids of all rows, empty where a row is not read further, also because the subscriber's time is over. */
  #readIds(rows: readonly RecordRow[]): string[] {
    const problems = this.#problems;
    problems.table = 'subscribers';
    const ids: string[] = [];
    const rowOf = this.#rowOf;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      let id = this.#reader.readId(row, index);
      if (id !== '') {
        const known = rowOf.size;
        rowOf.set(id, index);
        if (rowOf.size === known) {
          problems.classError(id, index, 'id', 'is used by two rows');
          id = '';
        } else if (row.expires_at !== null && row.expires_at !== undefined) {
          const expiry = expiryOf(row.expires_at);
          if (typeof expiry === 'string') problems.classError(id, index, 'expires_at', expiry);
          else if (expiry !== null) {
            (expiry <= this.#nowMs ? this.#expired : this.#expiries).set(id, expiry);
            if (expiry <= this.#nowMs) id = '';
          }
        }
      }
      ids.push(id);
    }
    for (const site of this.#siteIndex.keys()) {
      const index = rowOf.get(site);
      if (index !== undefined) problems.classError(site, index, 'id', 'is the id of a site, too');
    }
    return ids;
  }

  /** By row of the subscriber, its prefixes in the order of addresses. `ids` is what readIds() found. */
  #readAddresses(ids: readonly string[]): (PrefixSpec[] | undefined)[] {
    const matches: (PrefixSpec[] | undefined)[] = new Array(ids.length).fill(undefined);
    const problems = this.#problems;
    const owners = this.#owners;
    let at = 0;
    for (const row of this.#records.addresses) {
      const id = idOf(row.subscriber) as string;
      // Both tables mostly come in the order of ids; comparing two texts costs less than finding one among a million.
      if (at + 1 < ids.length && ids[at + 1] === id && id !== '') at++;
      else if (ids[at] !== id || id === '') {
        const found = this.#rowOf.get(id);
        if (found === undefined) {
          problems.placeError(addressPlace(id, row.address), 'subscriber', unknownSubscriber(id));
          continue;
        }
        at = found;
        if (ids[at] === '') continue; // expired, or reported
      }
      const prefix = readAddress(row, id, problems);
      if (prefix === null) continue;
      const owner = owners.get(prefix.text);
      if (owner !== undefined) {
        problems.placeError(addressPlace(id, prefix.text), 'address', takenBy(prefix, owner, id));
        continue;
      }
      if (owners.size >= MATCHES_MAX) {
        problems.placeError('addresses', '', `holds more than the ${MATCHES_MAX} prefixes a tree may have`);
        break;
      }
      owners.set(prefix.text, ids[at]!);
      const list = matches[at];
      if (list === undefined) matches[at] = [prefix];
      else list.push(prefix);
    }
    for (const list of matches) if (list !== undefined && list.length > 1) list.sort(comparePrefixes);
    return matches;
  }

  #link(): { parentOf: Int32Array; order: Int32Array } {
    const classes = this.#classes;
    const problems = this.#problems;
    const sites = this.#records.sites.length;
    problems.tableOf = (index) => (index < sites ? 'sites' : 'subscribers');
    if (classes.length > CLASSES_MAX) {
      const message = `hold ${classes.length} classes; a tree may have ${CLASSES_MAX}`;
      problems.placeError('sites and subscribers', '', message);
    }
    const parentOf = new Int32Array(classes.length).fill(NO_PARENT);
    for (let index = 0; index < classes.length; index++) {
      const { id, parent } = classes[index]!;
      if (parent === null) continue;
      const at = this.#siteIndex.get(parent);
      if (at !== undefined) parentOf[index] = at;
      else if (index < sites)
        problems.classError(id, index, 'parent', `${quoted(parent)} is not the id of a site`);
    }
    return { parentOf, order: orderParentsFirst(classes, parentOf, problems) };
  }

  /** Before the plans, whose times are held against these. */
  #readTreeQueue(tables: SpecTables): QueueSettings {
    const fields = queueOf(this.#records.settings[0] ?? {});
    const said: SaidSettings = {};
    const fail = (key: string, message: string): void => this.#failSetting(key, message);
    for (const [name, key] of QUEUE_KEY_OF) takeQueueKey(said, key, fields[name], fail);
    return treeQueue(said, tables.queues, fail);
  }

  #readLinkLayer(value: unknown): LinkLayer {
    if (value === null || value === undefined) return 'ethernet';
    const fault = wordFault(value, LINK_LAYERS, 'a link layer');
    if (fault !== null) this.#failSetting('linklayer', fault);
    return value as LinkLayer;
  }

  #readSettings(parentOf: Int32Array): TreeSettings {
    const rows = this.#records.settings;
    const row = rows[0] ?? {};
    const problems = this.#problems;
    if (rows.length > 1) problems.placeError('settings', '', `holds ${rows.length} rows; it may have one`);
    const bytes = (key: string, min: number, max: number): number => {
      const value = numberOf(row[key] ?? 0);
      const fault = wholeNumberFault(value, min, max);
      if (fault !== null) problems.placeError('settings', key, fault);
      return value as number;
    };
    return {
      defaultClass: this.#readDefault(idOf(row.default_class), parentOf),
      overheadBytes: bytes('overhead_bytes', OVERHEAD_MIN_BYTES, OVERHEAD_MAX_BYTES),
      mpuBytes: bytes('mpu_bytes', 0, MPU_MAX_BYTES),
      linkLayer: this.#readLinkLayer(row.link_layer),
      queue: this.#treeQueue,
    };
  }

  #readDefault(value: unknown, parentOf: Int32Array): string | null {
    if (value === undefined) return null;
    const id = value as string;
    const fault = defaultFault(
      id,
      this.#live.has(id) || this.#expired.has(id) || this.#siteIndex.has(id),
      parentOf.includes(this.#siteIndex.get(id) ?? Number.NaN),
    );
    if (fault !== null) this.#problems.placeError('settings', 'default_class', fault);
    if (this.#expired.has(id))
      this.#problems.placeWarning('settings', id, 'default_class', defaultExpired(id));
    return id;
  }

  #snapshot(
    settings: TreeSettings,
    parentOf: Int32Array,
    order: Int32Array,
    down: UpperClasses,
    up: UpperClasses,
  ): Snapshot {
    const count = this.#records.sites.length;
    // Sites stand before subscribers among the classes, so the order lists them first; all indices become places in it.
    const rows = order.subarray(0, count);
    const placeOf = new Int32Array(count);
    rows.forEach((row, place) => {
      placeOf[row] = place;
    });
    const upper = (of: Int32Array): Int32Array =>
      rows.map((row) => (of[row] === NO_PARENT ? NO_PARENT : placeOf[of[row]!]!));
    const siteLevel = new Int32Array(count);
    rows.forEach((row, place) => {
      const parent = parentOf[row]!;
      siteLevel[place] = parent === NO_PARENT ? 1 : siteLevel[placeOf[parent]!]! + 1;
    });
    const sites = Array.from(rows, (row) => this.#classes[row]!);
    return {
      settings,
      plans: this.#plans,
      sites,
      siteIndex: new Map(sites.map((site, place) => [site.id, place])),
      siteLevel,
      down: { limiter: upper(down.limiter), assurer: upper(down.assurer) },
      up: { limiter: upper(up.limiter), assurer: upper(up.assurer) },
      live: this.#live,
      owners: this.#owners,
      expiries: this.#expiries,
      expired: this.#expired,
    };
  }

  #failSetting(key: string, message: string): void {
    this.#problems.placeError('settings', columnOf('settings', key), message);
  }

  #fail(table: RecordTable, id: string, index: number, key: string, message: string): void {
    this.#problems.placeError(rowPlace(table, id, index), key, message);
  }
}

/** The class of that id in `previous` if it is equal, or `spec`. */
export function reused(previous: ReadonlyMap<string, ClassSpec>, spec: ClassSpec): ClassSpec {
  const known = previous.size === 0 ? undefined : previous.get(spec.id);
  return known !== undefined && areEqualClasses(known, spec) ? known : spec;
}

/** What is wrong with the default class, or null. */
export function defaultFault(id: unknown, isKnown: boolean, isInner: boolean): string | null {
  if (!isKnown) return `${quoted(id)} is not the id of a subscriber or a site`;
  return isInner ? `${quoted(id)} has classes below it; only a leaf holds packets` : null;
}

export function defaultExpired(id: string): string {
  return `${quoted(id)} has expired, so traffic of no class has no default class now`;
}
