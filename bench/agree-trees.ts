/** The class trees that `bench agree` gives to the kernel's HTB and to weir, and what it sends to their leaves. */
import type { ClassDoc, LimitDoc } from './canary.js';

export interface AgreeTree {
  readonly name: string;
  readonly classes: readonly ClassDoc[];
  /** By leaf: how many times LOAD_UNIT_BPS it is offered. */
  readonly units: Readonly<Record<string, number>>;
  /** Why the two differ here, with what weir gives each leaf then; null where they must agree. */
  readonly differs: { readonly why: string; readonly promisedBps: Readonly<Record<string, number>> } | null;
}

const MBIT = 1e6;
/** All frames come in turn to addresses that are offered as much; a leaf has as many as it has units. */
export const LOAD_UNIT_BPS = 5 * MBIT;
const LINK_MBIT = 80;
const FRAME_BYTES = 1400;
/**
 * Of the rate, as in the lab: here a worker shares its CPU with the programs that load it, and what it loses while it waits
 * for its turn would look like bad shaping. The kernel's bursts are the same.
 */
const BURST_SECONDS = 0.02;
const TC_MTU_BYTES = 1600;
const LINK: ClassDoc = { id: 'link', down: { rate: LINK_MBIT * MBIT } };

/** Class `id` below `parent`: rate and ceil in Mbit/s. */
function leaf(
  id: string,
  parent: string,
  rate: number,
  ceil = LINK_MBIT,
  more: Partial<LimitDoc> = {},
): ClassDoc {
  // Equal and small, where a tree says nothing else: rounds are then short.
  return { id, parent, down: { rate: rate * MBIT, ceil: ceil * MBIT, quantum: 2 * FRAME_BYTES, ...more } };
}

function tree(
  name: string,
  classes: readonly ClassDoc[],
  units: AgreeTree['units'],
  differs: AgreeTree['differs'] = null,
): AgreeTree {
  return { name, classes: [LINK, ...classes].map(withBursts), units, differs };
}

/** What a tree says of bursts stays. */
function withBursts(spec: ClassDoc): ClassDoc {
  const { rate, ceil = rate } = spec.down;
  return { ...spec, down: { burst: burstOf(rate), cburst: burstOf(ceil), ...spec.down } };
}

function burstOf(bps: number): number {
  return Math.round((bps * BURST_SECONDS) / 8) + TC_MTU_BYTES;
}

export const AGREE_TREES: readonly AgreeTree[] = [
  tree(
    'borrowing',
    ['a', 'b', 'c', 'd'].map((id) => leaf(id, 'link', 10)),
    { a: 8, b: 8, c: 8, d: 8 },
  ),
  tree(
    'uneven quanta',
    [1, 2, 4].map((times) => leaf(`q${times}`, 'link', 5, LINK_MBIT, { quantum: times * 2 * FRAME_BYTES })),
    { q1: 12, q2: 12, q4: 12 },
  ),
  tree(
    'quanta from rates',
    [
      { id: 'small', parent: 'link', down: { rate: 10 * MBIT, ceil: LINK_MBIT * MBIT } },
      { id: 'large', parent: 'link', down: { rate: 20 * MBIT, ceil: LINK_MBIT * MBIT } },
      leaf('idle', 'link', 50),
    ],
    { small: 12, large: 14 },
  ),
  tree(
    'prio',
    [0, 1, 2].map((prio) => leaf(`p${prio}`, 'link', 10, LINK_MBIT, { prio })),
    { p0: 7, p1: 12, p2: 12 },
  ),
  tree('assured', [leaf('a', 'link', 10), leaf('b', 'link', 20), leaf('c', 'link', 50)], {
    a: 12,
    b: 12,
    c: 12,
  }),
  tree('ceils', [leaf('a', 'link', 5, 15), leaf('b', 'link', 10, 25), leaf('c', 'link', 30, 30)], {
    a: 8,
    b: 8,
    c: 8,
  }),
  tree('below their rates', [leaf('a', 'link', 20), leaf('b', 'link', 20), leaf('greedy', 'link', 10)], {
    a: 2,
    b: 3,
    greedy: 20,
  }),
  tree(
    'deep',
    [
      leaf('region', 'link', 50),
      leaf('town', 'region', 40),
      leaf('street', 'town', 30),
      leaf('deep0', 'street', 10),
      leaf('deep1', 'street', 10),
      leaf('shallow', 'link', 10),
    ],
    { deep0: 10, deep1: 10, shallow: 12 },
    {
      why: 'in the kernel a turn that a leaf has on the tokens of a class below counts in the turns above as well, so who borrows how much from the link hangs on which tokens come when; weir lends the 20 Mbit/s that nobody is assured by the quanta of the three leaves',
      promisedBps: { deep0: (95 * MBIT) / 3, deep1: (95 * MBIT) / 3, shallow: (50 * MBIT) / 3 },
    },
  ),
  tree(
    'uneven houses',
    [
      leaf('single', 'link', 30),
      leaf('many', 'link', 30),
      leaf('idle', 'link', 20),
      leaf('s0', 'single', 30),
      ...[0, 1, 2, 3].map((i) => leaf(`m${i}`, 'many', 7)),
      leaf('i0', 'idle', 20),
    ],
    { s0: 12, m0: 6, m1: 6, m2: 6, m3: 6 },
  ),
  tree(
    'inner ceils',
    [
      leaf('narrow', 'link', 10, 20),
      leaf('wide', 'link', 10),
      leaf('n0', 'narrow', 5),
      leaf('n1', 'narrow', 5),
      leaf('w0', 'wide', 5),
      leaf('w1', 'wide', 5),
    ],
    { n0: 8, n1: 8, w0: 12, w1: 12 },
  ),
  tree(
    'prio in houses',
    [
      leaf('house0', 'link', 40, 40),
      leaf('house1', 'link', 40, 40),
      leaf('voice0', 'house0', 5, 40, { prio: 0 }),
      leaf('bulk0', 'house0', 10, 40, { prio: 3 }),
      leaf('voice1', 'house1', 5, 40, { prio: 0 }),
      leaf('bulk1', 'house1', 10, 40, { prio: 3 }),
    ],
    { voice0: 4, bulk0: 12, voice1: 2, bulk1: 12 },
  ),
  tree(
    'uneven bursts',
    [
      leaf('a', 'link', 10, 20, { burst: 16_000, cburst: 16_000 }),
      leaf('b', 'link', 20, 40, { burst: 400_000, cburst: 200_000 }),
      leaf('c', 'link', 10, 20, { burst: 64_000, cburst: 128_000 }),
    ],
    { a: 8, b: 12, c: 8 },
  ),
  tree(
    'oversubscription',
    ['a', 'b', 'c'].map((id) => leaf(id, 'link', 40)),
    { a: 12, b: 12, c: 12 },
    {
      why: 'assured rates of 120 Mbit/s below a link of 80: the kernel lets a class that is below its rate pass a parent that is above its ceil, weir scales the rates down in proportion',
      promisedBps: { a: (80 * MBIT) / 3, b: (80 * MBIT) / 3, c: (80 * MBIT) / 3 },
    },
  ),
];
