/** The benchmarks by name, with their options. Their modules are loaded only when they run. */
import { BURSTS, FORWARDINGS, LOADS, PATH_NAMES } from '../../bench/inline-words.js';
import type { BenchDocument, RigOptions } from '../../bench/rig/document.js';
import {
  flag,
  number,
  type OptionTable,
  type Settings,
  seconds,
  shares,
  whole,
  wholeOrNull,
  wholes,
  word,
  wordOrNull,
  words,
} from './bench-options.js';

export interface Bench {
  readonly name: string;
  readonly description: string;
  readonly options: OptionTable;
  readonly run: (settings: never) => Promise<BenchDocument>;
}

const CLASSES_MAX = 1_000_000;
const FLOWS_MAX = 20_000_000;
const SECONDS_MAX = 3600;
const QUEUES_MAX = 256;
const SEED_MAX = 2 ** 32 - 1;

/** Ties what `run` gets to the options that are declared. */
function bench<O extends OptionTable>(
  name: string,
  description: string,
  options: O,
  run: (settings: Settings<O> & RigOptions) => Promise<BenchDocument>,
): Bench {
  return { name, description, options, run };
}

const PPS_MAX = 100_000_000;
const CHANGES_MAX = 10_000;
const TREES_MAX = 13;
/** What is counted by the millisecond. */
const MILLIS_SECONDS_MAX = 15;
const FRAME_BYTES_MIN = 60;
const FRAME_BYTES_MAX = 1514;

const seed = whole('seed of the traffic', 0, SEED_MAX, { fallback: 1 });

const canary = wordOrNull('breaks weir on purpose: what is measured must tell', ['fast', 'unfair']);
const bursts = word(
  "bursts of the kernel's classes: 100 ms of the rate and at most 32 kB, what tc makes of none, or weir's",
  BURSTS,
  {
    fallback: 'generous',
  },
);
const forwarding = word("the kernel's path: an eBPF redirect or IPv4 routing", FORWARDINGS, {
  fallback: 'redirect',
});

