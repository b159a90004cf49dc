/** Leaf queues and the link layer in tc's words: read, written, and what one side cannot say. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FormatResult } from '../../classes/formats/result.js';
import { writeTc } from '../../classes/formats/tc-export.js';
import { readTc } from '../../classes/formats/tc-import.js';
import { type ClassTree, formatProblem } from '../../classes/model.js';
import { parseClassTree } from '../../classes/validate.js';
import { documentOf, treeOf } from '../classes/documents.js';
import { expectSameTree } from './random-tree.js';

const test = suite('queues of tc');
const DEVICES = { downDevice: 'eth1', upDevice: 'eth0' };

const HEAD = `
qdisc add dev eth1 root handle 1: htb default 20
class add dev eth1 parent 1: classid 1:1 htb rate 100mbit
class add dev eth1 parent 1:1 classid 1:10 htb rate 1mbit ceil 10mbit
class add dev eth1 parent 1:1 classid 1:20 htb rate 8bit ceil 1mbit
filter add dev eth1 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.5/32 flowid 1:10
`;

function read(text: string): FormatResult {
  return readTc([{ name: 's.tc', text }]);
}

function lines(result: FormatResult): string[] {
  return result.problems.map((problem) => `${problem.severity}: ${formatProblem(problem)}`);
}

function written(tree: ClassTree): string {
  return writeTc(tree, DEVICES).script!;
}

/** What a class says of its queue where tc does in these words, and the lines with it. */
function queueOf(words: string): { readonly queue: unknown; readonly found: string[] } {
  const result = read(`${HEAD}qdisc add dev eth1 parent 1:10 handle 10: ${words}\n`);
  if (result.document === null) return { queue: null, found: lines(result) };
  const tree = treeOf(result.document);
  const found = lines(result).filter((line) => !line.includes('device: only'));
  return { queue: tree.classes.find(({ id }) => id === '1:10')!.queue, found };
}

test('reads the queues that weir has, with all of their options', () => {
  const read: [string, object][] = [
    ['pfifo', { leaf: 'pfifo' }],
    ['pfifo limit 9p', { leaf: 'pfifo', limitPackets: 9 }],
    ['bfifo limit 30k', { leaf: 'pfifo', limitBytes: 30_720 }],
    ['fq_codel', { leaf: 'fq_codel' }],
    ['fq_codel quantum 1514 drop_batch 64 noecn', { leaf: 'fq_codel', ecn: false }],
    [
      'fq_codel limit 99 flows 64 target 3ms interval 30000 memory_limit 4Mb ecn',
      {
        ...{ leaf: 'fq_codel', limitPackets: 99, targetUs: 3000, intervalUs: 30_000 },
        ...{ flows: 64, memoryBytes: 2 ** 22, ecn: true },
      },
    ],
    [
      'codel limit 5 target 1s interval 2secs ecn',
      { leaf: 'codel', limitPackets: 5, targetUs: 1_000_000, intervalUs: 2_000_000, ecn: true },
    ],
  ];
  for (const [words, queue] of read) assert.equal(queueOf(words), { queue, found: [] }, words);
  assert.equal(queueOf('fq_codel quantum 300 ce_threshold 1ms flows 5'), {
    queue: { leaf: 'fq_codel', flows: 5 },
    found: [
      'warning: s.tc line 7: fq_codel: weir has no quantum; left out',
      'warning: s.tc line 7: fq_codel: weir has no ce_threshold; left out',
    ],
  });
  for (const [words, fault] of [
    ['pfifo target 5ms', '"target" is not an option of pfifo'],
    ['codel flows 5', '"flows" is not an option of codel'],
    ['codel target 5parsecs', 'target: "5parsecs" has the unknown unit "parsecs"'],
    ['fq_codel limit', 'limit: has no value'],
  ] as const)
    assert.equal(queueOf(words).found, [`error: s.tc line 7: ${fault}`]);
  // What weir does not take at all is the tree's to say, with the line.
  const { document, placeOf } = readTc([
    { name: 's.tc', text: `${HEAD}qdisc add dev eth1 parent 1:10 fq_codel flows 65537` },
  ]);
  assert.match(parseClassTree(document).problems.map(formatProblem).join(), /class '1:10': flows: must be/);
  assert.is(placeOf('1:10'), 's.tc line 4');
});

