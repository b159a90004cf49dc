/**
 * Exported tc scripts, loaded into a kernel: every class read back as the tree has it, and a packet for every prefix in the class
 * that weir would put it in.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTc } from '../../classes/formats/tc-export.js';
import type { FilterKind } from '../../classes/formats/tc-filter-export.js';
import type { ClassTree } from '../../classes/model.js';
import { parsePrefix } from '../../classes/prefix.js';
import type { QueueSettings } from '../../classes/queue.js';
import { sampleTree } from '../../classes/sample.js';
import { treeOf } from '../classes/documents.js';
import { seededRandom } from '../classes/random.js';
import { KERNEL_PROGRAM, type KernelClass } from '../formats/kernel.js';
import { randomTree } from '../formats/random-tree.js';
import {
  cleanUp,
  deleteNamespace,
  hasTool,
  inNamespace,
  makeNamespace,
  whyNoNamespaces,
} from './namespaces.js';

const test = suite('exported tc scripts in the kernel');
const DOWN = 'd0';
const UP = 'u0';
const MAJOR = 0x10000;
const ROOT_PARENT = 0xffffffff;
/** The kernel's clock of burst times: ticks per microsecond, see /proc/net/psched. */
const TICKS_PER_US = 15.625;
const ROUNDS = 5;
const PFIFO: QueueSettings = { leaf: 'pfifo' };
/** 198.51.100.1, which no random tree matches. */
const STRANGER = 'c6336401';

let made = 0;

interface Lab {
  readonly namespace: string;
  batch(script: string): void;
  /** What tc prints of a device. */
  show(object: 'class' | 'qdisc', device: string): string;
  classes(device: string): Map<number, KernelClass>;
  send(device: string, addresses: readonly string[]): void;
}

