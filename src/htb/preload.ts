/**
 * Loads into the cache what the next steps of a batch will look at. The classes of a large tree lie far apart, and a miss
 * costs more than all the work on a packet; but misses that do not wait for each other overlap. So these loops load for
 * a whole batch, and have no branch that could be mispredicted.
 */
import { LeafFlag, Shape, type SharedTree, Word } from '../shm/tree-layout.js';
import { Field } from './layout.js';
import { Flow } from './leaves/flow-pool.js';
import type { TreeMemory } from './memory.js';
import { Packet, type PacketPool } from './packet-pool.js';

export class Preload {
  readonly #words: Int32Array;
  readonly #packets: Int32Array;
  readonly #packetsMax: number;
  readonly #flows: Int32Array;
  readonly #shared: SharedTree;
  readonly #isShared: boolean;
  /** Leaves, and then their flows or packets. */
  #waiting = new Int32Array(256);
  /** A sum of what was loaded, so that no compiler drops the loads. */
  touched = 0;

  constructor(memory: TreeMemory, pool: PacketPool) {
    this.#words = memory.words;
    this.#packets = pool.words;
    this.#packetsMax = pool.capacityPackets;
    this.#flows = pool.flows.words;
    this.#shared = memory.shared;
    this.#isShared = memory.shared.queues > 1;
  }

  /** The first line of the records of `count` classes; negative indexes are none. */
  leaves(classIndexes: Int32Array, count: number): void {
    const words = this.#words;
    let sum = 0;
    for (let i = 0; i < count; i++)
      sum = (sum + words[(classIndexes[i]! + 1) * Field.CLASS_STRIDE + Field.BACKLOG_PACKETS]!) | 0;
    if (this.#isShared) {
      const classWords = this.#shared.classWords;
      for (let i = 0; i < count; i++)
        sum = (sum + classWords[Math.max(classIndexes[i]!, 0) << Word.SHIFT]!) | 0;
    }
    this.touched = sum;
  }

  /**
   * The second line and the last packet of the leaves that the packets not passed will wait in, and of a fair leaf its flow
   * and the first packet, which goes if the leaf is full.
   */
  queues(classIndexes: Int32Array, passes: Int32Array, count: number): void {
    const words = this.#words;
    const shapes = this.#shared.shapes;
    if (this.#waiting.length < count) this.#waiting = new Int32Array(count);
    const waiting = this.#waiting;
    let left = 0;
    for (let i = 0; i < count; i++) {
      // Record 0 stands for no class, and packet 0 for none.
      waiting[left] = (classIndexes[i]! + 1) * Field.CLASS_STRIDE;
      left += 1 - passes[i]!;
    }
    let rest = 0;
    for (let i = 0; i < left; i++) {
      const leaf = waiting[i]!;
      waiting[rest] = leaf;
      // A full pfifo will not look at them.
      const shape = words[leaf + Field.SHAPE]!;
      const isOpen = words[leaf + Field.BACKLOG_PACKETS]! < shapes[shape + Shape.LIMIT_PACKETS]!;
      rest += isOpen || (shapes[shape + Shape.LEAF]! & LeafFlag.IS_FAIR) !== 0 ? 1 : 0;
    }
    // The last packet of a pfifo, or a list of flows; a fair leaf with new flows only has nothing in the second word.
    for (let i = 0; i < rest; i++) {
      const leaf = waiting[i]!;
      const tail = words[leaf + Field.TAIL_PACKET]!;
      waiting[i] = tail !== 0 ? tail : words[leaf + Field.HEAD_PACKET]!;
    }
    this.#packetsOf(rest);
  }

  /** What waking the first `count` of `nodes`, and sending from them, will need. */
  nodes(nodes: Int32Array, count: number): void {
    const words = this.#words;
    if (this.#waiting.length < count) this.#waiting = new Int32Array(count);
    const waiting = this.#waiting;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const node = nodes[i]!;
      sum = (sum + words[node + Field.FLAGS]!) | 0;
      // In an inner class or a feed this is something else, and loading that flow or packet does no harm.
      waiting[i] = words[node + Field.HEAD_PACKET]!;
    }
    this.touched = sum;
    this.#packetsOf(count);
  }

  /** The first and last packets of the flows, or the packets themselves, that the first `count` words of `waiting` name. */
  #packetsOf(count: number): void {
    const flows = this.#flows;
    const packets = this.#packets;
    const packetsMax = this.#packetsMax;
    const waiting = this.#waiting;
    let sum = 0;
    let fair = 0;
    // First the flows alone, and what they name when all are on their way: the shorter a loop, the more misses overlap.
    for (let i = 0; i < count; i++) {
      const name = waiting[i]!;
      if (name < 0 && ~name < flows.length) {
        sum = (sum + flows[~name + Flow.TAIL]!) | 0;
        waiting[fair++] = ~name;
      } else sum = (sum + packets[(name > 0 && name <= packetsMax ? name - 1 : 0) << Packet.SHIFT]!) | 0;
    }
    for (let i = 0; i < fair; i++) {
      const head = flows[waiting[i]! + Flow.HEAD]!;
      const tail = flows[waiting[i]! + Flow.TAIL]!;
      sum = (sum + packets[(head > 0 ? head - 1 : 0) << Packet.SHIFT]!) | 0;
      sum = (sum + packets[(tail > 0 ? tail - 1 : 0) << Packet.SHIFT]!) | 0;
    }
    this.touched = sum;
  }
}
