/** tc scripts read and written: the dialects that operators use, every fault of a bad one, and round trips of random trees. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FormatResult } from '../../classes/formats/result.js';
import { TC_CLASSES_MAX, writeTc } from '../../classes/formats/tc-export.js';
import type { FilterKind } from '../../classes/formats/tc-filter-export.js';
import { readTc, type TcDevices } from '../../classes/formats/tc-import.js';
import { type ClassTree, type DirectionSpec, formatProblem } from '../../classes/model.js';
import { chain, documentOf, treeOf } from '../classes/documents.js';
import { below, seededRandom } from '../classes/random.js';
import { expectSameTree, randomTree } from './random-tree.js';

const test = suite('tc');
const DEVICES = { downDevice: 'eth1', upDevice: 'eth0' };

function read(text: string, devices: TcDevices = 'auto'): FormatResult {
  return readTc([{ name: 's.tc', text }], devices);
}

function lines(result: FormatResult): string[] {
  return result.problems.map((problem) => `${problem.severity}: ${formatProblem(problem)}`);
}

/** `id < parent: addresses | down | up`, the rates as `rate/ceil`. */
function shapes(result: FormatResult): string[] {
  assert.is.not(result.document, null, lines(result).join('\n'));
  const direction = (spec: DirectionSpec | null): string =>
    spec === null ? '-' : `${spec.rateBps}/${spec.ceilBps}`;
  return treeOf(result.document).classes.map(({ id, parent, match, queue, down, up }) =>
    [`${id} < ${parent}:`, ...match.map(({ text }) => text), direction(down), direction(up), queue.leaf ?? '']
      .join(' ')
      .trim(),
  );
}

function errors(text: string, devices: TcDevices = 'auto'): string[] {
  const result = read(text, devices);
  assert.is(result.document, null, 'there is an error');
  return lines(result)
    .filter((line) => line.startsWith('error: '))
    .map((line) => line.slice('error: '.length));
}

function written(tree: ClassTree, filter: FilterKind = 'u32'): string {
  const { script, problems } = writeTc(tree, { ...DEVICES, filter });
  assert.is.not(script, null, problems.map(formatProblem).join('\n'));
  return script!;
}

/** Of a script with a device for the way down alone, whose htb stands in this line. */
function oneWay(line: number): string {
  return `warning: s.tc line ${line}: device: only eth1 has an htb, and that is for down: in the direction up nothing is limited`;
}

const HEAD = `
qdisc add dev eth1 root handle 1: htb default 20
class add dev eth1 parent 1: classid 1:1 htb rate 100mbit
class add dev eth1 parent 1:1 classid 1:10 htb rate 1mbit ceil 10mbit
class add dev eth1 parent 1:1 classid 1:20 htb rate 8bit ceil 1mbit
`;

test('reads a shell script of plain tc lines', () => {
  const result = read(`#!/bin/sh
# weir reads this, too
/sbin/tc qdisc del dev eth1 root 2>/dev/null || true
/sbin/tc qdisc add dev eth1 root handle 1: \\
   htb default 20 r2q 100
tc class add dev eth1 parent 1: classid 1:1 htb rate 12500kbps ; tc class add dev "eth1" parent 1:1 classid 1:10 htb \\
  rate 1mbit ceil 10mbit burst 15k/8 cburst 1600b prio 9 # the Jones
tc class add dev eth1 parent 1:1 classid 1:20 htb rate 8bit ceil 1mbit quantum 1514
tc qdisc add dev eth1 parent 1:10 handle 10: pfifo limit 50 && tc qdisc add dev eth1 parent 1:20 handle 20: sfq perturb 10
tc filter add dev eth1 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.5/32 flowid 1:10
tc filter add dev eth1 parent 1: protocol ipv6 prio 2 flower dst_ip 2001:db8::/56 classid 1:10
tc filter add dev eth1 parent 1: protocol ip prio 3 handle 6 fw flowid 1:20
iptables -t mangle -A POSTROUTING -j MARK --set-mark 6
`);
  assert.equal(shapes(result), [
    '1:1 < null: 100000000/100000000 -',
    '1:10 < 1:1: 10.0.0.5 2001:db8::/56 1000000/10000000 - pfifo',
    '1:20 < 1:1: 0/1000000 - fq_codel',
  ]);
  const tree = treeOf(result.document);
  assert.is(tree.defaultClass, '1:20');
  assert.equal(tree.classes[1]!.down, {
    ...{ rateBps: 1e6, ceilBps: 1e7, burstBytes: 15360, cburstBytes: 1600 },
    ...{ quantumBytes: 1250, prio: 7 },
  });
  assert.is(tree.classes[1]!.queue.limitPackets, 50);
  assert.is(tree.classes[2]!.down!.quantumBytes, 1514);
  assert.equal(lines(result), [
    'warning: s.tc line 13: "iptables -t mangle -A POSTROUTING -j MAR…" is not a tc command of a qdisc, class or filter; left out',
    oneWay(4),
    'warning: s.tc line 6: prio: is above 7, the last; read as that, as the kernel does',
    'warning: s.tc line 9: leaf: weir has no sfq; read as fq_codel',
    'warning: s.tc line 9: sfq: its options but for the limit are left out',
    'warning: s.tc line 12: filter: the filter is left out: a mark says no address',
  ]);
  assert.is(result.placeOf('1:10'), 's.tc line 6');
});