test('spells out what follows, and reads it back as not said', () => {
  const tree = treeOf(
    documentOf(
      { id: 'a', down: { rate: 1e6 } },
      { id: 'b', down: { rate: 1e6 }, leaf: 'fq_codel', limit: 10_240, wash: false },
      { id: 'c', down: { rate: 1e6 }, limitBytes: '64kb', ecn: false },
      { id: 'd', down: { rate: 1e6 }, leaf: 'pfifo', limitBytes: '64kb' },
    ),
  );
  const script = written(tree);
  const again = (text: string): ClassTree => treeOf(readTc([{ name: 's.tc', text }], DEVICES).document);
  const fq = 'limit 10240 flows 1024 target 5ms interval 100ms';
  for (const line of [
    '# weir class 1:1 "a"\n',
    '# weir class 1:2 "b" says=leaf,limit,wash\n',
    '# weir class 1:3 "c" limitBytes\n',
    '# weir class 1:4 "d"\n',
    `parent 1:1 handle 5: fq_codel ${fq} ecn memory_limit 32000000b\n`,
    `parent 1:2 handle 2: fq_codel ${fq} ecn memory_limit 32000000b\n`,
    `parent 1:3 handle 3: fq_codel ${fq} noecn memory_limit 65536b\n`,
    'parent 1:4 handle 4: bfifo limit 65536b\n',
  ])
    assert.ok(script.includes(line), `${line}in\n${script}`);
  expectSameTree(again(script), tree);
  // Edited by hand it counts, whatever the note says.
  const edited = script.replaceAll('limit 10240 flows 1024', 'limit 10240 flows 77');
  assert.equal(again(edited).classes[0]!.queue, { flows: 77 });
});

test('says at each class what a tree says for all, and tells what it cannot say', () => {
  const { script, problems } = writeTc(
    treeOf({
      version: 1,
      ...{ linklayer: 'ptm', leaf: 'codel', target: '9ms', diffserv: 'diffserv4', wash: true },
      classes: [
        { id: 'a', down: { rate: 1e6 }, up: { rate: 1e6 } },
        { id: 'b', leaf: 'fq_codel', isolate: 'dual', memory: '2mb', limitBytes: '1mb', down: { rate: 1e6 } },
      ],
    }),
    DEVICES,
  );
  assert.equal(problems.map(formatProblem), [
    'linklayer: tc cannot say ptm; left out',
    'leaf: tc cannot say what holds of the queues of all classes; written at each of them',
    "class 'a': wash: tc cannot say that marks are cleared; left out (here and in 1 more)",
    "class 'b': limitBytes: tc cannot say a limit in bytes beside one of memory; left out",
    "class 'b': isolate: tc cannot say how devices share a queue; left out",
    "class 'b': diffserv: tc cannot say tins; left out",
  ]);
  const [a, b] = treeOf(readTc([{ name: 's.tc', text: script! }], DEVICES).document).classes;
  assert.equal(a!.queue, { leaf: 'codel', targetUs: 9000 });
  assert.equal(b!.queue, { leaf: 'fq_codel', targetUs: 9000, memoryBytes: 2 ** 20 });
});

test('reads and writes the link layer', () => {
  const of = (layer: string): string => HEAD.replaceAll(/rate \w+/g, (rate) => `${rate} linklayer ${layer}`);
  for (const [layer, expected] of [
    ['ethernet', 'ethernet'],
    ['atm', 'atm'],
    ['adsl', 'atm'],
  ])
    assert.is(treeOf(read(of(layer!)).document).linkLayer, expected);
  assert.match(written(treeOf(read(of('atm')).document)), / linklayer atm\n/);
  assert.not.match(written(treeOf(read(HEAD).document)), /linklayer/);
  assert.equal(
    lines(read(of('ptm')))[0],
    'error: s.tc line 3: linklayer: "ptm" is not ethernet, atm or adsl',
  );
  const mixed = read(HEAD.replace('rate 100mbit', 'rate 100mbit linklayer atm'));
  assert.match(
    lines(mixed).join('\n'),
    'linklayer: is atm here; weir has one for all classes, ethernet, as most have it',
  );
});

test.run();
