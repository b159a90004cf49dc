/**
 * The daemon's classes: what is in force, what it has counted, where it comes from, and where usage goes.
 *
 *     source ──▶ ClassFeed ──trees──▶ Publisher ──epochs──▶ workers ──counters──▶ ClassMeter ──▶ Accountant
 */
import { isDeepStrictEqual } from 'node:util';
import { defer, type Observable, retry, Subscription, timer } from 'rxjs';
import type { ClassTree } from '../../classes/model.js';
import { openSource } from '../../classes/source/open.js';
import type { ClassSource, SourceResult, SourceSpec } from '../../classes/source/source.js';
import { isStoreUrl, redactUrl } from '../../classes/stores/url.js';
import { Accountant } from '../accounting/accountant.js';
import { type DaemonConfig, isAccounting, sourceSpec, unknownClass } from '../config/config.js';
import type { WeirError } from '../errors.js';
import { ClassMeter } from '../metrics/class-meter.js';
import type { StatsHeader } from '../metrics/report.js';
import type { PublishedEpoch, SharedShaper } from '../shm/shared-shaper.js';
import type { ClassesRequest } from './api.js';
import { ClassFeed } from './class-feed.js';
import { applyReport, planReport, reloadReport } from './feed-report.js';
import { LastGood } from './last-good.js';
import type { Logger } from './log.js';
import { Publisher, type PublishSummary } from './publisher.js';

const FRESHEN_EVERY_NS = 300e9;
const ACCOUNTING_RETRY_MS = 5000;

export interface ClassServiceOptions {
  readonly config: DaemonConfig;
  readonly source: ClassSource;
  /** What the source had when it was loaded last: a valid tree. */
  readonly loaded: SourceResult;
  readonly shared: SharedShaper;
  readonly seed: number;
  readonly log: Logger;
  /** The workers' clock. */
  readonly nowNs: () => number;
  /** Hands an epoch to every worker, before it becomes visible. */
  readonly deliver: (epoch: PublishedEpoch) => void;
  /** Lets the workers look, once it is visible. */
  readonly wake: () => void;
}

export class ClassService {
  readonly publisher: Publisher;
  readonly meter: ClassMeter;
  readonly #options: ClassServiceOptions;
  readonly #feed: ClassFeed;
  readonly #accountant: Accountant;
  /** Null for files, which are their own copy. */
  readonly #lastGood: LastGood | null;
  readonly #subscription = new Subscription();
  /** In force. */
  #tree: ClassTree;
  #freshenedAtNs = 0;

  constructor(options: ClassServiceOptions) {
    const { config, source, loaded, shared, seed, log, deliver } = options;
    this.#options = options;
    this.#tree = loaded.tree!;
    this.meter = new ClassMeter(shared.epochWords, isAccounting(config));
    this.publisher = new Publisher(shared, { seed, deliver, watcher: this.meter });
    this.#feed = new ClassFeed({
      source,
      unknownClass: unknownClass(config),
      isWatched: config.classes.watch,
      guardPercent: config.classes.guardPercent,
      log,
      current: () => ({ tree: this.#tree, epoch: this.publisher.epoch }),
      publish: (tree) => this.#publish(tree),
    });
    const isStore = isStoreUrl(config.classes.source);
    const copy = LastGood.pathOf(config.classes.stateFolder, source.label);
    this.#lastGood = isStore ? new LastGood(copy, log) : null;
    const { intervalSeconds, checkpointSeconds, spool } = config.accounting;
    this.#accountant = new Accountant({
      store: sourceSpec(config),
      spool,
      intervalSeconds,
      checkpointSeconds,
      log,
      meter: this.meter,
    });
  }

  /** Publishes the classes that were loaded. Throws E_CAPACITY. */
  publishFirst(): void {
    this.#publish(this.#tree);
  }

  /** Begins to follow the source and to write usage. */
  start(): void {
    const { config, loaded } = this.#options;
    this.#feed.start(loaded.nextExpiryMs);
    if (isAccounting(config)) this.#subscription.add(this.#startAccounting());
  }

  /** Changes no class any more. */
  async freeze(): Promise<void> {
    await this.#feed.stop();
  }

  /** Writes down what was counted; to be called when the workers have ended. */
  async stop(): Promise<void> {
    this.#subscription.unsubscribe();
    await this.#accountant.stop();
    await this.#lastGood?.stop();
  }

  /** To be called about once a second. */
  sample(nowNs: number): void {
    this.meter.sample(nowNs);
    this.publisher.reclaim();
    if (nowNs - this.#freshenedAtNs < FRESHEN_EVERY_NS) return;
    this.#freshenedAtNs = nowNs;
    this.publisher.freshen(nowNs);
  }

  get count(): number {
    return this.#tree.classes.length;
  }

  status(): Pick<StatsHeader, 'epoch' | 'source' | 'accounting'> {
    const { epoch } = this.publisher;
    return { epoch, source: this.#feed.status(), accounting: this.#accountant.status() };
  }

  // ---- the API's requests: the documents are feed-report.ts's ---------------------------------------------

  async reload(): Promise<object> {
    const { log } = this.#options;
    const result = await this.#feed.reload();
    for (const warning of result.warnings) log.warn(warning);
    log.info(result.summary, 'classes re-read');
    return reloadReport(result);
  }

  async plan({ source, asText }: ClassesRequest): Promise<object> {
    const plan = await this.#withSource(source, (one) => this.#feed.plan(one));
    return planReport(plan, this.publisher.epoch, asText);
  }

  async apply({ source, isForced, asText }: ClassesRequest): Promise<object> {
    const result = await this.#withSource(source, (one) => this.#feed.apply(isForced, one));
    const from = source === null ? undefined : redactUrl(source.url);
    this.#options.log.info({ ...result.summary, source: from }, 'classes applied');
    return applyReport(result, asText);
  }

  /** With the daemon's own source, or with one that is opened for this only. */
  async #withSource<T>(spec: SourceSpec | null, work: (source: ClassSource) => Promise<T>): Promise<T> {
    const { source, config } = this.#options;
    // The daemon knows its own source well: most of it need not be read again.
    if (spec === null || isDeepStrictEqual(spec, sourceSpec(config))) return work(source);
    const other = openSource(spec, { isStrict: true });
    try {
      return await work(other);
    } finally {
      await other.close();
    }
  }

  #publish(tree: ClassTree): PublishSummary {
    const { nowNs, wake } = this.#options;
    const summary = this.publisher.publish(tree, nowNs());
    this.#tree = tree;
    wake();
    this.#lastGood?.note(tree);
    return summary;
  }

  /**
   * Nobody's traffic is to suffer because it cannot be counted: it is tried again and again, as long as an earlier daemon
   * has the spool, or the disk is full.
   */
  #startAccounting(): Subscription {
    const { log } = this.#options;
    let reason: string | null = null;
    const retried = (error: WeirError): Observable<0> => {
      if (error.message !== reason)
        log.error({ code: error.code, reason: error.message }, 'usage is counted, but cannot be written yet');
      reason = error.message;
      return timer(ACCOUNTING_RETRY_MS);
    };
    return defer(() => this.#accountant.start())
      .pipe(retry({ delay: retried }))
      .subscribe();
  }
}
