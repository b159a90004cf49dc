import { suite } from 'uvu';
import { Field } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Tabs } from '../../src/htb/sharing/tab.js';
import { Shape, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import { classWord, exploredTree, localTree, U1 } from './local-tree.js';

const test = suite('interleavings of tabs');

const NOW_NS = 1_000_000;
/** The bucket is in debt from the start, so that nothing is clamped to the present. */
const FULL_AT_US = 1_050;
const TAB_NS = 4_000;
const PACKET_NS = [3_500, 2_600];

interface Account {
  readonly sentNs: number;
  readonly tabNs: number;
}

/** A worker as Htb.dequeue uses tabs: makes room, sends, adds; at the end it may square the tab. */
function work(
  shared: SharedTree,
  queue: number,
  packets: number,
  limitNs: number,
  settles: boolean,
): Account {
  const memory = localTree(shared, queue);
  const tabs = new Tabs(memory);
  memory.clock[0] = NOW_NS;
  shared.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_NS_PER_BYTE] = 1;
  shared.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_LIMIT_NS] = limitNs;
  const record = TreeMemory.recordOf(U1);
  const costNs = PACKET_NS[queue % PACKET_NS.length]!;
  let sentNs = 0;
  for (let i = 0; i < packets; i++) {
    if (!tabs.drawCeil(record, costNs, Shape.CEIL_LIMIT_NS)) continue;
    memory.doubles[(record >> 1) + Field.D_CEIL_TAB_NS]! += costNs;
    sentNs += costNs;
  }
  if (settles) tabs.settle(record);
  return { sentNs, tabNs: memory.doubles[(record >> 1) + Field.D_CEIL_TAB_NS]! };
}

type Work = typeof work;

function tabs(packets: readonly number[], limitNs: number, settles: boolean, run: Work = work): Scenario {
  const draws = Math.max(...packets) + 1;
  return {
    soloStepsMax: 4 * draws,
    build: (world) => {
      const shared = exploredTree(world, packets.length);
      shared.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_TAB_NS] = TAB_NS;
      const word = classWord(U1, Word.CEIL_FULL_AT_US);
      const setUp = (queue: number, count: number) => (): Account =>
        run(shared, queue, count, limitNs, settles);
      world.initial[world.placeOf(shared.classWords, word)] = FULL_AT_US;
      return {
        parties: packets.map((count, queue) => setUp(queue, count)),
        check: ({ results, read }) => {
          const accounts = results as Account[];
          const sentNs = accounts.reduce((sum, account) => sum + account.sentNs, 0);
          const tabNs = accounts.reduce((sum, account) => sum + account.tabNs, 0);
          const chargedNs = (read(shared.classWords, word) - FULL_AT_US) * 1000;
          const isOver = chargedNs > limitNs + Math.max(...PACKET_NS) + TAB_NS;
          if (isOver) return `${chargedNs} ns charged, limit ${limitNs}`;
          if (settles && accounts.some((account) => Math.abs(account.tabNs) >= 1000)) return 'not settled';
          return sentNs === chargedNs + tabNs
            ? null
            : `sent ${sentNs}, charged ${chargedNs}, on tabs ${tabNs}`;
        },
      };
    },
  };
}

/** Forgets what a refused draw has not charged. */
const forgetful: Work = (shared, queue, packets, limitNs, settles) => {
  const { sentNs } = work(shared, queue, packets, limitNs, settles);
  return { sentNs, tabNs: 0 };
};

test('what was sent is what was charged and what is on the tabs', () => {
  exploreAll('2 workers, 3 packets each', tabs([3, 3], 1_000_000, false));
  exploreAll('2 workers, 3 packets each, settled', tabs([3, 3], 1_000_000, true));
  exploreAll('3 workers, 2 packets each', tabs([2, 2, 2], 1_000_000, false));
  catchCanary('a forgotten tab', tabs([3, 3], 1_000_000, false, forgetful), /on tabs 0/);
});

test('at the limit workers are refused and nothing is lost', () => {
  exploreAll('2 workers at the limit', tabs([3, 3], 58_000, false));
  exploreAll('3 workers at the limit, settled', tabs([2, 2, 2], 56_000, true));
});

test.run();
