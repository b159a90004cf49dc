/**
 * A worker's tabs on the shared buckets: what it has used and not yet charged (see bucket.ts). The record's
 * `fullAt` is the worker's own view of the bucket: the shared word as last seen plus the tab.
 */
import { Shape, Word } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import { TreeMemory } from '../memory.js';
import { bucketDebtUs, COST_NS_MAX, DEBT_US_MAX, drawBucket, returnToBucket } from './bucket.js';

const COST_NS = 0;
const LIMIT_NS = 1;

export class Tabs {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #classWords: Int32Array;
  /** What is to be drawn, COST_NS and LIMIT_NS. */
  readonly #asked = new Float64Array(2);

  constructor(memory: TreeMemory) {
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#classWords = memory.shared.classWords;
  }

  /**
   * Makes room for `bytes` on the ceil bucket: nothing to do while the tab allows it, otherwise the tab and these
   * bytes are charged together, if the debt is at most the shape's `limitField`. False when the bucket refuses.
   */
  drawCeil(record: number, bytes: number, limitField: number): boolean {
    const shapes = this.#shapes;
    const shape = this.#words[record + Field.SHAPE]!;
    const costNs = bytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    if (this.#doubles[(record >> 1) + Field.D_CEIL_TAB_NS]! + costNs <= shapes[shape + Shape.CEIL_TAB_NS]!)
      return true;
    this.#asked[COST_NS] = costNs;
    this.#asked[LIMIT_NS] = shapes[shape + limitField]!;
    return this.#draw(record, Field.D_CEIL_FULL_AT_NS, Word.CEIL_FULL_AT_US);
  }

  /** The same for the rate bucket, where bytes cost `factor` times as much; without limit above the lender. */
  drawRate(record: number, bytes: number, factor: number, isLimited: boolean): boolean {
    const shapes = this.#shapes;
    const shape = this.#words[record + Field.SHAPE]!;
    const costNs = Math.min(bytes * shapes[shape + Shape.RATE_NS_PER_BYTE]! * factor, COST_NS_MAX);
    if (this.#doubles[(record >> 1) + Field.D_RATE_TAB_NS]! + costNs <= shapes[shape + Shape.RATE_TAB_NS]!)
      return true;
    this.#asked[COST_NS] = costNs;
    this.#asked[LIMIT_NS] = isLimited ? shapes[shape + Shape.RATE_LIMIT_NS]! : Number.POSITIVE_INFINITY;
    return this.#draw(record, Field.D_RATE_FULL_AT_NS, Word.RATE_FULL_AT_US);
  }

  /** Room for `bytes` on both buckets of a class that pays for itself. False when one refuses; nothing is charged then. */
  drawOwn(record: number, bytes: number): boolean {
    if (this.drawCeil(record, bytes, Shape.CEIL_LIMIT_NS) && this.drawRate(record, bytes, 1, true))
      return true;
    this.giveBack(record);
    return false;
  }

  /** Pays a tab that is half used up, and looks at the shared words. */
  renew(record: number): void {
    const at = record >> 1;
    const doubles = this.#doubles;
    const shape = this.#words[record + Field.SHAPE]!;
    const isCeilHigh = doubles[at + Field.D_CEIL_TAB_NS]! * 2 > this.#shapes[shape + Shape.CEIL_TAB_NS]!;
    const isRateHigh = doubles[at + Field.D_RATE_TAB_NS]! * 2 > this.#shapes[shape + Shape.RATE_TAB_NS]!;
    if (!isCeilHigh && !isRateHigh) return;
    this.settle(record);
    this.refresh(record);
  }

  /** Looks at the shared words again. */
  refresh(record: number): void {
    const nowNs = this.#clock[0]!;
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
  settle(record: number): void {
    this.#settleOne(record, Field.D_RATE_TAB_NS, Word.RATE_FULL_AT_US);
    this.#settleOne(record, Field.D_CEIL_TAB_NS, Word.CEIL_FULL_AT_US);
  }

  /** Gives back what was charged ahead for a packet that cannot leave. */
  giveBack(record: number): void {
    const at = record >> 1;
    if (this.#doubles[at + Field.D_RATE_TAB_NS]! < 0)
      this.#settleOne(record, Field.D_RATE_TAB_NS, Word.RATE_FULL_AT_US);
    if (this.#doubles[at + Field.D_CEIL_TAB_NS]! < 0)
      this.#settleOne(record, Field.D_CEIL_TAB_NS, Word.CEIL_FULL_AT_US);
  }

  #settleOne(record: number, tabField: number, word: number): void {
    const nowNs = this.#clock[0]!;
    const at = (record >> 1) + tabField;
    const wholeUs = Math.ceil(this.#doubles[at]! / 1000);
    if (wholeUs === 0) return;
    const index = classWordsOf(record) + word;
    if (wholeUs > 0) drawBucket(this.#classWords, index, Math.floor(nowNs / 1000) | 0, wholeUs, DEBT_US_MAX);
    else returnToBucket(this.#classWords, index, -wholeUs);
    this.#doubles[at]! -= wholeUs * 1000;
  }

  /** Draws what `#asked` says: doubles handed over as arguments would be allocated. */
  #draw(record: number, fullAtField: number, word: number): boolean {
    const at = record >> 1;
    const doubles = this.#doubles;
    const costNs = this.#asked[COST_NS]!;
    const limitNs = this.#asked[LIMIT_NS]!;
    const tabAt = at + fullAtField + (Field.D_RATE_TAB_NS - Field.D_RATE_FULL_AT_NS);
    const tab = doubles[tabAt]!;
    const nowNs = this.#clock[0]!;
    const nowUs = Math.floor(nowNs / 1000);
    // Rounded up: what was left over would count as debt that no time pays off, and where the limit is 0 stop the class.
    const wholeUs = Math.ceil((tab + costNs) / 1000);
    const roomUs = Math.floor((limitNs - tab + nowNs) / 1000 - nowUs);
    const maxDebtUs = Math.min(Math.max(roomUs, -0x80000000), DEBT_US_MAX) | 0;
    const debtUs = drawBucket(
      this.#classWords,
      classWordsOf(record) + word,
      nowUs | 0,
      wholeUs > 0 ? wholeUs | 0 : 0,
      maxDebtUs,
    );
    const seen = (nowUs - debtUs - 1) * 1000 + tab;
    if (debtUs < 0 && limitNs === Number.POSITIVE_INFINITY) {
      // Above the lender nothing refuses. The word is at the most that it can say; what goes beyond is forgiven.
      doubles[at + fullAtField] = seen;
      doubles[tabAt] = tab - wholeUs * 1000;
      return true;
    }
    if (debtUs < 0) {
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
  return TreeMemory.classIndexOf(record) << Word.SHIFT;
}
