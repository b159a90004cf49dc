/** The thread of one queue in `share-threads.ts`: steps its worker until the scenario's time is over. */
import { parentPort, workerData } from 'node:worker_threads';
import { EpochQueue } from '../src/shm/shared-shaper.js';
import { Subscribers } from '../src/sim/frames.js';
import { Meters } from '../src/sim/meters.js';
import { numberFlows } from '../src/sim/numbering.js';
import { ORIGIN_NS } from '../src/sim/pace.js';
import { SimQueue } from '../src/sim/sim-queue.js';
import { Gate, PATIENCE_MS, type ShareThreadData, type ShareThreadResult } from './share-threads.js';

/** A turn takes some 10 µs; in a gap as long as this the thread did not run, or collected garbage. */
const STALL_NS = 500_000;

const data = workerData as ShareThreadData;
const { scenario, classNumbers, gate } = data;
const source = new EpochQueue();
source.push(data.epoch);
const { meterOfFlow } = numberFlows(scenario.flows);
const meters = new Meters(meterOfFlow, classNumbers.size * 2);
const subscribers = new Subscribers(scenario.flows, classNumbers);
const queue = new SimQueue({ ...data, source, subscribers, meters, originNs: ORIGIN_NS });

// Takes the classes over and gives the cards frames to receive into, before the first packet.
queue.worker.step(ORIGIN_NS);
// The last that is ready opens the gate for all.
if (Atomics.add(gate, Gate.READY, 1) + 1 === scenario.queues) {
  Atomics.store(gate, Gate.OPEN, 1);
  Atomics.notify(gate, Gate.OPEN);
}
if (Atomics.wait(gate, Gate.OPEN, 0, PATIENCE_MS) === 'timed-out')
  throw new Error('the other threads are not ready');
const [startSeconds, startNanoseconds] = process.hrtime();

function nowNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds - startSeconds) * 1e9 + (nanoseconds - startNanoseconds) + ORIGIN_NS;
}

const windowNs = scenario.windowMs * 1e6;
const endNs = ORIGIN_NS + scenario.seconds * 1e9;
let windowEndNs = ORIGIN_NS + windowNs;
let stalledNs = 0;
for (let now = nowNs(), before = ORIGIN_NS; now < endNs; now = nowNs()) {
  if (now - before > STALL_NS) stalledNs += now - before;
  before = now;
  for (; windowEndNs <= now; windowEndNs += windowNs) meters.endWindow();
  queue.run(now);
}
for (; windowEndNs <= endNs; windowEndNs += windowNs) meters.endWindow();
const stalledShare = stalledNs / (endNs - ORIGIN_NS);
parentPort!.postMessage({ windows: meters.windows, stalledShare } satisfies ShareThreadResult);