test('takes the leaves of hash tables for what counts', () => {
  const result = read(
    `\ufeff${HEAD}
filter add dev eth1 parent 1:0 prio 5 protocol ip u32
filter add dev eth1 parent 1:0 prio 5 handle 2: protocol ip u32 divisor 256
filter add dev eth1 protocol ip parent 1:0 prio 5 u32 ht 800:: match ip dst 10.0.0.0/16 hashkey mask 0x000000ff at 16 link 2:
filter add dev eth1 protocol ip parent 1:0 prio 5 u32 ht 2:7b: match ip dst 10.0.0.123 flowid 1:10
filter add dev eth1 protocol ip parent 1:0 prio 5 u32 ht 2:7c: match u32 0x0a00007c 0xffffffff at 16 classid 1:20
`.replaceAll('\n', '\r\n'),
  );
  assert.equal(shapes(result).slice(1), [
    '1:10 < 1:1: 10.0.0.123 1000000/10000000 -',
    '1:20 < 1:1: 10.0.0.124 0/1000000 -',
  ]);
  assert.equal(lines(result), [
    oneWay(2),
    'warning: s.tc line 7: filter: the filter is left out: it names no class',
  ]);
});

test('leaves out filters that ask more than an address, with a count', () => {
  const filter = (rest: string): string => `filter add dev eth1 parent 1: protocol ip pref 1 ${rest}\n`;
  const result = read(
    HEAD +
      filter('u32 match ip dst 10.0.0.1 flowid 1:10') +
      filter('u32 match ip dst 10.0.0.2 match ip dport 80 0xffff flowid 1:10') +
      filter('u32 match ip dst 10.0.0.3 match ip dport 81 0xffff flowid 1:10') +
      filter('u32 match ip dst 10.0.0.4 match ip src 10.0.1.1 flowid 1:10') +
      filter('flower dst_ip 10.0.0.5 ip_proto tcp classid 1:10') +
      filter('u32 match u32 0 0 at 0 flowid 1:10') +
      filter('u32 match ip dst 10.0.0.6 flowid 1:1') +
      filter('u32 match ip dst 10.0.0.7 flowid 1:99') +
      filter('matchall classid 1:10') +
      filter('u32 match u32 0x0a000000 0xff00ff00 at 16 flowid 1:10'),
  );
  assert.is(shapes(result)[1], '1:10 < 1:1: 10.0.0.1 1000000/10000000 -');
  assert.equal(lines(result), [
    oneWay(2),
    'warning: s.tc line 7: filter: the filter is left out: "match ip dport" asks more of a packet than its address (here and in 1 more)',
    'warning: s.tc line 9: filter: the filter is left out: it asks for two addresses at once',
    'warning: s.tc line 10: filter: the filter is left out: "ip_proto" asks more of a packet than its address',
    'warning: s.tc line 11: filter: the filter is left out: it says no address',
    'warning: s.tc line 14: filter: the filter is left out: a matchall filter says no address',
    'warning: s.tc line 15: filter: the filter is left out: "match u32 at 16" asks more of a packet than its address',
    'warning: s.tc line 12: flowid: the filter is left out: 1:1 has children, only a leaf holds packets',
    'warning: s.tc line 13: flowid: the filter is left out: 1:99 is no class of eth1',
  ]);
});

