/**
 * When the packets of one queue arrive. A *source* is one flow's part on one queue: packets of one size at
 * constant distances (cbr) or with exponential ones (poisson), between the flow's start and stop.
 */
import { nextState, streamState, uniformOf } from './random.js';
import type { FlowSpec } from './scenario.js';
import { TimeHeap } from './time-heap.js';

const NS_PER_SECOND = 1e9;
const BITS_PER_BYTE = 8;

export class Arrivals {
  /** Earliest arrival first; ids are source numbers of this queue. */
  readonly heap: TimeHeap;
  /** Number of the flow that each source belongs to. */
  readonly flowOf: Int32Array;
  private readonly intervalNs: Float64Array;
  private readonly stopNs: Float64Array;
  private readonly isPoisson: Uint8Array;
  private readonly states: Int32Array;

  /** `originNs` is the time of the run's second 0. */
  constructor(flows: readonly FlowSpec[], queue: number, seed: number, originNs: number) {
    const members: number[] = [];
    for (let flow = 0; flow < flows.length; flow++) {
      if (flows[flow]!.shares[queue]! > 0 && flows[flow]!.offeredBps > 0) members.push(flow);
    }
    const count = members.length;
    this.heap = new TimeHeap(count);
    this.flowOf = Int32Array.from(members);
    this.intervalNs = new Float64Array(count);
    this.stopNs = new Float64Array(count);
    this.isPoisson = new Uint8Array(count);
    this.states = new Int32Array(count);
    for (let source = 0; source < count; source++) {
      const flow = flows[members[source]!]!;
      const offeredBps = flow.offeredBps * flow.shares[queue]!;
      this.intervalNs[source] = (flow.sizeBytes * BITS_PER_BYTE * NS_PER_SECOND) / offeredBps;
      this.stopNs[source] = originNs + flow.stopSeconds * NS_PER_SECOND;
      this.isPoisson[source] = flow.arrival === 'poisson' ? 1 : 0;
      this.states[source] = streamState(seed, members[source]!, queue);
      // A source begins anywhere in its first interval: flows of one rate would otherwise send in step.
      const first = originNs + flow.startSeconds * NS_PER_SECOND + this.firstGapNs(source);
      if (first < this.stopNs[source]!) this.heap.push(first, source);
    }
  }

  /** Puts the next arrival of the source on top of the heap in the place of this one. */
  advance(): void {
    const source = this.heap.topId;
    const next =
      this.heap.topTime + (this.isPoisson[source] === 0 ? this.intervalNs[source]! : this.gapNs(source));
    this.heap.replaceTop(next < this.stopNs[source]! ? next : Number.POSITIVE_INFINITY);
  }

  private firstGapNs(source: number): number {
    if (this.isPoisson[source] === 1) return this.gapNs(source);
    return this.intervalNs[source]! * (1 - uniformOf(this.states[source]!));
  }

  private gapNs(source: number): number {
    const state = nextState(this.states[source]!);
    this.states[source] = state;
    return -Math.log(uniformOf(state)) * this.intervalNs[source]!;
  }
}
