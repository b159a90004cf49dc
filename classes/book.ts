/**
 * The records compiled so far, so that a change costs what it touches and not what there is.
 *
 * A patch names subscribers; everything about them is taken anew, nothing about others is looked at but the owners of
 * prefixes. What remains in proportion to all classes is copying the list of classes into the new tree. The tree is the
 * one a fresh compile of the same rows would give, but for the order of the subscribers.
 */

import { SpecTables } from './class-reader.js';
import {
  Compilation,
  type CompileResult,
  defaultExpired,
  defaultFault,
  earliest,
  reused,
  type Snapshot,
  treeOf,
} from './compile.js';
import { addressPlace, readAddress, takenBy, unknownSubscriber } from './compile-addresses.js';
import { classOf, expiryOf, idOf, type Plan, RowProblems, RowReader } from './compile-rows.js';
import {
  CLASSES_MAX,
  type ClassSpec,
  type ClassTree,
  DEPTH_MAX,
  MATCHES_MAX,
  type PrefixSpec,
  type Problem,
} from './model.js';
import { comparePrefixes } from './overlap.js';
import type { RecordRow, RecordSet, SubscriberPatch } from './records.js';
import { checkAssured, NO_PARENT, SilentRoots, warnOfCeil } from './structure.js';
import { quoted } from './units.js';

/** Rows read into one set of tables before a fresh one is made of what is in use: bounds what changes leave behind. */
const ROWS_PER_TABLE = 100_000;

const NOTHING: ReadonlyMap<string, ClassSpec> = new Map();
const NO_PREFIXES: readonly PrefixSpec[] = Object.freeze([]);
const NO_PATCH: SubscriberPatch = { ids: [], subscribers: [], addresses: [] };

/** What a patch makes of the subscribers it touches; a null class goes. */
interface Changes {
  readonly classes: Map<string, ClassSpec | null>;
  /** Those who had a class and lose it, or have none now, because their time is over. */
  readonly expired: Map<string, number>;
  readonly expiries: Map<string, number>;
  readonly owners: Map<string, string>;
}

export class Book {
  #snapshot: Snapshot | null = null;
  #tree: ClassTree | null = null;
  #warnings: readonly Problem[] = [];
  #tables = new SpecTables();
  #rowsRead = 0;
  /** Expired subscribers whose class did not end at the time that was known for it: their rows were edited. */
  readonly #cutShort = new Set<string>();
  #excused: ReadonlySet<string> = new Set();
  #needsReplace = true;

  /** True before the first replace(), and after an error until a replace() has none: patches are not enough then. */
  get needsReplace(): boolean {
    return this.#needsReplace;
  }