test('goes by the order in which the kernel asks, and says where weir differs', () => {
  const filter = (pref: string, address: string, classid: string): string =>
    `filter add dev eth1 parent 1: protocol ip ${pref} u32 match ip dst ${address} flowid ${classid}\n`;
  const result = read(
    HEAD +
      filter('pref 2', '10.0.0.1', '1:10') +
      filter('pref 1', '10.0.0.1', '1:20') +
      filter('pref 1', '10.0.1.0/24', '1:20') +
      filter('pref 5', '10.0.1.7', '1:10') +
      filter('', '10.0.2.1', '1:10') +
      filter('', '10.0.2.1', '1:20'),
  );
  assert.equal(shapes(result).slice(1), [
    '1:10 < 1:1: 10.0.1.7 1000000/10000000 -',
    '1:20 < 1:1: 10.0.0.1 10.0.1.0/24 10.0.2.1 0/1000000 -',
  ]);
  assert.equal(lines(result), [
    oneWay(2),
    'warning: s.tc line 6: filter: the filter is left out: 10.0.0.1 goes to 1:20 before, from s.tc line 7',
    'warning: s.tc line 10: filter: the filter is left out: 10.0.2.1 goes to 1:20 before, from s.tc line 11',
    'warning: s.tc line 9: prio: 10.0.1.0/24 is asked first and takes 10.0.1.7; in weir the longer prefix wins',
  ]);
});

/** The up side of a script, its classes as given: `classid parent rate address`. */
function device(name: string, side: 'dst' | 'src', ...classes: string[]): string {
  const commands = [`qdisc add dev ${name} root handle 1: htb`];
  for (const text of classes) {
    const [classid, parent, rate, address] = text.split(' ');
    commands.push(`class add dev ${name} parent ${parent} classid ${classid} htb rate ${rate}`);
    if (address === undefined) continue;
    commands.push(
      `filter add dev ${name} parent 1: protocol ip pref 1 u32 match ip ${side} ${address} flowid ${classid}`,
    );
  }
  return `${commands.join('\n')}\n`;
}

test('pairs the classes of two devices by address first, then by number', () => {
  const up = device(
    'eth0',
    'src',
    '1:1 1: 9mbit',
    '1:11 1:1 100kbit 10.0.0.1',
    '1:10 1:1 200kbit 10.0.0.2',
    '1:30 1:1 300kbit',
    '1:40 1:1 400kbit 10.0.0.9',
  );
  const flat = device(
    'eth1',
    'dst',
    '1:1 1: 90mbit',
    '1:10 1:1 1mbit 10.0.0.1',
    '1:11 1:1 2mbit 10.0.0.2',
    '1:30 1:1 3mbit',
  );
  assert.equal(shapes(read(flat + up)), [
    '1:1 < null: 90000000/90000000 9000000/9000000',
    '1:10 < 1:1: 10.0.0.1 1000000/1000000 100000/100000',
    '1:11 < 1:1: 10.0.0.2 2000000/2000000 200000/200000',
    '1:30 < 1:1: 3000000/3000000 300000/300000',
    '1:40 < 1:1: 10.0.0.9 - 400000/400000',
  ]);
});

test('gives a class without a partner no limit in the other direction', () => {
  const down = device(
    'eth1',
    'dst',
    '1:1 1: 90mbit',
    '1:2 1:1 50mbit',
    '1:10 1:2 1mbit 10.0.0.1',
    '1:11 1:1 2mbit 10.0.0.2',
  );
  const up = device('eth0', 'src', '1:1 1: 9mbit', '1:10 1:1 100kbit 10.0.0.1', '1:11 1:1 200kbit 10.0.0.2');
  assert.equal(shapes(read(down + up)), [
    '1:1 < null: 90000000/90000000 9000000/9000000',
    '1:2 < 1:1: 50000000/50000000 -',
    '1:10 < 1:2: 10.0.0.1 1000000/1000000 100000/100000',
    '1:11 < 1:1: 10.0.0.2 2000000/2000000 200000/200000',
  ]);
});

test('does not guess where a class lies that lies in two places', () => {
  const down = device(
    'eth1',
    'dst',
    '1:1 1: 90mbit',
    '1:2 1: 50mbit',
    '1:10 1:1 1mbit 10.0.0.1',
    '1:11 1:1 1mbit 10.0.0.2',
    '1:12 1:2 1mbit 10.0.0.3',
  );
  const up = device(
    'eth0',
    'src',
    '1:1 1: 9mbit',
    '1:2 1: 5mbit',
    '1:10 1:1 1mbit 10.0.0.1',
    '1:11 1:2 1mbit 10.0.0.2',
    '1:12 1:2 1mbit 10.0.0.3',
  );
  assert.equal(errors(down + up), [
    's.tc line 6: parent: lies below other classes than its partner from s.tc line 15; in weir a class has one place in the tree',
  ]);
});

