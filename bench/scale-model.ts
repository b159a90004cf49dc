/** The formula that is fitted to the figures of `scale`, and what it says of a machine with 16 cores and 100 Gbit/s. */
import type { Model, Point } from './rig/document.js';
import { evaluate, leastSquares } from './rig/fit.js';

const TERMS = [
  'ns',
  'ns per doubling of the classes',
  'ns per doubling of the flows of a class',
  'ns per level',
  'ns per doubling of the queues',
  'ns where half of the classes are throttled',
] as const;

const CORES = 16;
const LINK_BPS = 100e9;
const CLASSES = 65_536;
const FLOWS_PER_CLASS = 16;
const DEPTH = 4;
/** Preamble, start delimiter, checksum and gap. */
const WIRE_OVERHEAD_BYTES = 24;
/** Layer-2 bytes without the checksum. The mix is 7 : 4 : 1 of 60, 590 and 1514. */
const FRAMES: readonly { readonly name: string; readonly bytes: number }[] = [
  { name: '60 bytes', bytes: 60 },
  { name: 'IMIX', bytes: (7 * 60 + 4 * 590 + 1514) / 12 },
  { name: '1514 bytes', bytes: 1514 },
];
/** A compare-exchange that two threads contend for, and the load and reckoning before the next try. */
const FAILED_EXCHANGE_NS = 60;

/** `costs` have the parameters classes, flows, depth and queues; `contention` the simulated queues among others. */
export function fitModel(costs: readonly Point[], contention: readonly Point[]): Model {
  const rows: number[][] = [];
  const ys: number[] = [];
  for (const { parameters, columns } of costs) {
    const { classes, flows, depth, queues } = parameters;
    for (const { name, figures } of columns) {
      const isThrottled = name === 'half throttled';
      rows.push(rowOf(Number(classes), Number(flows), Number(depth), Number(queues), isThrottled));
      ys.push(figures.nsPerPacket!.median);
    }
  }
  const { coefficients, rSquared } = leastSquares(rows, ys);
  const meetings = meetingsAt(contention, CORES);
  const openNs = evaluate(coefficients, rowOf(CLASSES, CLASSES * FLOWS_PER_CLASS, DEPTH, CORES, false));
  const throttledNs = evaluate(coefficients, rowOf(CLASSES, CLASSES * FLOWS_PER_CLASS, DEPTH, CORES, true));
  const worstNs = throttledNs + meetings * FAILED_EXCHANGE_NS;
  return {
    formula:
      'time for a packet = a + b log₂ classes + c log₂ (flows ÷ classes) + d levels + e log₂ queues + f throttled',
    coefficients: Object.fromEntries(TERMS.map((term, i) => [term, coefficients[i]!])),
    rSquared,
    predictions: [
      { name: 'one core, all classes below their rate', value: openNs, unit: 'ns/packet' },
      { name: 'one core, half of the classes throttled', value: throttledNs, unit: 'ns/packet' },
      { name: 'the same, every meeting a failed compare-exchange', value: worstNs, unit: 'ns/packet' },
      { name: `${CORES} cores, the last of these`, value: (CORES * 1000) / worstNs, unit: 'Mpps' },
      ...FRAMES.flatMap(({ name, bytes }) => {
        const linkPps = LINK_BPS / 8 / (bytes + WIRE_OVERHEAD_BYTES);
        return [
          { name: `100 Gbit/s of ${name}`, value: linkPps / 1e6, unit: 'Mpps' },
          { name: `cores for 100 Gbit/s of ${name}`, value: (linkPps * worstNs) / 1e9, unit: 'cores' },
        ];
      }),
    ],
    assumptions: [
      `${CLASSES.toLocaleString('en-US')} classes on ${DEPTH} levels, ${FLOWS_PER_CLASS} flows each, ${CORES} queues, one direction; the other direction costs as much again for its packets.`,
      'Each core is as fast as the one measured here and has as much cache and memory bandwidth to itself; all are on one NUMA node.',
      'The card spreads the packets evenly over the queues. Rings are in memory: driver, kernel and card are not in the figures.',
      'Cost grows with the logarithm of classes, flows and queues, and with levels, beyond what was measured as within it; R² says how well that holds within.',
      `At ${CORES} queues a packet has ${meetings.toFixed(3)} compare-exchanges that meet another queue within 0.1 ms of virtual time; at worst all of them fail once, for ${FAILED_EXCHANGE_NS} ns each.`,
    ],
  };
}

function rowOf(
  classes: number,
  flows: number,
  depth: number,
  queues: number,
  isThrottled: boolean,
): number[] {
  return [1, Math.log2(classes), Math.log2(flows / classes), depth, Math.log2(queues), isThrottled ? 1 : 0];
}

/** Of the simulated points next to so many queues, the highest of all columns. */
function meetingsAt(contention: readonly Point[], queues: number): number {
  const simulated = contention.filter(({ parameters }) => parameters.kind === 'simulated');
  const distance = ({ parameters }: Point): number => Math.abs(Number(parameters.queues) - queues);
  const least = Math.min(...simulated.map(distance));
  const nearest = simulated.filter((point) => distance(point) === least);
  return Math.max(
    ...nearest.flatMap(({ columns }) => columns.map(({ figures }) => figures.meetingsPerPacket!.median)),
  );
}
