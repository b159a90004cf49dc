/** Who gets how much of a fair leaf, and who goes first: flows, devices and tins. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FqPacket } from '../../oracle/fq-reference.js';
import { makeRng } from '../../oracle/random-tree.js';
import { LeafDriver, type LeafOptions } from './leaf-driver.js';

const seed = Number(process.env.WEIR_SEED ?? 20240612);
/** CoDel has no part in this. */
const PATIENT: LeafOptions = { targetUs: 50_000_000, intervalUs: 60_000_000, limitPackets: 1e6 };
const MTU = 1514;

interface FlowSpec {
  device?: number;
  dscp?: number;
  bytes: () => number;
}

/** A leaf whose flows always have packets, and what each has sent. */
class BusyLeaf {
  readonly driver: LeafDriver;
  sentBytes: number[] = [];
  #tag = 0;
  readonly #packets = new Map<number, FqPacket>();
  readonly #flows: readonly FlowSpec[];

  constructor(options: LeafOptions, flows: readonly FlowSpec[], depth = 3) {
    this.driver = new LeafDriver([{ ...PATIENT, ...options }]);
    this.#flows = flows;
    this.driver.setTime(0);
    for (let i = 0; i < depth; i++) for (const flow of flows.keys()) this.add(flow);
    this.reset();
  }

  reset(): void {
    this.sentBytes = this.#flows.map(() => 0);
  }

  add(flow: number, bytes = this.#flows[flow]!.bytes()): void {
    const { device = 0, dscp = 0 } = this.#flows[flow]!;
    const packet = { tag: this.#tag++, flow, device, dscp, bytes, canMark: false };
    this.#packets.set(packet.tag, packet);
    this.driver.enqueue(packet);
  }

  /** Sends a packet and returns its flow's number. */
  send(): number {
    const tag = this.driver.dequeue();
    const { flow, bytes } = this.#packets.get(tag)!;
    this.#packets.delete(tag);
    this.sentBytes[flow]! += bytes;
    return flow;
  }

  /** Sends so many bytes; each packet is replaced by one of the same flow. */
  run(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const before = this.sentBytes.reduce((sum, sent) => sum + sent, 0);
      this.add(this.send());
      left -= this.sentBytes.reduce((sum, sent) => sum + sent, 0) - before;
    }
  }
}

/** Jain's index: 1 where all are equal, 1/n where one has all. */
function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}

function times<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index));
}

console.log(`WEIR_SEED=${seed}`);
const flows = suite('fair leaf: flows');

for (const count of [2, 200]) {
  flows(`${count} backlogged flows send equally much, whatever the size of their packets`, () => {
    const rng = makeRng(seed);
    const sizes = [() => MTU, () => 64, () => 64 + rng.int(1451), () => (rng.chance(0.5) ? 64 : MTU)];
    const leaf = new BusyLeaf(
      {},
      times(count, (flow) => ({ bytes: sizes[flow % sizes.length]! })),
      30,
    );
    leaf.run(count * 40 * MTU);
    const index = jain(leaf.sentBytes);
    console.log(`Jain's index of ${count} flows: ${index.toFixed(5)}`);
    assert.ok(index >= 0.99);
    // Deficits keep what is owed: nobody is ever more than a quantum and a packet away from the others.
    assert.ok(Math.max(...leaf.sentBytes) - Math.min(...leaf.sentBytes) <= 2 * MTU);
  });
}

flows('the packet of a sparse flow leaves at once, and within a round when it comes again', () => {
  const rng = makeRng(seed + 1);
  const bulk = 50;
  const sparse = 10;
  const leaf = new BusyLeaf({}, [
    ...times(bulk, () => ({ bytes: () => MTU })),
    ...times(sparse, () => ({ bytes: () => 60 + rng.int(200) })),
  ]);
  // The sparse ones were filled too; let them run dry and be forgotten.
  for (let i = 0; i < 4 * (bulk + sparse); i++) {
    const flow = leaf.send();
    if (flow < bulk) leaf.add(flow);
  }
  const newcomers = (): number => leaf.driver.stats().sparseFlows;
  for (let turn = 0; turn < 400; turn++) {
    for (let i = rng.int(2 * bulk); i > 0; i--) leaf.add(leaf.send());
    assert.is(newcomers(), 0);
    // Several at once: each has its turn before any of the bulk flows.
    const coming = times(sparse, (flow) => bulk + flow).filter(() => rng.chance(0.3));
    for (const flow of coming) leaf.add(flow);
    const gone = coming.map(() => leaf.send());
    assert.equal(gone, coming, `turn ${turn}`);
    if (coming.length === 0) continue;
    // Again before the round is over: it has to wait for the others' turns, once.
    const again = coming[0]!;
    leaf.add(again);
    let waited = 0;
    for (let flow = leaf.send(); flow !== again; flow = leaf.send()) {
      leaf.add(flow);
      waited++;
    }
    assert.ok(waited <= bulk + sparse, `${waited} packets went before it`);
    // Until the sparse flows have been found empty once more.
    for (let i = 0; i < 2 * bulk + sparse; i++) leaf.add(leaf.send());
  }
});