  /**
   * Takes all records. After an error the book is as it was before, but needs a replace. `expired` of the result leaves out
   * subscribers who had a class until their row's expiry was moved into the past: an edit, which a guard must count.
   */
  replace(records: RecordSet, nowMs: number): CompileResult {
    this.#renewTables();
    this.#needsReplace = true;
    const compilation = new Compilation(records, nowMs, this.#tables, this.#knownClasses());
    const { tree, problems, snapshot } = compilation.run();
    if (tree === null || snapshot === null) return this.#result(null, problems);
    for (const id of this.#cutShort) if (!snapshot.expired.has(id)) this.#cutShort.delete(id);
    for (const [id, ms] of snapshot.expired) this.#noteExpiry(id, ms);
    this.#snapshot = snapshot;
    this.#tree = tree;
    this.#warnings = problems;
    this.#needsReplace = false;
    this.#excuse();
    return this.#result(tree, problems);
  }

  /**
   * Takes what the named subscribers are now, and lets go who has expired since. After an error the book is as it was
   * before, but needs a replace. Warnings are those of the last replace about others, and the patch's own.
   * Throws if the book needs a replace.
   */
  patch(patch: SubscriberPatch, nowMs: number): CompileResult {
    const snapshot = this.#snapshot;
    if (snapshot === null || this.#needsReplace) throw new Error('the book needs all records first');
    const touched = new Set(patch.ids);
    for (const row of patch.subscribers) {
      const id = idOf(row.id);
      if (typeof id === 'string') touched.add(id);
    }
    for (const [id, ms] of snapshot.expiries) if (ms <= nowMs) touched.add(id);
    if (touched.size === 0) return this.#result(this.#tree, this.#warnings);
    this.#rowsRead += patch.subscribers.length;
    if (this.#rowsRead > ROWS_PER_TABLE) this.#renewTables();
    const own = new PatchReader(snapshot, this.#tables, touched, nowMs);
    const changes = own.read(patch);
    const warnings = this.#warnings.filter(({ classId }) => classId === null || !touched.has(classId));
    const problems = own.problems.items.length === 0 ? warnings : [...warnings, ...own.problems.items];
    if (own.problems.errorCount > 0) {
      this.#needsReplace = true;
      return this.#result(null, problems);
    }
    this.#warnings = problems;
    if (this.#take(snapshot, changes)) this.#tree = buildTree(snapshot);
    return this.#result(this.#tree, problems);
  }

  /** Lets go who has expired by `nowMs`. The tree is the same object if nobody has. */
  tick(nowMs: number): CompileResult {
    return this.patch(NO_PATCH, nowMs);
  }

  #result(tree: ClassTree | null, problems: readonly Problem[]): CompileResult {
    const nextExpiryMs = this.#snapshot === null ? null : earliest(this.#snapshot.expiries);
    return { tree, problems, expired: this.#excused, nextExpiryMs };
  }

  /** True if a class came, went or changed. */
  #take(snapshot: Snapshot, changes: Changes): boolean {
    const { live, owners, expiries, expired } = snapshot;
    let isOther = false;
    for (const id of changes.classes.keys()) {
      for (const { text } of live.get(id)?.match ?? []) owners.delete(text);
    }
    for (const [text, id] of changes.owners) owners.set(text, id);
    for (const [id, spec] of changes.classes) {
      const endedMs = changes.expired.get(id);
      if (endedMs === undefined) this.#cutShort.delete(id);
      else this.#noteExpiry(id, endedMs);
      if (spec === null) isOther = live.delete(id) || isOther;
      else if (live.get(id) !== spec) {
        live.set(id, spec);
        isOther = true;
      }
      setOrDelete(expiries, id, changes.expiries.get(id));
      setOrDelete(expired, id, endedMs);
    }
    this.#excuse();
    return isOther;
  }

  /** To be called while the snapshot is still the one before. */
  #noteExpiry(id: string, endedMs: number): void {
    const before = this.#snapshot;
    if (before?.live.has(id) !== true) return;
    if (before.expiries.get(id) === endedMs) this.#cutShort.delete(id);
    else this.#cutShort.add(id);
  }

  #excuse(): void {
    const expired = this.#snapshot?.expired ?? new Map<string, number>();
    const excused = [...expired.keys()].filter((id) => !this.#cutShort.has(id));
    const isSame = excused.length === this.#excused.size && excused.every((id) => this.#excused.has(id));
    if (!isSame) this.#excused = new Set(excused);
  }

  #knownClasses(): ReadonlyMap<string, ClassSpec> {
    const snapshot = this.#snapshot;
    if (snapshot === null) return NOTHING;
    const known = new Map(snapshot.live);
    for (const site of snapshot.sites) known.set(site.id, site);
    return known;
  }

  /** Tables of what is in use: equal directions and queues stay one object in the trees to come. */
  #renewTables(): void {
    const tables = new SpecTables();
    this.#tables = tables;
    this.#rowsRead = 0;
    const snapshot = this.#snapshot;
    if (snapshot === null) return;
    const seen = new Set<unknown>([null]);
    const keep = ({ queue, down, up }: ClassSpec): void => {
      for (const direction of [down, up]) {
        if (direction === null || seen.has(direction)) continue;
        seen.add(direction);
        tables.directions.intern(direction);
      }
      if (seen.has(queue)) return;
      seen.add(queue);
      tables.queues.intern(queue);
    };
    tables.queues.intern(snapshot.settings.queue);
    for (const site of snapshot.sites) keep(site);
    for (const spec of snapshot.live.values()) keep(spec);
    for (const plan of snapshot.plans.values()) keep(plan.spec);
  }
}

function setOrDelete(map: Map<string, number>, id: string, value: number | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

function buildTree({ settings, sites, siteIndex, live }: Snapshot): ClassTree {
  const classes = [...sites];
  for (const spec of live.values()) classes.push(spec);
  const { defaultClass } = settings;
  return treeOf(
    settings,
    classes,
    defaultClass !== null && (live.has(defaultClass) || siteIndex.has(defaultClass)),
  );
}

/** Reads one patch against a snapshot, which it leaves alone. */
class PatchReader {
  readonly problems = new RowProblems();
  readonly #snapshot: Snapshot;
  readonly #reader: RowReader;
  readonly #touched: ReadonlySet<string>;
  readonly #nowMs: number;
  readonly #changes: Changes = {
    classes: new Map(),
    expired: new Map(),
    expiries: new Map(),
    owners: new Map(),
  };
  readonly #silent = { down: new SilentRoots('down'), up: new SilentRoots('up') };
  /** by row */
  readonly #planOfSilent = new Map<number, Plan | null>();

  constructor(snapshot: Snapshot, tables: SpecTables, touched: ReadonlySet<string>, nowMs: number) {
    this.#snapshot = snapshot;
    this.#reader = new RowReader(this.problems, tables, snapshot.settings.queue, snapshot.plans);
    this.#touched = touched;
    this.#nowMs = nowMs;
    this.problems.table = 'subscribers';
  }

  read(patch: SubscriberPatch): Changes {
    const rows = this.#readIds(patch);
    const matches = this.#readAddresses(patch.addresses, rows);
    for (const [id, { row, index }] of rows) {
      if (!this.#changes.expired.has(id)) this.#readClass(row, id, index, matches.get(id));
    }
    this.#reportSilent();
    this.#checkSums();
    this.#checkDefault();
    return this.#changes;
  }

  #readIds(patch: SubscriberPatch): Map<string, { row: RecordRow; index: number }> {
    const { expiries, expired } = this.#snapshot;
    const named = new Set(patch.ids);
    const rows = new Map<string, { row: RecordRow; index: number }>();
    patch.subscribers.forEach((row, index) => {
      const id = this.#reader.readId(row, index);
      if (id === '') return;
      if (rows.has(id)) this.problems.classError(id, index, 'id', 'is used by two rows');
      else if (this.#snapshot.siteIndex.has(id)) {
        this.problems.classError(id, index, 'id', 'is the id of a site, too');
      }
      rows.set(id, { row, index });
      const expiry = expiryOf(row.expires_at);
      if (typeof expiry === 'string') this.problems.classError(id, index, 'expires_at', expiry);
      else if (expiry !== null) {
        (expiry <= this.#nowMs ? this.#changes.expired : this.#changes.expiries).set(id, expiry);
      }
    });
    for (const id of this.#touched) {
      this.#changes.classes.set(id, null);
      // Without a row it is gone, unless only its time has come.
      if (rows.has(id) || named.has(id)) continue;
      const endedMs = expiries.get(id) ?? expired.get(id);
      if (endedMs !== undefined) this.#changes.expired.set(id, endedMs);
    }
    return rows;
  }

  #readAddresses(
    rows: readonly RecordRow[],
    subscribers: ReadonlyMap<string, unknown>,
  ): Map<string, PrefixSpec[]> {
    const { problems } = this;
    const matches = new Map<string, PrefixSpec[]>();
    for (const row of rows) {
      const id = idOf(row.subscriber) as string;
      if (!subscribers.has(id)) {
        problems.placeError(addressPlace(id, row.address), 'subscriber', unknownSubscriber(id));
        continue;
      }
      if (this.#changes.expired.has(id)) continue;
      const prefix = readAddress(row, id, problems);
      if (prefix === null) continue;
      const owner = this.#ownerOf(prefix.text);
      if (owner !== undefined) {
        problems.placeError(addressPlace(id, prefix.text), 'address', takenBy(prefix, owner, id));
        continue;
      }
      this.#changes.owners.set(prefix.text, id);
      const list = matches.get(id);
      if (list === undefined) matches.set(id, [prefix]);
      else list.push(prefix);
    }
    for (const list of matches.values()) list.sort(comparePrefixes);
    return matches;
  }

  #ownerOf(text: string): string | undefined {
    const taken = this.#changes.owners.get(text);
    if (taken !== undefined) return taken;
    const before = this.#snapshot.owners.get(text);
    return before === undefined || this.#touched.has(before) ? undefined : before;
  }

  #readClass(row: RecordRow, id: string, index: number, match: PrefixSpec[] | undefined): void {
    const { siteIndex, siteLevel, sites, live } = this.#snapshot;
    const rates = this.#reader.readRates(row, id, index);
    const siteId = idOf(row.site);
    const parent = siteId === undefined ? null : (siteId as string);
    const spec = reused(live, classOf(id, parent, match ?? NO_PREFIXES, rates));
    this.#changes.classes.set(id, spec);
    const site = parent === null ? NO_PARENT : siteIndex.get(parent);
    if (site === undefined) {
      this.problems.classError(id, index, 'site', `${quoted(siteId)} is not the id of a site`);
      return;
    }
    if (site !== NO_PARENT && siteLevel[site]! >= DEPTH_MAX) {
      const message = `puts the class on level ${DEPTH_MAX + 1}; a tree may have ${DEPTH_MAX} levels`;
      this.problems.classError(id, index, 'parent', message);
    }
    this.problems.planOf = () => rates.plan;
    for (const name of ['down', 'up'] as const) {
      const { limiter, assurer } = this.#snapshot[name];
      const above = site === NO_PARENT ? NO_PARENT : limiter[site]!;
      const assuredAbove = site === NO_PARENT ? NO_PARENT : assurer[site]!;
      checkAssured(sites, spec, index, assuredAbove, name, this.problems);
      if (this.#silent[name].take(spec, index)) this.#planOfSilent.set(index, rates.plan);
      else warnOfCeil(sites, spec, index, above, name, this.problems);
    }
    this.problems.planOf = () => null;
  }

  #reportSilent(): void {
    this.problems.planOf = (index) => this.#planOfSilent.get(index) ?? null;
    this.#silent.down.report(this.problems);
    this.#silent.up.report(this.problems);
  }

  #checkSums(): void {
    const { live, sites, owners } = this.#snapshot;
    let classes = live.size + sites.length;
    let prefixes = owners.size + this.#changes.owners.size;
    for (const [id, spec] of this.#changes.classes) {
      const before = live.get(id);
      classes += (spec === null ? 0 : 1) - (before === undefined ? 0 : 1);
      prefixes -= before?.match.length ?? 0;
    }
    if (classes > CLASSES_MAX) {
      const message = `hold ${classes} classes; a tree may have ${CLASSES_MAX}`;
      this.problems.placeError('sites and subscribers', '', message);
    }
    if (prefixes > MATCHES_MAX) {
      const message = `holds more than the ${MATCHES_MAX} prefixes a tree may have`;
      this.problems.placeError('addresses', '', message);
    }
  }

  /** The default class may have gone or expired with this patch, or may have got its first class below it. */
  #checkDefault(): void {
    const { settings, live, expired, siteIndex } = this.#snapshot;
    const id = settings.defaultClass;
    if (id === null) return;
    const isTouched = this.#touched.has(id);
    const isOver = isTouched ? this.#changes.expired.has(id) : expired.has(id);
    const isLive = isTouched ? this.#changes.classes.get(id) != null : live.has(id);
    let isInner = false;
    for (const spec of this.#changes.classes.values()) if (spec?.parent === id) isInner = true;
    const fault = defaultFault(id, isLive || isOver || siteIndex.has(id), isInner);
    if (fault !== null) this.problems.placeError('settings', 'default_class', fault);
    if (isTouched && isOver) this.problems.placeWarning('settings', id, 'default_class', defaultExpired(id));
  }
}
