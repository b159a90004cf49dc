/**
 * A worker's tabs on the shared buckets: what it has used and not yet charged (see bucket.ts). The record's
 * `fullAt` is the worker's own view of the bucket: the shared word as last seen plus the tab.
 */
import { Shape, Word } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import type { TreeMemory } from '../memory.js';
import { bucketDebtUs, DEBT_US_MAX, drawBucket, returnToBucket } from './bucket.js';

export class Tabs {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #classWords: Int32Array;
  /** Failed compare-exchanges would show as draws; both are counted for the benchmarks. */
  draws = 0;
  refusals = 0;

  constructor(memory: TreeMemory) {
    this.#words = memory.words;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#classWords = memory.shared.classWords;
  }

  /**
   * Makes room for `costNs` on the rate bucket: nothing to do while the tab allows it, otherwise the tab and this
   * cost are charged together, if the debt is at most `limitNs`. False when the bucket does not give.
   */
  drawRate(record: number, costNs: number, limitNs: number, nowNs: number): boolean {
    const tab = this.#shapes[this.#words[record + Field.SHAPE]! + Shape.RATE_TAB_NS]!;
    if (this.#doubles[(record >> 1) + Field.D_RATE_TAB_NS]! + costNs <= tab) return true;
    return this.#draw(record, Field.D_RATE_FULL_AT_NS, Word.RATE_FULL_AT_US, costNs, limitNs, nowNs);
  }

  drawCeil(record: number, costNs: number, limitNs: number, nowNs: number): boolean {
    const tab = this.#shapes[this.#words[record + Field.SHAPE]! + Shape.CEIL_TAB_NS]!;
    if (this.#doubles[(record >> 1) + Field.D_CEIL_TAB_NS]! + costNs <= tab) return true;
    return this.#draw(record, Field.D_CEIL_FULL_AT_NS, Word.CEIL_FULL_AT_US, costNs, limitNs, nowNs);
  }

  /** Puts what a packet has cost on the tabs. */
  add(record: number, rateCostNs: number, ceilCostNs: number): void {
    const at = record >> 1;
    this.#doubles[at + Field.D_RATE_TAB_NS]! += rateCostNs;
    this.#doubles[at + Field.D_CEIL_TAB_NS]! += ceilCostNs;
  }

  /** Looks at the shared words again. */
  refresh(record: number, nowNs: number): void {
    const base = classWordsOf(record);
    const at = record >> 1;
    const nowUs = Math.floor(nowNs / 1000);
    const rateDebtUs = bucketDebtUs(this.#classWords, base + Word.RATE_FULL_AT_US, nowUs | 0);
    const ceilDebtUs = bucketDebtUs(this.#classWords, base + Word.CEIL_FULL_AT_US, nowUs | 0);
    const doubles = this.#doubles;
    doubles[at + Field.D_RATE_FULL_AT_NS] = (nowUs + rateDebtUs) * 1000 + doubles[at + Field.D_RATE_TAB_NS]!;
    doubles[at + Field.D_CEIL_FULL_AT_NS] = (nowUs + ceilDebtUs) * 1000 + doubles[at + Field.D_CEIL_TAB_NS]!;
  }

  /** Squares the tabs: charges what is owed, gives back what was charged ahead. Done when a class goes idle. */
  settle(record: number, nowNs: number): void {
    this.#settleOne(record, Field.D_RATE_TAB_NS, Word.RATE_FULL_AT_US, nowNs);
    this.#settleOne(record, Field.D_CEIL_TAB_NS, Word.CEIL_FULL_AT_US, nowNs);
  }

  #settleOne(record: number, tabField: number, word: number, nowNs: number): void {
    const at = (record >> 1) + tabField;
    const wholeUs = Math.trunc(this.#doubles[at]! / 1000);
    if (wholeUs === 0) return;
    const index = classWordsOf(record) + word;
    if (wholeUs > 0) drawBucket(this.#classWords, index, Math.floor(nowNs / 1000) | 0, wholeUs, DEBT_US_MAX);
    else returnToBucket(this.#classWords, index, -wholeUs);
    this.#doubles[at]! -= wholeUs * 1000;
  }

  #draw(
    record: number,
    fullAtField: number,
    word: number,
    costNs: number,
    limitNs: number,
    nowNs: number,
  ): boolean {
    const at = record >> 1;
    const doubles = this.#doubles;
    const tabAt = at + fullAtField + (Field.D_RATE_TAB_NS - Field.D_RATE_FULL_AT_NS);
    const tab = doubles[tabAt]!;
    const nowUs = Math.floor(nowNs / 1000);
    const wholeUs = Math.floor((tab + costNs) / 1000);
    const maxDebtUs = Math.floor((limitNs - tab + nowNs) / 1000 - nowUs);
    const debtUs = drawBucket(
      this.#classWords,
      classWordsOf(record) + word,
      nowUs | 0,
      wholeUs > 0 ? wholeUs : 0,
      maxDebtUs < DEBT_US_MAX ? maxDebtUs : DEBT_US_MAX,
    );
    this.draws++;
    if (debtUs < 0) {
      this.refusals++;
      const seen = (nowUs - debtUs - 1) * 1000 + tab;
      // One nanosecond over the limit at least, so that rounding never makes the same packet try again now.
      doubles[at + fullAtField] = Math.max(seen, nowNs + limitNs + 1);
      return false;
    }
    doubles[at + fullAtField] = (nowUs + debtUs) * 1000 + tab;
    if (wholeUs > 0) doubles[tabAt] = tab - wholeUs * 1000;
    return true;
  }
}

function classWordsOf(record: number): number {
  return ((record >> Field.CLASS_SHIFT) - 1) << Word.SHIFT;
}