function inLab(body: (lab: Lab) => void): void {
  const namespace = makeNamespace(`tc${made++}`);
  const folder = mkdtempSync(join(tmpdir(), 'weir-tc-'));
  try {
    for (const device of [DOWN, UP]) {
      inNamespace(namespace, 'ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`]);
      for (const end of [device, `${device}p`]) inNamespace(namespace, 'ip', ['link', 'set', end, 'up']);
    }
    body({
      namespace,
      batch: (script) => {
        const file = join(folder, 'script.tc');
        writeFileSync(file, script);
        inNamespace(namespace, 'tc', ['-batch', file]);
      },
      show: (object, device) => inNamespace(namespace, 'tc', ['-d', object, 'show', 'dev', device]),
      classes: (device) => {
        const text = inNamespace(namespace, process.execPath, [KERNEL_PROGRAM, 'show', device]);
        return new Map((JSON.parse(text) as KernelClass[]).map((spec) => [spec.classid, spec]));
      },
      send: (device, addresses) => {
        inNamespace(namespace, process.execPath, [KERNEL_PROGRAM, 'send', device, ...addresses]);
      },
    });
  } finally {
    deleteNamespace(namespace);
    rmSync(folder, { recursive: true });
  }
}

/** Why a kind of filter cannot be tried here, or null. */
function whyNoFilter(kind: FilterKind): string | null {
  const tree = treeOf({ version: 1, classes: [{ id: 'a', match: '10.0.0.1', down: { rate: 1e6 } }] });
  try {
    inLab((lab) => lab.batch(scriptOf(tree, kind)));
    return null;
  } catch (error) {
    return `this kernel has no cls_${kind}: ${String(error).replaceAll(/\s+/g, ' ').slice(0, 120)}`;
  }
}

/** Of a tree with no queue but pfifo, for the kernel may have no others; they are a test of their own. */
function scriptOf(tree: ClassTree, filter: FilterKind): string {
  const classes = tree.classes.map((spec) => ({ ...spec, queue: PFIFO }));
  return exported({ ...tree, classes }, filter);
}

function exported(tree: ClassTree, filter: FilterKind): string {
  const { script, problems } = writeTc(tree, { downDevice: DOWN, upDevice: UP, filter });
  assert.is.not(script, null, JSON.stringify(problems));
  return script!;
}

/** The numbers that the script's comments give to the classes. */
function classidsOf(script: string, device: string): Map<string, number> {
  const lines = script.split('\n');
  const ids = new Map<string, number>();
  lines.forEach((line, index) => {
    const note = /^# weir class 1:([\da-f]+) ("(?:[^"\\]|\\.)*")/.exec(line);
    if (note === null || !lines[index + 1]!.includes(` dev ${device} `)) return;
    ids.set(JSON.parse(note[2]!) as string, MAJOR + Number.parseInt(note[1]!, 16));
  });
  return ids;
}

/** The kernel keeps a burst as 32 bits of ticks; one that lasts longer is cut, and one of nothing would be computed. */
function ticksOf(bytes: number, bytesPerSecond: number): number {
  const longest = Math.floor((2 ** 32 / TICKS_PER_US / 1e6) * bytesPerSecond);
  const kept = Math.max(1, Math.min(bytes, longest));
  return Math.floor(Math.floor((1e6 * kept) / bytesPerSecond) * TICKS_PER_US);
}

/** The kernel counts whole bytes a second, so that up to 7 bit/s are cut off. */
function bytesPerSecond(bps: number): number {
  return Math.max(1, Math.floor(bps / 8));
}

function expectSame(
  tree: ClassTree,
  ids: ReadonlyMap<string, number>,
  kernel: ReadonlyMap<number, KernelClass>,
  name: 'down' | 'up',
): void {
  assert.is(kernel.size, tree.classes.length);
  const ceilOf = new Map<string | null, number>([[null, 10e12]]);
  for (const spec of tree.classes) {
    const found = kernel.get(ids.get(spec.id)!)!;
    assert.ok(found, `${spec.id} is in the kernel`);
    const about = `${spec.id} ${name}`;
    const direction = spec[name];
    const parent = spec.parent === null ? ROOT_PARENT : ids.get(spec.parent)!;
    assert.is(found.parent, parent, `parent of ${about}`);
    const aboveBps = ceilOf.get(spec.parent)!;
    ceilOf.set(spec.id, direction?.ceilBps ?? aboveBps);
    const noLimitBps = spec.parent === null ? aboveBps : 0;
    const rate = bytesPerSecond(direction?.rateBps ?? noLimitBps);
    const ceil = bytesPerSecond(direction?.ceilBps ?? aboveBps);
    assert.is(found.rate, rate, `rate of ${about}`);
    assert.is(found.ceil, ceil, `ceil of ${about}`);
    assert.is(found.mpu, tree.mpuBytes, `mpu of ${about}`);
    assert.is(found.overhead, tree.overheadBytes, `overhead of ${about}`);
    if (direction === null) continue;
    assert.is(found.prio, direction.prio, `prio of ${about}`);
    assert.is(found.quantum, direction.quantumBytes, `quantum of ${about}`);
    assert.is(found.cburstTicks, ticksOf(direction.cburstBytes, ceil), `cburst of ${about}`);
    if (direction.rateBps > 0)
      assert.is(found.burstTicks, ticksOf(direction.burstBytes, rate), `burst of ${about}`);
  }
}

/** The first address of every prefix, and one more; each with the class that the longest prefix around it belongs to. */
function probes(tree: ClassTree): { hex: string; owner: string | null }[] {
  const owners = new Map<string, string>();
  for (const spec of tree.classes) for (const { text } of spec.match) owners.set(text, spec.id);
  const all = tree.classes.flatMap(({ match }) => match);
  const addresses = all.map(({ words }) =>
    words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join(''),
  );
  return [...addresses, STRANGER].map((hex) => ({
    hex,
    owner: longestMatch(owners, hex) ?? tree.defaultClass,
  }));
}

function longestMatch(owners: ReadonlyMap<string, string>, hex: string): string | null {
  const family = hex.length === 8 ? 4 : 6;
  for (let length = family === 4 ? 32 : 128; length >= 0; length--) {
    const shorter = parsePrefix(`${textOf(hex, family)}/${length}`);
    const owner = typeof shorter === 'string' ? undefined : owners.get(shorter.prefix.text);
    if (owner !== undefined) return owner;
  }
  return null;
}

function textOf(hex: string, family: 4 | 6): string {
  if (family === 6) return hex.match(/.{4}/g)!.join(':');
  return hex
    .match(/../g)!
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
}

/** Sends to one in `every` of the prefixes. */
function expectLoadsAndClassifies(tree: ClassTree, kind: FilterKind, every = 1): void {
  const script = scriptOf(tree, kind);
  inLab((lab) => {
    lab.batch(script);
    const expected = new Map<number, number>();
    const ids = classidsOf(script, DOWN);
    const all = probes(tree).filter((_, at) => at % every === 0);
    for (const { owner } of all) {
      if (owner !== null) expected.set(ids.get(owner)!, (expected.get(ids.get(owner)!) ?? 0) + 1);
    }
    const leaves = new Set(tree.classes.map((spec) => spec.id));
    for (const spec of tree.classes) if (spec.parent !== null) leaves.delete(spec.parent);
    for (const [device, name] of [
      [DOWN, 'down'],
      [UP, 'up'],
    ] as const) {
      expectSame(tree, classidsOf(script, device), lab.classes(device), name);
      lab.send(
        device,
        all.map(({ hex }) => hex),
      );
      const kernel = lab.classes(device);
      for (const id of leaves) {
        const classid = ids.get(id)!;
        assert.is(kernel.get(classid)!.packets, expected.get(classid) ?? 0, `packets of ${id} on ${device}`);
      }
    }
  });
}

function bigTree(): ClassTree {
  const sites = Array.from({ length: 20 }, (_, i) => ({
    id: `s${i}`,
    parent: 'uplink',
    down: { rate: '1gbit' },
    up: { rate: '100mbit' },
  }));
  const users = Array.from({ length: 1979 }, (_, i) => ({
    id: `u${i}`,
    parent: `s${i % 20}`,
    match: [
      `10.0.${i >> 8}.${i & 255}`,
      `2001:db8:${(i >> 8).toString(16)}:${((i & 255) << 8).toString(16)}::/56`,
    ],
    down: { rate: 1_000_000 + i, ceil: 100_000_000 + i },
    up: { ceil: 20_000_000 + i },
  }));
  const uplink = { id: 'uplink', down: { rate: '10gbit' }, up: { rate: '1gbit' } };
  return treeOf({ version: 1, classes: [uplink, ...sites, ...users] });
}

/** All addresses of 24,000 sample users, and 36,000 more of one network, in few leaves: a kernel takes long for many classes. */
function crowdedTree(): ClassTree {
  const addresses: string[] = sampleTree({ users: 24_000, seed: 1 }).classes.flatMap(
    ({ match = [] }) => match,
  );
  for (let i = 0; i < 36_000; i++) addresses.push(`172.16.${i >> 8}.${i & 255}`);
  const leaves = Array.from({ length: 97 }, (_, leaf) => ({
    id: `u${leaf}`,
    down: { rate: '100mbit' },
    up: { rate: '100mbit' },
    match: addresses.filter((_address, at) => at % 97 === leaf),
  }));
  return treeOf({ version: 1, classes: leaves });
}

/** Eight levels, rates at both ends, and prefixes of every kind of length, enough of each for a hash table. */
function edgeTree(): ClassTree {
  const levels = Array.from({ length: 7 }, (_, i) => ({
    id: `level ${i + 1}`,
    ...(i === 0 ? {} : { parent: `level ${i}` }),
    ...(i % 2 === 0 ? { down: { rate: '10tbit' } } : { up: { rate: 5, ceil: 7, burst: '1gb' } }),
  }));
  const leaf = (id: string, match: string[]): object => ({
    id,
    parent: 'level 7',
    match,
    down: { ceil: 1, quantum: 60, burst: 0, cburst: 0, prio: 7 },
    up: { rate: 8001, burst: 2 ** 31 - 1, quantum: 10_000_000 },
  });
  const hex = (number: number): string => number.toString(16);
  const many = (make: (i: number) => string): string[] => Array.from({ length: 60 }, (_, i) => make(i));
  return treeOf({
    version: 1,
    overhead: 256,
    mpu: 1500,
    classes: [
      ...levels,
      leaf('all', ['0.0.0.0/0', '::/0', '128.0.0.0/1']),
      leaf(
        '9',
        many((i) => `${64 + (i >> 1)}.${(i & 1) << 7}.0.0/9`),
      ),
      leaf(
        '25',
        many((i) => `10.1.${i >> 1}.${(i & 1) << 7}/25`),
      ),
      leaf(
        '31',
        many((i) => `10.2.0.${2 * i}/31`),
      ),
      leaf(
        '32',
        many((i) => `10.2.0.${2 * i + 1}`),
      ),
      leaf(
        'v6 33',
        many((i) => `2001:${hex(0xd00 + i)}:8000::/33`),
      ),
      leaf(
        'v6 39',
        many((i) => `2001:e00:${hex(i << 9)}::/39`),
      ),
      leaf(
        'v6 64',
        many((i) => `2001:f00:1:${hex(i)}::/64`),
      ),
      leaf(
        'v6 127',
        many((i) => `2001:f00:1:2::${hex(2 * i)}/127`),
      ),
      leaf(
        'v6 128',
        many((i) => `2001:f00:1:2::${hex(2 * i + 1)}`),
      ),
    ],
  });
}

const why = whyNoNamespaces() ?? (hasTool('tc') ? null : 'the command tc is missing');
for (const kind of ['u32', 'flower'] as const) {
  const whyNot = why ?? whyNoFilter(kind);
  if (whyNot !== null) {
    console.log(`skipped: ${kind}: ${whyNot}`);
    test.skip(`${kind} filters`, () => undefined);
    continue;
  }
  test(`random trees are in the kernel what they are here (${kind})`, () => {
    const random = seededRandom(`trees exported to tc with ${kind}`);
    for (let round = 0; round < ROUNDS; round++) {
      expectLoadsAndClassifies(randomTree(random, { rich: true, inner: 8, leaves: 40, depthMax: 8 }), kind);
    }
  });
  test(`so are the ends of what can be said (${kind})`, () => expectLoadsAndClassifies(edgeTree(), kind));
  test(`so is a tree of 2,000 classes (${kind})`, () => expectLoadsAndClassifies(bigTree(), kind));
  if (kind === 'u32')
    test('so are the addresses of 60,000 users', () => expectLoadsAndClassifies(crowdedTree(), kind, 7));
}

/** Queues at the ends of their settings, with what tc prints of each. */
const QUEUES: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ leaf: 'pfifo', limit: 7 }, 'limit 7p'],
  [{ leaf: 'pfifo', limitBytes: 3000 }, 'limit 3000b'],
  [{ leaf: 'codel', target: '7ms', interval: '70ms', ecn: true }, 'limit 1000p target 7ms interval 70ms ecn'],
  [{ flows: 8192, memory: '1mb' }, 'limit 10240p flows 8192'],
  [
    { leaf: 'fq_codel', limit: 1_000_000, interval: '60s', ecn: false, memory: 2 ** 31 - 1 },
    'limit 1000000p flows 1024',
  ],
];
for (const [said, printed] of why === null ? QUEUES : []) {
  const script = exported(
    treeOf({ version: 1, classes: [{ id: 'a', ...said, down: { rate: 1e6 }, up: { rate: 1e6 } }] }),
    'u32',
  );
  const kind = / handle 2: (\w+)/.exec(script)![1]!;
  test(`the kernel takes ${JSON.stringify(said)} as ${kind}`, () => {
    inLab((lab) => {
      try {
        lab.batch(script);
      } catch (error) {
        if (!/Specified qdisc (kind is unknown|not found)/.test(String(error))) throw error;
        console.log(`skipped: this kernel has no sch_${kind}`);
        return;
      }
      assert.match(lab.show('qdisc', DOWN).replaceAll(/ +/g, ' '), `${kind} 2: parent 1:1 ${printed}`);
    });
  });
}

if (why === null) {
  test('classes count the cells of ATM', () => {
    const classes = [{ id: 'a', leaf: 'pfifo', down: { rate: 1e6 }, up: { rate: 1e6 } }];
    const script = exported(treeOf({ version: 1, overhead: 10, linklayer: 'atm', classes }), 'u32');
    inLab((lab) => {
      lab.batch(script);
      for (const device of [DOWN, UP]) {
        assert.match(lab.show('class', device), /linklayer atm/);
        assert.is([...lab.classes(device).values()][0]!.overhead, 10);
      }
    });
  });
}

test.after(cleanUp);
test.run();
