/**
 * The short way through a tree: packets of a batch that leave without having been queued. See `Htb.pass`.
 */
import { LinkLayer } from '../shm/shared-shaper.js';
import { Shape } from '../shm/tree-layout.js';
import { Field, Flag } from './layout.js';
import type { Ledger } from './ledger.js';
import type { TreeMemory } from './memory.js';
import type { Tabs } from './sharing/tab.js';

export class Passing {
  readonly #memory: TreeMemory;
  readonly #ledger: Ledger;
  readonly #tabs: Tabs;
  readonly #isShared: boolean;
  #overheadBytes = 0;
  #mpuBytes = 0;
  #linkLayer = LinkLayer.ETHERNET;

  constructor(memory: TreeMemory, ledger: Ledger, tabs: Tabs) {
    this.#memory = memory;
    this.#ledger = ledger;
    this.#tabs = tabs;
    this.#isShared = memory.shared.queues > 1;
  }

  setLinkLayer(overheadBytes: number, mpuBytes: number, linkLayer: LinkLayer): void {
    this.#overheadBytes = overheadBytes;
    this.#mpuBytes = mpuBytes;
    this.#linkLayer = linkLayer;
  }

  /** What a packet of `lenBytes` layer-2 bytes is charged for. */
  chargedBytes(lenBytes: number): number {
    const bytes = lenBytes + this.#overheadBytes;
    return onLink(bytes > this.#mpuBytes ? bytes : this.#mpuBytes, this.#linkLayer);
  }

  /** `room` is 0 while some leaf with assured tokens waits for its turn. */
  pass(classIndexes: Int32Array, lengths: Int32Array, passes: Int32Array, count: number, room: number): void {
    const { words, doubles } = this.#memory;
    const shapes = this.#memory.shared.shapes;
    const ledger = this.#ledger;
    const tabs = this.#tabs;
    const isShared = this.#isShared;
    const nowNs = this.#memory.clock[0]!;
    const overheadBytes = this.#overheadBytes;
    const mpuBytes = this.#mpuBytes;
    const linkLayer = this.#linkLayer;
    let left = room;
    for (let i = 0; i < count; i++) {
      const leaf = (classIndexes[i]! + 1) * Field.CLASS_STRIDE;
      passes[i] = 0;
      if (leaf <= 0 || left === 0) continue;
      const at = leaf >> 1;
      const isIdle = words[leaf + Field.BACKLOG_PACKETS] === 0;
      if (!isIdle || (words[leaf + Field.FLAGS]! & (Flag.HAS_CLAIM | Flag.MUST_QUEUE)) !== 0) continue;
      const shape = words[leaf + Field.SHAPE]!;
      const lenBytes = lengths[i]!;
      const charged = lenBytes + overheadBytes;
      const bytes = onLink(charged > mpuBytes ? charged : mpuBytes, linkLayer);
      let ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
      if (ceilFullAtNs - nowNs > shapes[shape + Shape.CEIL_LIMIT_NS]!) continue;
      const ceilCostNs = bytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
      const rateLimitNs = shapes[shape + Shape.RATE_LIMIT_NS]!;
      let rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
      if (rateFullAtNs - nowNs > rateLimitNs) continue;
      const rateCostNs = bytes * shapes[shape + Shape.RATE_NS_PER_BYTE]!;
      const parent = words[leaf + Field.PARENT]!;
      if (parent !== 0 && words[parent + Field.LEDGER_BUDGET]! < bytes && !ledger.extend(parent, bytes))
        continue;
      if (isShared) {
        if (!tabs.drawOwn(leaf, bytes)) continue;
        ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
        rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
      }
      if (parent !== 0) {
        words[parent + Field.LEDGER_BUDGET]! -= bytes;
        words[parent + Field.LEDGER_BYTES]! += lenBytes;
        words[parent + Field.LEDGER_PACKETS]! += 1;
      }
      doubles[at + Field.D_CEIL_FULL_AT_NS] = (ceilFullAtNs > nowNs ? ceilFullAtNs : nowNs) + ceilCostNs;
      // A class whose rate is its ceil has the ceil's bucket only.
      if (rateCostNs !== 0)
        doubles[at + Field.D_RATE_FULL_AT_NS] = (rateFullAtNs > nowNs ? rateFullAtNs : nowNs) + rateCostNs;
      if (isShared) {
        doubles[at + Field.D_RATE_TAB_NS]! += rateCostNs;
        doubles[at + Field.D_CEIL_TAB_NS]! += ceilCostNs;
      }
      doubles[at + Field.D_BYTES]! += lenBytes;
      doubles[at + Field.D_PACKETS]! += 1;
      passes[i] = 1;
      left--;
    }
    ledger.close();
  }
}

/**
 * What `bytes` take on the link, as tc (tc_core.c, tc_align_to_atm) and sch_cake count them: ATM carries 48 bytes in each cell
 * of 53, VDSL's PTM adds a byte to every 64.
 */
function onLink(bytes: number, linkLayer: LinkLayer): number {
  if (linkLayer === LinkLayer.ETHERNET) return bytes;
  return linkLayer === LinkLayer.ATM ? (((bytes + 47) / 48) | 0) * 53 : bytes + ((bytes + 63) >> 6);
}