test('does not let a class go by a limit that the other device has for it', () => {
  const leaves = ['1:2 1:1 50mbit', '1:10 1:2 1mbit 10.0.0.1', '1:11 1:2 1mbit 10.0.0.2'];
  const down = device('eth1', 'dst', '1:1 1: 90mbit', ...leaves);
  const up = device('eth0', 'src', '1:1 1: 90mbit', ...leaves);
  assert.is(shapes(read(down + up)).length, 4);
  const found = errors(down + up.replace('parent 1:2 classid 1:10', 'parent 1:1 classid 1:10'));
  assert.is(found.length, 1);
  assert.match(found[0]!, /^s\.tc line 4: parent: lies below other classes/);
});

test('asks which device is which where the filters do not tell', () => {
  const message =
    'device: the filters do not tell which of eth1 goes toward the subscribers; name the devices of both directions';
  assert.equal(errors(HEAD), [message]);
  const other = HEAD.replaceAll('eth1', 'eth0');
  assert.equal(errors(HEAD + other), [message.replace('eth1', 'eth1, eth0')]);
  assert.is(shapes(read(HEAD + other, DEVICES)).length, 3);
  assert.equal(errors(HEAD, DEVICES), ['device: the scripts put no htb at the root of eth0']);
  assert.equal(errors(HEAD, { downDevice: 'eth1', upDevice: 'eth1' }), [
    'device: eth1 cannot be the device of both directions',
  ]);
  assert.equal(errors(''), ['the scripts put no htb at the root of any device']);
  const down = 'filter add dev eth1 parent 1: protocol ip u32 match ip dst 10.0.0.1 flowid 1:10\n';
  assert.equal(
    shapes(read(other + HEAD + down))[1],
    '1:10 < 1:1: 10.0.0.1 1000000/10000000 1000000/10000000',
  );
});

test('finds every fault, each with its line', () => {
  const result = errors(`${HEAD}class add dev eth1 parent 1:1 classid 1:30 htb rate 1mbt
class add dev eth1 parent 1:1 classid 1:31 htb ceil 1mbit
class add dev eth1 parent 1:1 classid 1:10 htb rate 1mbit
class add dev eth1 parent 1:9 classid 1:32 htb rate 1mbit
class add dev eth1 parent 1:1 classid 2:33 htb rate 1mbit
class add dev eth1 parent 1:1 classid 1:34 htb rate 1mbit burst
class add dev eth1 parent 1:1 classid 1:35 htb rate $RATE
class add dev eth1 parent 1:1 classid 1:36 htb rate 1mbit speed 3
class add dev eth1 parent 1:1 htb rate 1mbit
class add dev eth0 parent 1:1 classid 1:37 htb rate 1mbit
class add dev eth1 parent one classid 1:38 htb rate 1mbit
qdisc add dev eth2 root htb
filter add dev eth1 parent 1: protocol ip u32 match ip dst 10.0.0.300 flowid 1:10
filter add dev eth1 parent 1: protocol ip u32 match ip dst 10.0.0.3 flowid ten
`);
  assert.equal(result, [
    's.tc line 6: rate: "1mbt" has the unknown unit "mbt"',
    's.tc line 7: rate: is missing',
    's.tc line 8: classid: 1:10 is there already, from s.tc line 4',
    's.tc line 9: parent: 1:9 is not a class of eth1 before this line',
    's.tc line 10: classid: 2:33 is not a class of 1:',
    's.tc line 11: burst: has no value',
    's.tc line 12: rate: "$RATE" is a shell variable; only plain values are read',
    's.tc line 13: "speed" is not an option of an htb class',
    's.tc line 14: classid: is missing',
    's.tc line 15: parent: eth0 has no htb at its root before this line',
    's.tc line 16: parent: "one" is not a handle such as "1:10"',
    's.tc line 17: handle: is missing; the classes name it',
    's.tc line 18: dst: "10.0.0.300" is not an IPv4 or IPv6 address or prefix',
    's.tc line 19: flowid: "ten" is not a handle such as "1:10"',
    'device: the filters do not tell which of eth1 goes toward the subscribers; name the devices of both directions',
  ]);
});

