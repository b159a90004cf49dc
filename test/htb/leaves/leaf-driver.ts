/**
 * Drives fair leaves of one worker directly, without a tree above them. Packets are told apart by tags; a frame's number
 * is used again at once, as a worker's free list does. After each call the books are compared with what is known here.
 */
import * as assert from 'uvu/assert';
import { Field } from '../../../src/htb/layout.js';
import { FqCodel } from '../../../src/htb/leaves/fq-codel.js';
import { DropCause } from '../../../src/htb/leaves/leaf-queue.js';
import type { QueuedFrames } from '../../../src/htb/leaves/queued-frames.js';
import { type ClassStats, TreeMemory } from '../../../src/htb/memory.js';
import { Packet, PacketPool } from '../../../src/htb/packet-pool.js';
import { createSharedTree, LeafFlag, Shape } from '../../../src/shm/tree-layout.js';
import { FQ_DEFAULTS, type FqEvent, type FqPacket, type FqSettings } from '../../oracle/fq-reference.js';

export type LeafOptions = Partial<FqSettings>;

const CAUSES: readonly FqEvent['what'][] = (() => {
  const names: FqEvent['what'][] = [];
  names[DropCause.LIMIT] = 'limit';
  names[DropCause.CODEL] = 'codel';
  names[DropCause.EVICTED] = 'evicted';
  return names;
})();

export class LeafDriver {
  readonly queue: FqCodel;
  readonly pool: PacketPool;
  readonly memory: TreeMemory;
  readonly #leaves: DrivenLeaf[];
  readonly #held: { packet: FqPacket; leaf: number }[] = [];
  readonly #free: number[] = [];
  readonly #totals: number[] = CAUSES.map(() => 0);
  /** The leaf that is being called. */
  #called = 0;