flows('a flow that always comes back just when it was served is not new each time', () => {
  const leaf = new BusyLeaf({}, [{ bytes: () => MTU }, { bytes: () => MTU }, { bytes: () => 200 }], 0);
  for (let i = 0; i < 10; i++) times(2, (flow) => leaf.add(flow));
  // The third has never more than one packet, and gets the next one as soon as that has left.
  leaf.add(2);
  for (let i = 0; i < 3000; i++) leaf.add(leaf.send());
  const [first, second, third] = leaf.sentBytes as [number, number, number];
  assert.ok(third <= 1.1 * Math.max(first, second), `${first} ${second} ${third}`);
});

flows('flows of one queue share it, and flows of other leaves have no part in it', () => {
  const driver = new LeafDriver([{ ...PATIENT, flows: 1 }, PATIENT]);
  driver.setTime(0);
  const packet = { bytes: 1000, device: 0, dscp: 0, canMark: false };
  for (let tag = 0; tag < 20; tag++) driver.enqueue({ ...packet, tag, flow: tag }, tag % 2);
  assert.equal(
    times(10, () => driver.dequeue(0)),
    times(10, (i) => 2 * i),
  );
  assert.is(driver.stats(1).backlogPackets, 10);
  assert.is(driver.stats(1).sparseFlows, 10);
});

flows.run();

const devices = suite('fair leaf: devices');

/** Flows of devices, `counts[i]` of device `i`. */
function household(counts: readonly number[], bytes: (flow: number) => number = () => MTU): FlowSpec[] {
  const owners = counts.flatMap((count, device) => times(count, () => device));
  return owners.map((device, flow) => ({ device, bytes: () => bytes(flow) }));
}

function byDevice(leaf: BusyLeaf, counts: readonly number[]): number[] {
  let at = 0;
  return counts.map((count) => {
    const sum = leaf.sentBytes.slice(at, at + count).reduce((total, sent) => total + sent, 0);
    at += count;
    return sum;
  });
}

for (const isolate of ['host', 'dual'] as const) {
  devices(`isolate: ${isolate} gives devices equal shares, however many flows they have`, () => {
    const counts = [1, 1, 2, 5, 30];
    const rng = makeRng(seed + 2);
    const leaf = new BusyLeaf(
      { isolate },
      household(counts, () => 500 + rng.int(1000)),
      4,
    );
    leaf.run(100 * MTU);
    leaf.reset();
    leaf.run(2000 * MTU);
    const shares = byDevice(leaf, counts);
    console.log(`isolate: ${isolate}: ${shares.map((share) => Math.round(share / MTU)).join(' ')} packets`);
    assert.ok(jain(shares) >= 0.99, shares.join(' '));
  });
}

devices('isolate: dual shares a device among its flows, and none has no devices', () => {
  const counts = [8, 2];
  const dual = new BusyLeaf(
    { isolate: 'dual' },
    household(counts, (flow) => (flow % 2 ? MTU : 300)),
    8,
  );
  dual.run(100 * MTU);
  dual.reset();
  dual.run(1600 * MTU);
  assert.ok(jain(dual.sentBytes.slice(0, 8)) >= 0.99, dual.sentBytes.join(' '));
  const none = new BusyLeaf({ isolate: 'none' }, household(counts), 4);
  none.run(1000 * MTU);
  const [many, few] = byDevice(none, counts) as [number, number];
  assert.ok(Math.abs(many / few - 4) < 0.1, `${many} ${few}`);
});

devices('isolate: dual: sparse flows of a device do not cost it its share', () => {
  // Device 0 has one bulk flow and many that send a small packet now and then, which comes on top of its half; device 1
  // has one bulk flow.
  const sparse = 20;
  const specs = household([1 + sparse, 1], (flow) => (flow === 0 || flow > sparse ? MTU : 100));
  const leaf = new BusyLeaf({ isolate: 'dual' }, specs, 0);
  for (let i = 0; i < 10; i++) for (const flow of [0, 1 + sparse]) leaf.add(flow);
  const rng = makeRng(seed + 3);
  for (let i = 0; i < 6000; i++) {
    const flow = leaf.send();
    if (flow === 0 || flow > sparse) leaf.add(flow);
    if (rng.chance(0.5)) leaf.add(1 + rng.int(sparse));
  }
  const shares = byDevice(leaf, [1 + sparse, 1]);
  const share = shares[0]! / (shares[0]! + shares[1]!);
  console.log(`device with sparse flows: ${(100 * share).toFixed(1)} %`);
  assert.ok(share > 0.48 && share < 0.58, `${share}`);
});

