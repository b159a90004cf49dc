/**
 * Helpers of the hand-worked tests. Most trees use 8 Mbit/s and packets of 1000 bytes, so that a packet takes one
 * millisecond there. A burst of 1600 bytes is a bucket of depth zero.
 */
import type { HtbOracle, OracleClass } from './htb-oracle.js';

export const MS = 1e6;
export const MBIT = 1e6;

/** A class with no depth to its buckets, `ceil` as `rate`, and room for everything. */
export function cls(
  id: string,
  parent: string | null,
  rateMbit: number,
  more: Partial<OracleClass> = {},
): OracleClass {
  return {
    id,
    parent,
    rateBps: rateMbit * MBIT,
    ceilBps: rateMbit * MBIT,
    burstBytes: 1600,
    cburstBytes: 1600,
    quantumBytes: 1000,
    prio: 0,
    unlimited: false,
    limitPackets: 1e6,
    limitBytes: 0,
    ...more,
  };
}

export const ceil = (mbit: number): Partial<OracleClass> => ({ ceilBps: mbit * MBIT });

export function fill(oracle: HtbOracle, id: string, count: number, nowNs = 0, lenBytes = 1000): void {
  for (let tag = 0; tag < count; tag++) oracle.enqueue(id, { lenBytes, tag }, nowNs);
}

/** Sends all that may leave in [fromNs, untilNs), jumping from event to event: `id@ms` for each packet. */
export function run(oracle: HtbOracle, untilNs: number, fromNs = 0): string[] {
  const sent: string[] = [];
  for (
    let nowNs: number | null = fromNs;
    nowNs !== null && nowNs < untilNs;
    nowNs = oracle.nextEventNs(nowNs)
  ) {
    for (let packet = oracle.dequeue(nowNs); packet !== null; packet = oracle.dequeue(nowNs)) {
      sent.push(`${packet.id}@${nowNs / MS}`);
    }
  }
  return sent;
}

/** The same, but only the ids in a row. */
export const order = (oracle: HtbOracle, untilNs: number): string =>
  run(oracle, untilNs)
    .map((packet) => packet.split('@')[0])
    .join('');

export function counters(oracle: HtbOracle, id: string): string {
  const { lends, borrows, overlimits } = oracle.stats(id);
  return `lends ${lends} borrows ${borrows} overlimits ${overlimits}`;
}
