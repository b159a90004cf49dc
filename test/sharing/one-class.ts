/** One class whose packets arrive on all queues, evenly or nine tenths of them on one. */
import { allQueues, type Deform, Findings, flow, Run } from './measure.js';

export const ONE_CLASS_RATES: readonly (readonly [string, number])[] = [
  ['1 Mbit/s', 1e6],
  ['10 Mbit/s', 1e7],
  ['100 Mbit/s', 1e8],
  ['1 Gbit/s', 1e9],
  ['10 Gbit/s', 1e10],
];
const SECONDS = 5;
const WINDOW_MS = 100;
const PACKET_BYTES = 1500;
const OFFERED_SHARE = 1.5;

export function nineTenthsOnOne(queues: number): number[] {
  return allQueues(queues).map((_, queue) => (queue === 0 ? 0.9 : 0.1 / (queues - 1)));
}

/** Over five seconds within 0.1 % of the ceil or one packet; no window above it by more than 1 % or one packet. */
export function measureOneClass(title: string, rateBps: number, spread: number[], deform?: Deform): Findings {
  const run = new Run(
    {
      queues: spread.length,
      seconds: SECONDS,
      windowMs: WINDOW_MS,
      classes: [{ id: 'a', down: { rate: rateBps } }],
      flows: [flow('a', rateBps * OFFERED_SHARE, spread, { size: PACKET_BYTES })],
    },
    deform,
  );
  const findings = new Findings(title);
  const offBps = Math.abs(run.figures('a').goodputBps - rateBps);
  const packetBps = (PACKET_BYTES * 8) / SECONDS;
  findings.note('goodput %', (100 * run.figures('a').goodputBps) / rateBps, 3);
  findings.atMost('off by (of 0.1 % or a packet)', offBps / Math.max(rateBps * 1e-3, packetBps), 1);
  const overBps = Math.max(...run.windows('a', WINDOW_MS / 1e3)) - rateBps;
  const windowPacketBps = (PACKET_BYTES * 8000) / WINDOW_MS;
  findings.note('highest window %', 100 + (100 * overBps) / rateBps, 3);
  findings.atMost('above (of 1 % or a packet)', overBps / Math.max(rateBps * 0.01, windowPacketBps), 1);
  findings.ceilsHold(run);
  return findings;
}