devices.run();

const tins = suite('fair leaf: tins');
const BEST_EFFORT = 0;
const CS1 = 8;
const AF41 = 34;
const EF = 46;

/** A leaf with one flow in each tin, all backlogged. */
function sorted(diffserv: 'diffserv3' | 'diffserv4', dscps: readonly number[], bytes = 1000): BusyLeaf {
  return new BusyLeaf(
    { diffserv },
    dscps.map((dscp) => ({ dscp, bytes: () => bytes })),
  );
}

function sharesOf(leaf: BusyLeaf): number[] {
  const sum = leaf.sentBytes.reduce((total, sent) => total + sent, 0);
  return leaf.sentBytes.map((sent) => sent / sum);
}

tins('tins that all want everything get their thresholds, and best effort what is left', () => {
  for (const [diffserv, dscps, wanted] of [
    ['diffserv3', [BEST_EFFORT, CS1, EF], [11 / 16, 1 / 16, 1 / 4]],
    ['diffserv4', [BEST_EFFORT, CS1, AF41, EF], [3 / 16, 1 / 16, 1 / 2, 1 / 4]],
  ] as const) {
    const leaf = sorted(diffserv, dscps);
    leaf.run(4_000_000);
    const shares = sharesOf(leaf);
    console.log(`${diffserv}: ${shares.map((share) => share.toFixed(3)).join(' ')}`);
    shares.forEach((share, tin) => {
      assert.ok(Math.abs(share - wanted[tin]!) < 0.01, `${diffserv}: tin ${tin} has ${share}`);
    });
  }
});

tins('what one tin leaves goes to the others, also to one beyond its threshold', () => {
  const voiceAlone = sorted('diffserv4', [EF]);
  voiceAlone.run(100_000);
  const leaf = sorted('diffserv4', [CS1, EF]);
  leaf.run(2_000_000);
  const [background, voice] = sharesOf(leaf) as [number, number];
  // Background keeps its sixteenth of what both send.
  assert.ok(background >= 1 / 16 && voice > 0.9, `${background} ${voice}`);
});

tins('a tin within its threshold goes first: a voice packet every 20 is never behind another', () => {
  const leaf = new BusyLeaf({ diffserv: 'diffserv4' }, [
    { dscp: BEST_EFFORT, bytes: () => MTU },
    { dscp: AF41, bytes: () => MTU },
    { dscp: EF, bytes: () => 200 },
  ]);
  // Its first packets were three at once.
  for (let i = 0; i < 20; i++) {
    const flow = leaf.send();
    if (flow < 2) leaf.add(flow);
  }
  for (let i = 0; i < 500; i++) {
    leaf.add(2);
    assert.is(leaf.send(), 2, `packet ${i}`);
    for (let other = 0; other < 19; other++) leaf.add(leaf.send());
  }
});

/** Frames are never so large; but the bookkeeping has to be right, and it takes fewer of them to send gigabytes. */
const HUGE_BYTES = 60_000;

tins('a tin that was idle while gigabytes were sent has its place at once', () => {
  for (const gigabytes of [1, 2.5, 3.5, 4.5]) {
    const leaf = new BusyLeaf(
      { diffserv: 'diffserv4', limitBytes: Number.POSITIVE_INFINITY },
      [
        { dscp: BEST_EFFORT, bytes: () => HUGE_BYTES },
        { dscp: EF, bytes: () => 200 },
      ],
      0,
    );
    leaf.add(0);
    leaf.add(1);
    assert.is(leaf.send(), 1);
    for (let sent = 0; sent < gigabytes * 1e9; sent += HUGE_BYTES) {
      leaf.add(0);
      leaf.send();
    }
    leaf.add(1);
    assert.is(leaf.send(), 1, `after ${gigabytes} GB`);
  }
});

tins('a tin that stands back for gigabytes is not starved', () => {
  const leaf = new BusyLeaf({ diffserv: 'diffserv4', limitBytes: Number.POSITIVE_INFINITY }, [
    { dscp: BEST_EFFORT, bytes: () => HUGE_BYTES },
    { dscp: AF41, bytes: () => HUGE_BYTES },
    { dscp: EF, bytes: () => HUGE_BYTES },
  ]);
  for (let gigabytes = 1; gigabytes <= 13; gigabytes++) {
    leaf.reset();
    leaf.run(1e9);
    sharesOf(leaf).forEach((share, flow) => {
      assert.ok(
        Math.abs(share - [0.25, 0.5, 0.25][flow]!) < 0.02,
        `after ${gigabytes} GB flow ${flow} has ${share}`,
      );
    });
  }
});

tins.run();
