/**
 * Publication and adoption of classes with the real publisher, class hash and tree: one address moves from plan to
 * plan, and a worker must always find it the plan of the epoch it is in.
 *
 *     epoch 1   site, and a with 10.0.0.1 at 10 Mbit/s
 *     epoch 2   a goes, b with 10.0.0.1 at 20 Mbit/s
 *     epoch 3   b goes, c with 10.0.0.1 at 30 Mbit/s
 *
 * With room for three classes, epoch 3 needs the index that a had; while a worker holds a, the publisher says that
 * there is no room, and tries again later. With room for four it takes another index. If the publisher is told
 * that a, b and c are one user, that user's class changes its shape, and epoch 3 may use that of epoch 1 again.
 */
import type { ClassSpec, ClassTree, DirectionSpec } from '../../classes/model.js';
import { NO_SETTINGS, type QueueSettings } from '../../classes/queue.js';
import { Publisher } from '../../src/control/publisher.js';
import { applyChanges } from '../../src/dataplane/adopt.js';
import { WeirError } from '../../src/errors.js';
import { ChangeApplier } from '../../src/htb/changes.js';
import { Htb } from '../../src/htb/htb.js';
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { PacketPool } from '../../src/htb/packet-pool.js';
import { ClassHashReader } from '../../src/shm/class-hash-reader.js';
import { letGo } from '../../src/shm/holds.js';
import {
  adoptedWord,
  createSharedShaper,
  EpochWord,
  type PublishedEpoch,
  type SharedShaper,
} from '../../src/shm/shared-shaper.js';
import { Direction, Shape } from '../../src/shm/tree-layout.js';
import type { PlainRule, SharedQueue, World } from './world.js';

export const NOW_NS = 1_000_000_000;
const ADDRESS = 0x0a000001;
const PLAN_BPS = 10_000_000;

export interface EpochWorld {
  readonly shared: SharedShaper;
  readonly handedOver: readonly SharedQueue<PublishedEpoch>[];
}

/** Memory that the explorer sees: the direction down, which workers use; up is written and never read. */
export function epochWorld(world: World, queues: number, capacity: number, rule: PlainRule): EpochWorld {
  const real = createSharedShaper(capacity, queues);
  const [down, up] = real.trees;
  world.allocationRule = rule;
  const shared: SharedShaper = {
    ...real,
    trees: [
      {
        ...down,
        shapes: world.float64('shapes', down.shapes.length, rule),
        classWords: world.int32('classWords', down.classWords.length, rule),
        fairWords: world.int32('fairWords', down.fairWords.length),
        holds: world.int32('holds', capacity),
        generationWords: world.int32('generations', down.generationWords.length),
      },
      { ...up, holds: world.int32('holds up', capacity) },
    ],
    epochWords: world.int32('epochWords', real.epochWords.length),
  };
  const handedOver = Array.from({ length: queues }, (_, q) => world.queue<PublishedEpoch>(`epochs ${q}`));
  return { shared, handedOver };
}

/** What a byte costs the address's class at an epoch. */
export function nsPerByteAt(epoch: number): number {
  return 8e9 / (PLAN_BPS * epoch);
}

function planOf(rateBps: number): DirectionSpec {
  return {
    rateBps,
    ceilBps: rateBps,
    burstBytes: 16_000,
    cburstBytes: 16_000,
    quantumBytes: 1500,
    prio: 0,
  };
}

const QUEUE: QueueSettings = { leaf: 'pfifo', limitPackets: 10 };

function treeAt(epoch: number, id: string, sitePlan: DirectionSpec): ClassTree {
  const common = { queue: QUEUE, up: null } as const;
  const site: ClassSpec = { ...common, id: 'site', parent: null, match: [], down: sitePlan };
  const match = [{ family: 4 as const, words: [ADDRESS], length: 32, text: '10.0.0.1/32' }];
  const down = planOf(PLAN_BPS * epoch);
  const user: ClassSpec = { ...common, id, parent: 'site', match, down };
  return {
    version: 1,
    defaultClass: null,
    overheadBytes: 0,
    mpuBytes: 0,
    linkLayer: 'ethernet',
    queue: NO_SETTINGS,
    classes: [site, user],
  };
}

export interface ControlOptions {
  readonly epochs: number;
  readonly capacity: number;
  /** One user changes plans, instead of one coming for the other. */
  readonly keepsUser?: boolean;
  /** How often it tries to publish before it gives up for lack of room. */
  readonly attempts?: number;
  readonly deliver?: (epoch: PublishedEpoch, handedOver: EpochWorld['handedOver']) => void;
}

