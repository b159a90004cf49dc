/** One thread of scale-threads.ts: a timed run and a counted one. */
import { parentPort, workerData } from 'node:worker_threads';
import { CoreRig } from './core-rig.js';
import { ExchangeCounter } from './scale-exchanges.js';
import { DONE, type ScaleThreadData, type ScaleThreadResult, TURN_STRIDE } from './scale-threads.js';

/** Turns that a thread may be ahead of another: 0.2 ms of virtual time, in which buckets hardly move. */
const AHEAD_TURNS_MAX = 2;
const WAIT_MS = 0.05;
const SETTLE_SECONDS_MAX = 10;
const SETTLE_TURNS = 200;

const { spec, published, queue, seconds, turns } = workerData as ScaleThreadData;
const rig = new CoreRig(spec, published, queue);
const nap = new Int32Array(new SharedArrayBuffer(4));
const own = queue * TURN_STRIDE;

/** The threads' virtual clocks go together, as those of real workers do. */
function keepPace(): void {
  const turn = Atomics.add(turns, own, 1) + 1;
  while (turn - slowest() > AHEAD_TURNS_MAX) Atomics.wait(nap, 0, 0, WAIT_MS);
}

function slowest(): number {
  let least = DONE;
  for (let at = 0; at < turns.length; at += TURN_STRIDE) least = Math.min(least, Atomics.load(turns, at));
  return least;
}

function settle(): void {
  const endMs = performance.now() + SETTLE_SECONDS_MAX * 1000;
  const target = Math.max(spec.classes, spec.flows) * 80;
  for (let i = 0; (i < SETTLE_TURNS || rig.received < target) && performance.now() < endMs; i++) {
    keepPace();
    rig.turn();
  }
}

settle();
const { packets, ns } = rig.run(seconds, keepPace);
const counter = new ExchangeCounter();
let packetsCounted = 0;
const exchanges = counter.during(() => {
  packetsCounted = rig.run(seconds, keepPace).packets;
});
Atomics.store(turns, own, DONE);
rig.checkConservation();
const result: ScaleThreadResult = { nsPerPacket: ns / packets, packetsCounted, exchanges };
parentPort!.postMessage(result);
