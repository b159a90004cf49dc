/** A publisher and one worker that adopts each epoch at once, with memory rings that stay empty. */
import type { ClassTree } from '../classes/model.js';
import { Publisher, type PublishSummary } from '../src/control/publisher.js';
import { Worker } from '../src/dataplane/worker.js';
import { WeirError } from '../src/errors.js';
import { MemoryPort } from '../src/rings/memory.js';
import { adoptedWord, createSharedShaper, EpochQueue } from '../src/shm/shared-shaper.js';

const FRAMES = 1024;
const FRAME_BYTES = 2048;
const RING_SIZE = 128;
const CAPACITY_MIN = 65_536;

export class ClassesRig {
  #publisher: Publisher | null = null;
  #worker: Worker | null = null;
  #tree: ClassTree | null = null;
  #epochWords: Int32Array = new Int32Array();
  #nowNs = 1e9;

  /** In force. */
  get current(): { tree: ClassTree; epoch: number } {
    return { tree: this.#tree!, epoch: this.#publisher!.epoch };
  }

  /** Publishes, and lets the worker adopt. Throws E_BENCH when it has not. */
  publish(tree: ClassTree): PublishSummary {
    this.#nowNs += 1e6;
    if (this.#publisher === null) this.#build(tree);
    const summary = this.#publisher!.publish(tree, this.#nowNs);
    this.#worker!.step(this.#nowNs);
    if (Atomics.load(this.#epochWords, adoptedWord(0)) !== summary.epoch)
      throw new WeirError('E_BENCH', 'the worker has not adopted the epoch');
    this.#tree = tree;
    return summary;
  }

  #build(tree: ClassTree): void {
    const shared = createSharedShaper(Math.max(CAPACITY_MIN, Math.ceil(tree.classes.length * 1.02)), 1);
    const source = new EpochQueue();
    this.#publisher = new Publisher(shared, { seed: 1, deliver: (epoch) => source.push(epoch) });
    this.#epochWords = shared.epochWords;
    this.#worker = new Worker({
      queue: 0,
      shared,
      source,
      umem: new Uint8Array(new SharedArrayBuffer(FRAMES * FRAME_BYTES)),
      frames: FRAMES,
      frameBytes: FRAME_BYTES,
      ports: [new MemoryPort({ ringSize: RING_SIZE }).rings, new MemoryPort({ ringSize: RING_SIZE }).rings],
      capacityFlows: 4096,
      seed: 1,
    });
  }
}