test('tells of overheads that differ, and of a default that is no leaf', () => {
  const result = read(
    `${HEAD.replace('default 20', 'default 1').replace('rate 100mbit', 'rate 100mbit overhead 24')}class replace dev eth1 classid 1:10 htb rate 2mbit overhead 24\n`,
    { ...DEVICES, upDevice: 'eth9' },
  );
  const text = lines(result);
  assert.ok(
    text.includes('warning: s.tc line 2: default: 1:1 is not a leaf; what no filter matches passes unshaped'),
  );
  assert.ok(
    text.includes(
      'warning: s.tc line 5: overhead: is 0 here; weir has one for all classes, 24, as most have it',
    ),
  );
});

test('gives back what it wrote: random trees there and back', () => {
  const random = seededRandom('trees through tc');
  for (let round = 0; round < 60; round++) {
    const tree = randomTree(random, {
      rich: true,
      inner: 1 + below(random, 8),
      leaves: 8 + below(random, 120),
      depthMax: 8,
    });
    const filter = round % 2 === 0 ? 'u32' : 'flower';
    const script = written(tree, filter);
    const result = read(script);
    assert.equal(lines(result), []);
    const again = treeOf(result.document);
    expectSameTree(again, tree);
    assert.ok(written(again, filter) === script, 'the second script is the first one');
  }
});

test('reads its own reading of a foreign script back', () => {
  const foreign =
    device('eth1', 'dst', '1:1 1: 90mbit', '1:a 1:1 1mbit 10.0.0.1', '1:7 1:1 2mbit 10.0.0.0/24') +
    device('eth0', 'src', '1:1 1: 9mbit', '1:7 1:1 1mbit 10.0.0.0/24', '1:a 1:1 2mbit 10.0.0.1');
  const tree = treeOf(read(foreign).document);
  const script = written(tree);
  expectSameTree(treeOf(read(script).document), tree);
  for (const classid of ['1:1', '1:a', '1:7']) assert.match(script, `classid ${classid} `);
});

test('writes the longest prefixes first, in tables where there are many', () => {
  const users = Array.from({ length: 300 }, (_, i) => ({
    id: `u${i}`,
    match: `10.0.${i >> 8}.${i & 255}`,
    down: { rate: '1mbit' },
  }));
  const tree = treeOf(
    documentOf(...users, { id: 'all', match: ['0.0.0.0/0', '2001:db8::/33'], down: { rate: '1mbit' } }),
  );
  const script = written(tree).split('\n');
  assert.ok(script.includes('filter add dev eth1 parent 1: protocol ip pref 1 handle 1: u32 divisor 256'));
  assert.ok(
    script.includes(
      'filter add dev eth1 parent 1: protocol ip pref 1 u32 match u32 0 0 at 16 hashkey mask 0x000000ff at 16 link 1:',
    ),
  );
  assert.ok(
    script.includes(
      'filter add dev eth0 parent 1: protocol ip pref 1 u32 ht 1:ff: match ip src 10.0.0.255/32 flowid 1:100',
    ),
  );
  assert.ok(
    script.includes(
      'filter add dev eth1 parent 1: protocol ip pref 33 u32 match ip dst 0.0.0.0/0 flowid 1:12d',
    ),
  );
  assert.ok(
    script.includes(
      'filter add dev eth1 parent 1: protocol ipv6 pref 196 u32 match ip6 dst 2001:db8::/33 flowid 1:12d',
    ),
  );
});