/** The control thread: publishes the epochs; returns how many there was room for. */
export function control(world: World, { shared, handedOver }: EpochWorld, options: ControlOptions): number {
  const handOver = (epoch: PublishedEpoch): void => {
    for (const queue of handedOver) queue.push(epoch);
  };
  const deliver = options.deliver ?? handOver;
  return world.allocating(() => {
    const publisher = new Publisher(shared, { seed: 1, deliver: (epoch) => deliver(epoch, handedOver) });
    // The site's plan stays one and the same, so that only users' shapes change.
    const sitePlan = planOf(1e9);
    let attempts = options.attempts ?? options.epochs;
    while (publisher.epoch < options.epochs && attempts-- > 0) {
      try {
        const epoch = publisher.epoch + 1;
        publisher.publish(treeAt(epoch, options.keepsUser ? 'u' : `u${epoch}`, sitePlan), NOW_NS);
      } catch (error) {
        if (!(error instanceof WeirError && error.code === 'E_CAPACITY')) throw error;
      }
    }
    return publisher.epoch;
  });
}

/** Takes no part in the other direction. */
class NoChanges extends ChangeApplier {
  override set(): void {}
  override remove(): void {}
}

/** A worker's step as far as epochs are concerned; broken workers override parts of it. */
export class EpochWorker {
  readonly tree: Htb;
  protected readonly shared: SharedShaper;
  protected readonly source: SharedQueue<PublishedEpoch>;
  protected epoch = 0;
  protected hash: ClassHashReader | null = null;
  readonly #queue: number;
  readonly #appliers: readonly [ChangeApplier, ChangeApplier];

  constructor({ shared, handedOver }: EpochWorld, queue: number) {
    this.shared = shared;
    this.source = handedOver[queue]!;
    this.#queue = queue;
    this.tree = new Htb(shared.trees[Direction.DOWN], queue, new PacketPool(4));
    const up = new NoChanges(this.tree);
    const down = new ChangeApplier(this.tree, (index) => letGo(shared.trees[Direction.UP], queue, index));
    this.#appliers = [down, up];
  }

  /** Runs `steps` steps; the epoch of each, or what was wrong. */
  run(steps: number): string {
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      if (Atomics.load(this.shared.epochWords, EpochWord.PUBLISHED) !== this.epoch) this.adopt();
      this.usePackets();
      seen.push(this.epoch);
    }
    return seen.join();
  }

  protected adopt(): void {
    for (let next = this.source.take(); next !== null; next = this.source.take()) this.adoptOne(next);
    this.reportAdopted();
  }

  protected reportAdopted(): void {
    Atomics.store(this.shared.epochWords, adoptedWord(this.#queue), this.epoch);
  }

  protected adoptOne(next: PublishedEpoch): void {
    if (next.classHash !== null) this.hash = new ClassHashReader(next.classHash);
    applyChanges(next.changes, this.#appliers);
    this.epoch = next.epoch;
  }

  /** Classifies a packet and uses its class, as a batch does. */
  protected usePackets(): void {
    const classIndex = this.hash === null ? -1 : this.hash.lookup4(ADDRESS, this.epoch);
    if (this.epoch === 0 && classIndex < 0) return;
    this.betweenPasses();
    this.use(classIndex);
  }

  protected betweenPasses(): void {
    // A worker looks at other words between the passes over a batch; others can run there.
    Atomics.load(this.shared.epochWords, EpochWord.PORT_STATE);
  }

  protected use(classIndex: number): void {
    if (classIndex < 0) throw new Error(`epoch ${this.epoch}: the address has no class`);
    const { words } = this.tree.memory;
    const record = TreeMemory.recordOf(classIndex);
    const flags = words[record + Field.FLAGS]!;
    if ((flags & (Flag.IS_PRESENT | Flag.IS_INNER | Flag.IS_DRAINING)) !== Flag.IS_PRESENT)
      throw new Error(`epoch ${this.epoch}: class ${classIndex} is no present leaf`);
    this.checkPlan(classIndex, this.epoch);
  }

  /** A class's shape must be that of the plan of the epoch it was made in. */
  protected checkPlan(classIndex: number, madeIn: number): void {
    const shape = this.tree.memory.words[TreeMemory.recordOf(classIndex) + Field.SHAPE]!;
    const cost = this.shared.trees[Direction.DOWN].shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    if (cost !== nsPerByteAt(madeIn))
      throw new Error(`epoch ${this.epoch}: a byte of u${madeIn} costs ${cost} ns`);
  }
}
