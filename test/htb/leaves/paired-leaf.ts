/** The real leaf and the reference, driven alike: every packet that leaves, every drop and every mark has to be the same. */
import * as assert from 'uvu/assert';
import { type FqEvent, type FqPacket, FqReference } from '../../oracle/fq-reference.js';
import type { LeafDriver, LeafOptions } from './leaf-driver.js';

/** How much of what went before is shown with a difference. */
const LOG_LINES = 12;

export class PairedLeaf {
  readonly #driver: LeafDriver;
  readonly #leaf: number;
  readonly #reference: FqReference;
  /** Names the run in what fails. */
  readonly #where: string;
  #events: FqEvent[] = [];
  #log: string[] = [];

  /** Of leaf number `leaf` of a driver, which may have others. */
  constructor(driver: LeafDriver, leaf: number, options: LeafOptions, where: string) {
    this.#driver = driver;
    this.#leaf = leaf;
    this.#reference = new FqReference(options);
    this.#where = where;
  }

  get backlogPackets(): number {
    return this.#driver.backlogPackets(this.#leaf);
  }

  takeEvents(): FqEvent[] {
    return this.#events.splice(0);
  }

  beginStep(nowUs: number): void {
    this.#driver.setTime(nowUs);
    this.#reference.beginStep();
  }

  enqueue(nowUs: number, packet: FqPacket): void {
    const isAccepted = this.#driver.enqueue(packet, this.#leaf);
    assert.ok(isAccepted, `${this.#where}: refused`);
    this.#compare(nowUs, `enqueue ${packet.tag}`, () => this.#reference.enqueue(nowUs, packet));
  }

  peek(nowUs: number): number {
    const tag = this.#driver.peek(this.#leaf);
    this.#compare(nowUs, `peek ${tag}`, () => assert.is(tag, this.#reference.peek(nowUs)));
    return tag;
  }

  dequeue(nowUs: number): number {
    const tag = this.#driver.dequeue(this.#leaf);
    this.#compare(nowUs, `dequeue ${tag}`, () => assert.is(tag, this.#reference.dequeue(nowUs)));
    return tag;
  }

  evict(nowUs: number, count: number): void {
    const evicted = this.#driver.evict(count, this.#leaf);
    this.#compare(nowUs, `evict ${evicted}`, () => assert.is(evicted, this.#reference.evict(count)));
  }

  /** Does with the reference what has been done with the real leaf. Where flows are equally fat, it follows the leaf. */
  #compare(nowUs: number, what: string, act: () => void): void {
    const events = this.#driver.takeEvents(this.#leaf);
    const order = events.map(({ tag }) => tag);
    this.#reference.chooseFattest = (tags) => {
      const places = tags.map((tag) => order.indexOf(tag)).map((at) => (at < 0 ? order.length : at));
      return places.indexOf(Math.min(...places));
    };
    this.#log.push(`${nowUs} ${what}; ${textOf(events)}`);
    if (this.#log.length > LOG_LINES) this.#log.shift();
    const { sparseFlows, bulkFlows } = this.#driver.stats(this.#leaf);
    try {
      act();
      assert.is(textOf(events), textOf(this.#reference.takeEvents()));
      assert.equal({ sparse: sparseFlows, bulk: bulkFlows }, this.#reference.flowCounts);
    } catch (error) {
      const difference = error instanceof assert.Assertion ? error.details : '';
      throw new Error([this.#where, ...this.#log, difference].join('\n'), { cause: error });
    }
    this.#events.push(...events);
  }
}

function textOf(events: readonly FqEvent[]): string {
  return events.map(({ what, tag }) => `${what} ${tag}`).join(', ');
}
