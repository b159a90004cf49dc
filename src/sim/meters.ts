/**
 * What the simulation measures: traffic by *flow*, an entry of the scenario's list, and what the workers know by *meter*,
 * one class in one direction that has flows. Inner classes get their figures from those below them when the run is over.
 */
import { type ClassStats, emptyStats } from '../htb/memory.js';
import { binOf, HISTOGRAM_BINS } from './histogram.js';

export class Meters {
  // ---- by flow ----------------------------------------------------------------------------------------
  readonly offeredPackets: Float64Array;
  readonly offeredBytes: Float64Array;
  readonly sentPackets: Float64Array;
  readonly sentBytes: Float64Array;
  /** Packets that left with Congestion Experienced. */
  readonly markedPackets: Float64Array;
  /** Packets for which the card had no free frame or no room in its RX ring. */
  readonly nicDrops: Float64Array;
  /** HISTOGRAM_BINS a flow. */
  readonly delayBins: Uint32Array;

  // ---- by meter ---------------------------------------------------------------------------------------
  readonly count: number;
  readonly flowsOf: readonly number[][];
  /** What the workers have counted, and packets not sent at the end; known when the run is over. */
  readonly stats: readonly ClassStats[];
  readonly backlogPackets: Float64Array;
  /** Bytes sent by window, all meters of a window together. */
  readonly windows: Float64Array[] = [];
  private readonly meterOfFlow: Int32Array;
  private windowBytes: Float64Array;

  constructor(meterOfFlow: Int32Array, count: number) {
    const flows = meterOfFlow.length;
    this.meterOfFlow = meterOfFlow;
    this.offeredPackets = new Float64Array(flows);
    this.offeredBytes = new Float64Array(flows);
    this.sentPackets = new Float64Array(flows);
    this.sentBytes = new Float64Array(flows);
    this.markedPackets = new Float64Array(flows);
    this.nicDrops = new Float64Array(flows);
    this.delayBins = new Uint32Array(flows * HISTOGRAM_BINS);
    this.count = count;
    this.flowsOf = Array.from({ length: count }, () => []);
    for (let flow = 0; flow < flows; flow++) this.flowsOf[meterOfFlow[flow]!]!.push(flow);
    this.stats = Array.from({ length: count }, emptyStats);
    this.backlogPackets = new Float64Array(count);
    this.windowBytes = new Float64Array(count);
  }

  sent(flow: number, lenBytes: number, delayNs: number): void {
    this.sentPackets[flow]! += 1;
    this.sentBytes[flow]! += lenBytes;
    this.windowBytes[this.meterOfFlow[flow]!]! += lenBytes;
    this.delayBins[flow * HISTOGRAM_BINS + binOf(delayNs)]! += 1;
  }

  endWindow(): void {
    this.windows.push(this.windowBytes);
    this.windowBytes = new Float64Array(this.count);
  }

  /** What the flows of a meter have together in one of the columns above. */
  total(column: Float64Array, meter: number): number {
    let sum = 0;
    for (const flow of this.flowsOf[meter]!) sum += column[flow]!;
    return sum;
  }
}