export const BENCHES: readonly Bench[] = [
  bench(
    'core',
    'one worker over memory rings, 64-byte frames: everything from parsing to recycling',
    {
      classes: wholes('leaf classes, one point for each number', 1, CLASSES_MAX, {
        fallback: 24_576,
        smoke: 256,
      }),
      curve: flag('1,024 to 1,000,000 classes instead'),
      throttled: shares('shares of the classes that are offered twice their ceil, one point for each', {
        fallback: '0,0.5',
      }),
      flows: wholeOrNull('flows; as many as classes when left out', 1, FLOWS_MAX),
      seconds: seconds('measured time of a point, all runs of all columns', SECONDS_MAX, {
        fallback: 5,
        smoke: 0.2,
      }),
      queues: whole('queues that the tree is shared with', 1, QUEUES_MAX, { fallback: 1 }),
      seed,
    },
    async (settings) => (await import('../../bench/core.js')).benchCore(settings),
  ),
  bench(
    'flows',
    'the flow table with the class hash behind it, and a worker with that many flows',
    {
      flows: whole('concurrent flows', 1, FLOWS_MAX, { fallback: 10_000_000, smoke: 10_000 }),
      prefixes: whole('class prefixes', 1, CLASSES_MAX, { fallback: 100_000, smoke: 1000 }),
      seconds: seconds('measured time, all runs of all columns', SECONDS_MAX, { fallback: 10, smoke: 0.2 }),
      seed,
    },
    async (settings) => (await import('../../bench/flows.js')).benchFlows(settings),
  ),
  bench(
    'scale',
    'cost against classes, flows, depth and queues; contention; what a larger machine would do',
    {
      classes: wholes('leaf classes, one point each; the first for the other points too', 1, CLASSES_MAX, {
        fallback: '16384,1024,4096,65536,262144,1000000',
        smoke: '64,512',
      }),
      flows: wholes('flows for each class, one point each', 1, 1024, { fallback: '4,16,64', smoke: '4' }),
      depths: wholes('levels of the tree, one point each', 2, 32, { fallback: '2,4,8,16', smoke: '2,4' }),
      queues: wholes('queues, one point each', 1, QUEUES_MAX, { fallback: '1,2,4,8,16,32,64', smoke: '1,4' }),
      sharedClasses: wholes('leaf classes that all queues of the contention points share', 1, CLASSES_MAX, {
        fallback: '1024,16',
        smoke: '16',
      }),
      threads: whole('most threads that share a tree', 1, 64, { fallback: 2 }),
      seconds: seconds('measured time of a point', SECONDS_MAX, { fallback: 3, smoke: 0.1 }),
      seed,
    },
    async (settings) => (await import('../../bench/scale.js')).benchScale(settings),
  ),
  bench(
    'share',
    'fairness and use against the number of queues, beside shapers that split the rates',
    {
      queues: wholes('queues, one point each', 1, QUEUES_MAX, {
        fallback: '1,2,4,8,16,32,64',
        smoke: '1,2,4',
      }),
      seconds: seconds('virtual time of a run', SECONDS_MAX, { fallback: 0.5, smoke: 0.2 }),
      threadSeconds: number('time of a run with real threads; 0 for none', 0, SECONDS_MAX, {
        fallback: 1,
        smoke: 0,
      }),
      seed,
      canary,
    },
    async (settings) => (await import('../../bench/share.js')).benchShare(settings),
  ),
  bench(
    'inline',
    "packets and CPU time on a wire of veth pairs: weir, the kernel's HTB, the least that forwards; needs root",
    {
      classes: wholes(
        'leaf classes; the first of each list together are the usual setting, every other a point with all else as usual',
        1,
        CLASSES_MAX,
        { fallback: '24000,1,1000', smoke: 10 },
      ),
      queues: wholes('queues and workers', 1, 64, { fallback: '2,1', smoke: 1 }),
      sizes: wholes('layer-2 bytes of a frame', FRAME_BYTES_MIN, FRAME_BYTES_MAX, {
        fallback: '64,1400',
        smoke: 1400,
      }),
      loads: words('loads', LOADS, {
        fallback: 'nearCeil,overload,below',
        smoke: 'overload',
      }),
      grid: flag('each of these with each instead'),
      columns: words('what is measured', PATH_NAMES, { fallback: PATH_NAMES.join(',') }),
      seconds: seconds('time in which packets are counted', SECONDS_MAX, { fallback: 1.5, smoke: 0.3 }),
      cpuSeconds: seconds('time in which CPU time is counted', SECONDS_MAX, { fallback: 3, smoke: 0.3 }),
      warmUpSeconds: seconds('time before each stretch, longer where bursts last longer', SECONDS_MAX, {
        fallback: 0.5,
        smoke: 0.3,
      }),
      offerPps: wholeOrNull(
        'packets a second that nearCeil and overload offer; 0.95 of what the forwarder carries when left out',
        1,
        PPS_MAX,
        { fallback: null, smoke: 4000 },
      ),
      cpuPps: whole('packets a second while CPU time is counted', 1, PPS_MAX, {
        fallback: 50_000,
        smoke: 1000,
      }),
      bursts,
      forwarding,
    },
    async (settings) => (await import('../../bench/inline.js')).benchInline(settings),
  ),
  bench(
    'latency',
    'delay of a probe stream on the same wire, idle and loaded; needs root',
    {
      classes: whole('leaf classes', 2, CLASSES_MAX, { fallback: 1000, smoke: 4 }),
      queues: whole('queues and workers', 1, 64, { fallback: 1 }),
      size: whole("layer-2 bytes of the load's frames", FRAME_BYTES_MIN, FRAME_BYTES_MAX, { fallback: 1400 }),
      situations: words('situations, one point each', ['idle', 'others', 'own'], {
        fallback: 'idle,others,own',
        smoke: 'own',
      }),
      probePps: whole('probes a second', 1, PPS_MAX, { fallback: 1000, smoke: 200 }),
      loadPps: whole('packets a second to the other classes', 1, PPS_MAX, { fallback: 50_000, smoke: 1000 }),
      ownBps: whole("rate of the probes' own class, bit/s", 1, 1e12, {
        fallback: 10_000_000,
        smoke: 4_000_000,
      }),
      limit: whole('packets that a pfifo holds', 1, 100_000, { fallback: 40, smoke: 30 }),
      seconds: seconds('measured time of each column', SECONDS_MAX, { fallback: 3, smoke: 0.5 }),
      warmUpSeconds: seconds('time before it', SECONDS_MAX, { fallback: 1, smoke: 0.5 }),
      bursts,
      forwarding,
    },
    async (settings) => (await import('../../bench/latency.js')).benchLatency(settings),
  ),
  bench(
    'accuracy',
    "achieved ÷ configured rate, weir and the kernel's HTB; needs root",
    {
      rates: wholes('rates in Mbit/s, one point each', 1, 100_000, { fallback: '1,10,100,1000', smoke: 10 }),
      traffic: words('traffic, one point each', ['udp', 'tcp'], { fallback: 'udp,tcp' }),
      onlyRates: flag('leave out what the machine can do at most'),
      seconds: whole('measured time of a column; at 1 Mbit/s at least 10', 1, MILLIS_SECONDS_MAX, {
        fallback: 3,
        smoke: 1,
      }),
      canary,
    },
    async (settings) => (await import('../../bench/accuracy.js')).benchAccuracy(settings),
  ),
  bench(
    'agree',
    "what classes get of a dozen trees, weir beside the kernel's HTB and two queues beside one; needs root",
    {
      seconds: whole('measured time of a column', 1, MILLIS_SECONDS_MAX, { fallback: 2, smoke: 1 }),
      trees: whole('trees, from the first', 1, TREES_MAX, { fallback: TREES_MAX, smoke: 1 }),
      canary,
    },
    async (settings) => (await import('../../bench/agree.js')).benchAgree(settings),
  ),
  bench(
    'churn',
    'changes of classes while traffic flows, weir and tc -batch; needs root',
    {
      classes: whole('subscribers, a leaf class each', 1, CLASSES_MAX, { fallback: 24_000, smoke: 100 }),
      seconds: seconds('time of as many changes as go', SECONDS_MAX, { fallback: 3, smoke: 0.3 }),
      pps: whole('packets a second meanwhile', 1, PPS_MAX, { fallback: 20_000, smoke: 2000 }),
      batch: whole('changes made at once, at most all classes', 1, CLASSES_MAX, {
        fallback: 1000,
        smoke: 50,
      }),
      changes: whole('changes that are timed one by one', 1, CHANGES_MAX, { fallback: 30, smoke: 2 }),
    },
    async (settings) => (await import('../../bench/churn.js')).benchChurn(settings),
  ),
  bench(
    'classes',
    'from a user database or a file to classes in force: the whole, one row, a plan',
    {
      users: whole('subscribers in the databases', 2, CLASSES_MAX, { fallback: 24_000, smoke: 300 }),
      fileClasses: whole('classes in the file; 0 leaves it out', 0, CLASSES_MAX, {
        fallback: 1_000_000,
        smoke: 2500,
      }),
      changes: whole('single rows that are changed', 1, CHANGES_MAX, { fallback: 30, smoke: 2 }),
      seed,
    },
    async (settings) => (await import('../../bench/classes.js')).benchClasses(settings),
  ),
];

export const ALL_OPTIONS = {
  only: words(
    'these alone',
    BENCHES.map(({ name }) => name),
    { fallback: null },
  ),
};
