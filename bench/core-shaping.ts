/**
 * The worker's tree alone: what of its step corresponds to a scheduler of packets that somebody else has parsed and
 * classified. Each batch is given with class, length and hash of its packets; timed is what the worker does with it from
 * there on (`Lane`): loading records, passing, queueing, sending into the TX ring, and taking back the frames of what was
 * dropped. The frames of what was sent come back between the timed stretches.
 */
import { BATCH_MAX, KEY_WORDS_SHIFT, KIND_IPV4, PacketBatch } from '../src/dataplane/batch.js';
import { ClassHashReader } from '../src/shm/class-hash-reader.js';
import { Direction } from '../src/shm/tree-layout.js';
import {
  addressOf,
  FRAME_BYTES,
  MemoryRig,
  type Published,
  RING_SIZE,
  type RigSpec,
  SLOT_BYTES,
} from './core-rig.js';

/** Its flow table is not used. */
const CAPACITY_FLOWS = 1;
const FLOW_HASH_FACTOR = 0x9e3779b1;

export class ShapingRig extends MemoryRig {
  private readonly batch = new PacketBatch();
  /** By leaf. */
  private readonly classIndexes: Int32Array;
  private given = 0;

  constructor(spec: RigSpec, published: Published) {
    super(spec, published, 0, CAPACITY_FLOWS);
    const classHash = new ClassHashReader(this.epoch.classHash!);
    this.classIndexes = Int32Array.from({ length: spec.classes }, (_, leaf) =>
      classHash.lookup4(addressOf(leaf), this.epoch.epoch),
    );
  }

  turn(): number {
    const { worker, batch } = this;
    const lane = worker.lanes[Direction.DOWN];
    const count = this.fillBatch();
    this.nextStep();
    const startMs = performance.now();
    worker.clock[0] = this.nowNs;
    lane.begin();
    lane.enqueue(batch, count);
    lane.end();
    worker.takeDropped();
    this.busyMs += performance.now() - startMs;
    this.drainTx();
    return count;
  }

  get received(): number {
    return this.given;
  }

  private fillBatch(): number {
    const { batch, classIndexes, visits } = this;
    const { free } = this.worker;
    const { classes } = this.spec;
    const count = Math.min(BATCH_MAX, free.count);
    visits.draw(count);
    for (let i = 0; i < count; i++) {
      const flow = visits.drawn[i]!;
      const leaf = flow % classes;
      batch.addr[i] = free.frames[--free.count]! * SLOT_BYTES;
      batch.lenBytes[i] = FRAME_BYTES;
      batch.kind[i] = KIND_IPV4;
      batch.key[(i << KEY_WORDS_SHIFT) + 1] = addressOf(leaf);
      batch.hash[i] = Math.imul(flow + 1, FLOW_HASH_FACTOR);
      batch.classIndex[i] = classIndexes[leaf]!;
    }
    this.given += count;
    return count;
  }

  private drainTx(): void {
    const { tx } = this.other.nic;
    const { free } = this.worker;
    const count = tx.peek(RING_SIZE);
    for (let i = 0; i < count; i++) free.frames[free.count++] = tx.addrAt(tx.cachedCons + i) / SLOT_BYTES;
    tx.release(count);
  }
}
