/**
 * What the simulation measures. A *meter* is one class in one direction that has flows; inner classes get their
 * figures from the meters below them when the run is over.
 */
import { binOf, HISTOGRAM_BINS } from './histogram.js';

export class Meters {
  readonly count: number;
  readonly offeredPackets: Float64Array;
  readonly offeredBytes: Float64Array;
  readonly sentPackets: Float64Array;
  readonly sentBytes: Float64Array;
  /** Packets for which the card had no free frame or no room in its RX ring. */
  readonly nicDrops: Float64Array;
  /** Packets that found their leaf full, and packets not sent at the end; known when the run is over. */
  readonly leafDrops: Float64Array;
  readonly backlogPackets: Float64Array;
  /** HISTOGRAM_BINS a meter. */
  readonly delayBins: Uint32Array;
  /** Bytes sent by window, all meters of a window together. */
  readonly windows: Float64Array[] = [];
  private windowBytes: Float64Array;

  constructor(count: number) {
    this.count = count;
    this.offeredPackets = new Float64Array(count);
    this.offeredBytes = new Float64Array(count);
    this.sentPackets = new Float64Array(count);
    this.sentBytes = new Float64Array(count);
    this.nicDrops = new Float64Array(count);
    this.leafDrops = new Float64Array(count);
    this.backlogPackets = new Float64Array(count);
    this.delayBins = new Uint32Array(count * HISTOGRAM_BINS);
    this.windowBytes = new Float64Array(count);
  }

  sent(meter: number, lenBytes: number, delayNs: number): void {
    this.sentPackets[meter]! += 1;
    this.sentBytes[meter]! += lenBytes;
    this.windowBytes[meter]! += lenBytes;
    this.delayBins[meter * HISTOGRAM_BINS + binOf(delayNs)]! += 1;
  }

  endWindow(): void {
    this.windows.push(this.windowBytes);
    this.windowBytes = new Float64Array(this.count);
  }
}