test('writes tables below tables where a bucket would hold many', () => {
  const match = Array.from({ length: 60_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  const sites = Array.from({ length: 5000 }, (_, i) => `2001:db8:${i.toString(16)}:100::/56`);
  const script = written(treeOf(documentOf({ id: 'all', match: [...match, ...sites] })));
  const perBucket = new Map<string, number>();
  const tables = new Set<string>();
  for (const [, device, pref, bucket = ''] of script.matchAll(
    /dev (\w+) .* pref (\d+) u32 (ht \w+:\w+: )?match ip/g,
  )) {
    const key = `${device} ${pref} ${bucket}`;
    perBucket.set(key, (perBucket.get(key) ?? 0) + 1);
  }
  for (const [, device, table] of script.matchAll(/dev (\w+) .* handle (\w+): u32 divisor 256$/gm)) {
    assert.ok(Number.parseInt(table!, 16) <= 0x7ff, `table ${table}`);
    tables.add(`${device} ${table}`);
  }
  assert.is(
    [...perBucket.values()].reduce((sum, count) => sum + count, 0),
    2 * 65_000,
  );
  assert.ok(Math.max(...perBucket.values()) <= 32);
  for (const [, device, table] of script.matchAll(/dev (\w+) .* u32 ht (\w+):/g)) {
    assert.ok(tables.has(`${device} ${table}`), `table ${table}`);
  }
});

test('says at its class what the kernel cannot do', () => {
  const problemsOf = (value: unknown): string[] => {
    const { script, problems } = writeTc(treeOf(value), DEVICES);
    assert.is(script, null);
    return problems.map(formatProblem);
  };
  assert.equal(problemsOf(documentOf(...chain(9))), [
    "class 'c9': parent: puts the class on level 9; an htb has 8",
  ]);
  assert.is.not(writeTc(treeOf(documentOf(...chain(8))), DEVICES).script, null);
  const many = (count: number): unknown =>
    documentOf(...Array.from({ length: count }, (_, i) => ({ id: `u${i}` })));
  assert.equal(problemsOf(many(TC_CLASSES_MAX + 1)), [
    "class 'u65534': id: is class 65535 of 65535; an htb has numbers for 65534",
  ]);
  assert.match(writeTc(treeOf(many(TC_CLASSES_MAX)), DEVICES).script!, ' classid 1:fffe ');
  assert.equal(problemsOf({ version: 1, overhead: -4, classes: [] }), [
    'overhead: is -4; tc takes none below 0',
  ]);
  // One bit in each octet: a table tells two apart, and four tables sixteen.
  const crowd = Array.from({ length: 33_000 }, (_, i) => {
    const bits = i.toString(2).padStart(16, '0');
    return bits.replace(/(.)(.)(?=(..)*$)/g, '0$10$2:').slice(0, -1);
  });
  const together = problemsOf(documentOf({ id: 'crowd', match: crowd }));
  assert.is(together.length, 1);
  const tooMany =
    /^class 'crowd': match: [\d:]+ is one prefix more than the 2048 that u32 keeps in a bucket, on eth1; use --filter flower$/;
  assert.match(together[0]!, tooMany);
  const crowded = treeOf(documentOf({ id: 'crowd', match: crowd }));
  assert.is.not(writeTc(crowded, { ...DEVICES, filter: 'flower' }).script, null);
});

test('counts what tc cannot say', () => {
  const { script, problems } = writeTc(
    treeOf({
      version: 1,
      classes: [
        { id: 'a', down: { rate: 5, burst: 0 }, leaf: 'pfifo', limit: 9, limitBytes: 9000 },
        { id: 'b', down: { rate: 8000, burst: '10mb' }, leaf: 'codel', limitBytes: 9000 },
        { id: 'c', leaf: 'codel', limit: 3, down: { ceil: 9000, burst: 7 } },
        { id: 'd', parent: 'c' },
      ],
    }),
    DEVICES,
  );
  assert.equal(problems.map(formatProblem), [
    "class 'a': limitBytes: tc cannot say a limit in bytes beside one in packets; left out (here and in 1 more)",
    "class 'c': leaf: tc cannot say the queue of a class with children; left out",
    "class 'a': down.rate: tc takes no rate below 8bit, and 8bit stands for nothing assured",
    "class 'a': down.burst: of 0 is written as 1",
    "class 'a': down.cburst: is more than 274 bytes, which last 274 s; cut to that",
    "class 'b': down.burst: is more than 274877 bytes, which last 274 s; cut to that",
    "class 'c': down.burst: a burst where nothing is assured means nothing to tc; left out",
  ]);
  assert.match(
    script!,
    'class add dev eth1 parent 1: classid 1:1 htb rate 8bit ceil 8bit burst 1b cburst 274b quantum 1000 prio 0',
  );
});

test('refuses what is not a device', () => {
  for (const name of ['', 'a b', 'eth0; reboot', 'sixteen-letters-']) {
    const { script, problems } = writeTc(treeOf(documentOf()), { downDevice: name, upDevice: 'eth0' });
    assert.is(script, null);
    assert.is(problems.length, 1);
  }
  assert.is(writeTc(treeOf(documentOf()), { downDevice: 'eth0', upDevice: 'eth0' }).script, null);
});

test.run();