  constructor(leaves: readonly LeafOptions[], capacityPackets = 1 << 14) {
    const shared = createSharedTree(leaves.length + 1, 1);
    this.memory = new TreeMemory(shared, 0);
    this.pool = new PacketPool(capacityPackets);
    for (let number = capacityPackets - 1; number >= 0; number--) this.#free.push(number);
    this.queue = new FqCodel(this.memory, this.pool, this.#frames());
    this.#leaves = leaves.map((options, index) => {
      const at = (index + 1) << Shape.SHIFT;
      this.#writeShape(at, { ...FQ_DEFAULTS, ...options });
      const record = TreeMemory.recordOf(index);
      this.memory.words[record + Field.SHAPE] = at;
      const { flows, isolate } = { ...FQ_DEFAULTS, ...options };
      const devices = isolate === 'host' ? flows : HASHES;
      return { record, flows, devices, packets: 0, bytes: 0, events: [] };
    });
  }

  setTime(nowUs: number): void {
    this.memory.clock[0] = nowUs * 1000;
    this.queue.beginStep();
  }

  backlogPackets(leaf = 0): number {
    return this.#leaves[leaf]!.packets;
  }

  takeEvents(leaf = 0): FqEvent[] {
    return this.#leaves[leaf]!.events.splice(0);
  }

  stats(leaf = 0): ClassStats {
    return this.memory.statsOf(leaf);
  }

  enqueue(packet: FqPacket, leaf = 0): boolean {
    const { record, flows, devices } = this.#begin(leaf);
    const number = this.#free.pop();
    if (number === undefined) throw new RangeError('the driver has no free packet');
    this.#held[number] = { packet, leaf };
    const hashes = [hashOf(packet.flow, flows), hashOf(packet.device, devices)] as const;
    const isAccepted = this.queue.enqueue(record, number, packet.bytes, ...hashes);
    if (isAccepted) this.#count(leaf, 1, packet.bytes);
    else this.#free.push(number);
    this.#settle();
    return isAccepted;
  }

  peek(leaf = 0): number {
    const number = this.queue.peek(this.#beginBacklogged(leaf).record);
    this.#settle();
    return this.#held[number]!.packet.tag;
  }

  dequeue(leaf = 0): number {
    return this.#leave(leaf, this.queue.dequeue(this.#beginBacklogged(leaf).record));
  }

  takeOut(leaf = 0): number {
    return this.#leave(leaf, this.queue.takeOut(this.#beginBacklogged(leaf).record));
  }

  evict(count: number, leaf = 0): number {
    const evicted = this.queue.evict(this.#begin(leaf).record, count);
    this.#settle();
    return evicted;
  }

  #begin(leaf: number): DrivenLeaf {
    this.#called = leaf;
    return this.#leaves[leaf]!;
  }

  /** For calls that only a leaf with packets may get. */
  #beginBacklogged(leaf: number): DrivenLeaf {
    assert.ok(this.backlogPackets(leaf) > 0, 'the leaf is empty');
    return this.#begin(leaf);
  }

  #leave(leaf: number, number: number): number {
    const { packet, leaf: home } = this.#held[number]!;
    assert.is(home, leaf, 'a packet left a leaf it was not in');
    assert.is(this.pool.words[(number << Packet.SHIFT) + Packet.LEN_BYTES], packet.bytes);
    this.#release(number);
    this.#settle();
    return packet.tag;
  }

  /** Takes a packet off the books; it has to be on them. */
  #release(number: number): FqPacket {
    const held = this.#held[number];
    assert.ok(held !== undefined, `packet ${number} left twice`);
    delete this.#held[number];
    this.#free.push(number);
    this.#count(held.leaf, -1, -held.packet.bytes);
    return held.packet;
  }

  #count(leaf: number, packets: number, bytes: number): void {
    this.#leaves[leaf]!.packets += packets;
    this.#leaves[leaf]!.bytes += bytes;
  }

  /** Takes dropped packets off the list, and looks whether the books agree. */
  #settle(): void {
    this.#takeDrops();
    let packets = 0;
    for (const leaf of this.#leaves) {
      const { words } = this.memory;
      packets += leaf.packets;
      assert.is(words[leaf.record + Field.BACKLOG_PACKETS], leaf.packets, 'packets of the leaf');
      assert.is(words[leaf.record + Field.BACKLOG_BYTES], leaf.bytes, 'bytes of the leaf');
      if (leaf.packets === 0) assert.is(words[leaf.record + Field.FLOW_COUNTS], 0, 'flows of an empty leaf');
    }
    assert.is(this.memory.backlog[0], packets, 'packets of all leaves');
    if (packets === 0) assert.is(this.pool.flows.used, 0, 'flows in use by nobody');
  }

  #takeDrops(): void {
    const { drops } = this.pool;
    const { events, packets } = this.#leaves[this.#called]!;
    if (drops.count === 0) return;
    const cause = CAUSES.findIndex((_, at) => drops.totals[at] !== this.#totals[at]);
    this.#totals[cause]! += drops.count;
    assert.equal(Array.from(drops.totals), this.#totals, 'one call drops for one cause');
    assert.ok(drops.count < packets, 'the last packet of a leaf was dropped');
    for (const number of drops.packets.subarray(0, drops.count)) {
      assert.is(this.#held[number]?.leaf, this.#called, 'a packet of another leaf was dropped');
      events.push({ what: CAUSES[cause]!, tag: this.#release(number).tag });
    }
    drops.count = 0;
  }

  #frames(): QueuedFrames {
    const packetOf = (number: number): FqPacket => this.#held[number]!.packet;
    return {
      markCe: (number) => {
        if (!packetOf(number).canMark) return false;
        // Drops before the mark come first.
        this.#takeDrops();
        this.#leaves[this.#called]!.events.push({ what: 'mark', tag: packetOf(number).tag });
        return true;
      },
      dscp: (number) => packetOf(number).dscp,
      wash: () => assert.unreachable('a leaf washes nothing itself'),
      flowHash: (number) => packetOf(number).flow,
      deviceHash: (number) => packetOf(number).device,
    };
  }

  #writeShape(at: number, settings: FqSettings): void {
    const { shapes } = this.memory.shared;
    const { ecn, isolate, diffserv } = settings;
    const flags: readonly (readonly [boolean, number])[] = [
      [ecn, LeafFlag.ECN],
      [isolate === 'host', LeafFlag.BY_DEVICE],
      [isolate === 'dual', LeafFlag.DEVICES_FIRST],
      [diffserv === 'diffserv3', LeafFlag.DIFFSERV3],
      [diffserv === 'diffserv4', LeafFlag.DIFFSERV4],
    ];
    shapes[at + Shape.LIMIT_PACKETS] = settings.limitPackets;
    shapes[at + Shape.LIMIT_BYTES] = settings.limitBytes;
    shapes[at + Shape.TARGET_US] = settings.targetUs;
    shapes[at + Shape.INTERVAL_US] = settings.intervalUs;
    const bits = flags.reduce((sum, [isSet, bit]) => sum + (isSet ? bit : 0), LeafFlag.IS_FAIR);
    shapes[at + Shape.LEAF] = bits | (settings.flows << LeafFlag.FLOWS_SHIFT);
  }
}

interface DrivenLeaf {
  record: number;
  /** How many hashes there are of either. */
  flows: number;
  devices: number;
  packets: number;
  bytes: number;
  events: FqEvent[];
}

const HASHES = 65_536;

/** A hash of its own for each number, which belongs to bucket `number` of so many, a power of two. */
function hashOf(number: number, buckets: number): number {
  return (((number % buckets) * (HASHES / buckets)) << 16) | ((number << 1) & 0xffff);
}
