/** What classes and trees say of their queues: read, refused, layered, written, compared. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../classes/compile.js';
import { difference, formatDifference } from '../../classes/difference.js';
import { writeTreeFile } from '../../classes/formats/tree-export.js';
import { formatProblem } from '../../classes/model.js';
import { NO_SETTINGS, queueSpecOf } from '../../classes/queue.js';
import { QueueTable } from '../../classes/queue-table.js';
import { readClassTreeText } from '../../classes/tree-file.js';
import { parseClassTree } from '../../classes/validate.js';
import { documentOf, linesOf, treeOf } from './documents.js';
import { below, seededRandom } from './random.js';
import { randomQueue } from './random-queue.js';
import { classOf, expectLines as expectRows, NOW_MS, sampleTables, treeOf as treeOfRows } from './records.js';

const test = suite('queue');

/** The lines of a tree that says `top` and has one class that says `own`. */
function problems(own: object, top: object = {}): string[] {
  const lines = linesOf(parseClassTree({ version: 1, ...top, classes: [{ id: 'a', ...own }] }));
  return lines.map((line) => line.replace(/^error: (class 'a': )?/, ''));
}

test('every key, at a class and at the top', () => {
  const said = {
    leaf: 'fq_codel',
    limit: 1,
    limitBytes: '1mb',
    target: '1ms',
    interval: 2000,
    flows: 8192,
    memory: '2000b',
    ecn: false,
    isolate: 'host',
    diffserv: 'diffserv4',
    wash: true,
  };
  const tree = treeOf({
    version: 1,
    linklayer: 'ptm',
    ...said,
    classes: [{ id: 'a', ...said }, { id: 'b' }],
  });
  const settings = {
    leaf: 'fq_codel',
    limitPackets: 1,
    limitBytes: 2 ** 20,
    targetUs: 1000,
    intervalUs: 2000,
    flows: 8192,
    memoryBytes: 2000,
    ecn: false,
    isolate: 'host',
    diffserv: 'diffserv4',
    wash: true,
  };
  assert.equal(tree.queue, settings);
  assert.is(tree.linkLayer, 'ptm');
  assert.is(tree.classes[0]!.queue, tree.queue, 'equal settings are one object');
  assert.ok(Object.isFrozen(tree.queue));
  assert.is(tree.classes[1]!.queue, NO_SETTINGS);
  assert.is(treeOf(documentOf()).linkLayer, 'ethernet');
});

test('what cannot be read is told with its class and key, all at once', () => {
  const bad: [Record<string, unknown>, string][] = [
    [{ leaf: 'red' }, 'leaf: "red" is not a leaf queue; known are pfifo, fq_codel and codel'],
    [{ leaf: null }, 'leaf: null is not a leaf queue; known are pfifo, fq_codel and codel'],
    [{ limit: 0 }, 'limit: must be a whole number from 1 to 1000000, not 0'],
    [{ limit: 1_000_001 }, 'limit: must be a whole number from 1 to 1000000, not 1000001'],
    [{ limitBytes: '5x' }, 'limitBytes: "5x" has the unknown unit "x"'],
    [{ target: 0 }, 'target: 0 is not from 1us to 60s'],
    [{ target: '0.4us' }, 'target: "0.4us" is not from 1us to 60s'],
    [{ target: '5mm' }, 'target: "5mm" has the unknown unit "mm"'],
    [{ interval: '0ms' }, 'interval: "0ms" is not from 1us to 60s'],
    [{ interval: '61s' }, 'interval: "61s" is not from 1us to 60s'],
    [{ interval: true }, 'interval: must be a time such as "5ms" or a number of microseconds, not true'],
    [{ flows: 0 }, 'flows: must be a whole number from 1 to 8192, not 0'],
    [{ flows: '64' }, 'flows: must be a whole number from 1 to 8192, not "64"'],
    [{ memory: 1999 }, 'memory: 1999 is below 2000 bytes, which would not hold one packet'],
    [{ memory: '5gb' }, 'memory: "5gb" is above the largest size, 2147483647 bytes'],
    [{ ecn: 'yes' }, 'ecn: must be true or false, not "yes"'],
    [{ wash: 1 }, 'wash: must be true or false, not 1'],
    [{ isolate: 'flow' }, 'isolate: "flow" is not an isolation; known are none, host and dual'],
    [
      { diffserv: 'diffserv8' },
      'diffserv: "diffserv8" is not a set of tins; known are besteffort, diffserv3 and diffserv4',
    ],
  ];
  for (const [fields, line] of bad) {
    assert.equal(problems(fields), [line]);
    assert.equal(problems({}, fields), [line]);
  }
  const all = Object.assign({}, ...bad.map(([fields]) => fields)) as object;
  assert.is(problems(all, all).length, 2 * Object.keys(all).length);
  assert.equal(problems({}, { linklayer: 'adsl' }), [
    'linklayer: "adsl" is not a link layer; known are ethernet, atm and ptm',
  ]);
  assert.equal(problems({ linklayer: 'atm' }), ['linklayer: is not a known key']);
});

test('a target above the interval, wherever each of them comes from', () => {
  const above = 'target: 101ms is above the interval, 100ms';
  assert.equal(problems({ target: '101ms' }), [above]);
  assert.equal(problems({ target: '100ms' }), []);
  assert.equal(problems({}, { target: '101ms' }), [above]);
  assert.equal(problems({ target: '101ms', interval: '100ms' }), [above]);
  assert.equal(problems({ target: '101ms' }, { interval: '200ms' }), []);
  assert.equal(problems({ target: '9ms' }, { interval: '8ms' }), ['target: 9ms is above the interval, 8ms']);
  assert.equal(problems({ interval: '6ms' }, { target: '7ms' }), ['interval: 6ms is below the target, 7ms']);
  assert.equal(problems({ interval: '4ms' }), ['interval: 4ms is below the target, 5ms']);
  // One cause, one error.
  assert.equal(problems({ target: '6ms' }, { target: '9ms', interval: '8ms' }), [
    'target: 9ms is above the interval, 8ms',
  ]);
  assert.equal(problems({ target: '6ms' }, { interval: 'x' }).length, 1);
  // A pfifo takes no notice of either.
  assert.equal(problems({ target: '101ms' }, { leaf: 'pfifo' }), []);
});

test('settings that the leaf of the same class has no use for', () => {
  const values = { target: '1ms', interval: '1s', ecn: true, flows: 2, memory: '1mb', isolate: 'dual' };
  const useless = { ...values, diffserv: 'diffserv3' };
  assert.equal(
    problems({ leaf: 'pfifo', limit: 5, limitBytes: 5000, wash: true, ...useless }).sort(),
    Object.keys(useless)
      .map((key) => `${key}: a pfifo has no use for it`)
      .sort(),
  );
  assert.equal(
    problems({ leaf: 'codel', limit: 5, limitBytes: 5000, wash: true, ...useless }).sort(),
    ['diffserv', 'flows', 'isolate', 'memory'].map((key) => `${key}: a codel has no use for it`),
  );
  assert.equal(problems({ leaf: 'fq_codel', ...useless }), []);
  assert.equal(problems({ leaf: 'pfifo' }, useless), []);
  assert.equal(problems(useless, { leaf: 'pfifo' }), []);
  assert.equal(problems({ leaf: 'pfifo', flows: 0 }), [
    'flows: must be a whole number from 1 to 8192, not 0',
  ]);
});

test("a class's own values go before the tree's, key by key", () => {
  const tree = treeOf({
    version: 1,
    limit: 50,
    flows: 8,
    memory: '1mb',
    classes: [{ id: 'a' }, { id: 'b', limit: 7 }, { id: 'c', leaf: 'pfifo', limitBytes: 0 }],
  });
  const [a, b, c] = tree.classes.map(({ queue }) => queueSpecOf(tree.queue, queue));
  assert.equal([a!.kind, a!.limitPackets, a!.flows, a!.limitBytes], ['fq_codel', 50, 8, 2 ** 20]);
  assert.equal([b!.limitPackets, b!.flows], [7, 8]);
  assert.equal([c!.kind, c!.limitPackets, c!.flows, c!.limitBytes], ['pfifo', 50, 1, 0]);
});

test('a table has one object for equal settings, whatever their order', () => {
  const table = new QueueTable();
  const first = table.intern({ flows: 5, leaf: 'fq_codel' });
  assert.is(table.intern({ leaf: 'fq_codel', flows: 5 }), first);
  assert.is.not(table.intern({ leaf: 'fq_codel', limitPackets: 5 }), first);
  assert.is.not(table.intern({ flows: 5, leaf: 'fq_codel', ecn: false }), first);
  assert.is(table.intern({}), NO_SETTINGS);
  assert.equal(JSON.stringify(first), '{"leaf":"fq_codel","flows":5}');
  const kept = new QueueTable();
  assert.is(kept.intern(first), first, 'one that is frozen stays the object it is');
});

test('a class with children is told that what it says of queues has no effect', () => {
  const classes = [
    { id: 'site', isolate: 'dual', wash: true, down: { rate: '10mbit' } },
    { id: 'u', parent: 'site', limitBytes: '1500b', down: { rate: '1mbit' } },
  ];
  const { problems } = parseClassTree({ version: 1, classes });
  assert.equal(problems.map(formatProblem).sort(), [
    "class 'site': isolate: has no effect at a class with children, and these do not take it over",
    `class 'u': limitBytes: "1500b" is below 2000 bytes, which would not hold one packet`,
  ]);
});

test('random settings through tree files', () => {
  const random = seededRandom('queues through files');
  for (let round = 0; round < 200; round++) {
    const tree = treeOf({
      version: 1,
      linklayer: ['ethernet', 'atm', 'ptm'][below(random, 3)],
      ...randomQueue(random, undefined, true),
      classes: Array.from({ length: 4 }, (_, i) => ({
        id: `c${i}`,
        ...(i > 1 ? { parent: 'c0' } : {}),
        // What a class with children says of its queue has no effect, and a warning.
        ...(i > 0 ? randomQueue(random) : {}),
      })),
    });
    for (const format of ['json', 'yaml'] as const) {
      const text = [...writeTreeFile(tree, format)].join('');
      const again = readClassTreeText(text, format);
      assert.equal(again.problems, [], text);
      assert.equal(again.tree, tree, text);
      const same = difference(tree, again.tree!);
      assert.equal([same.changed, same.settings, same.unchanged], [[], [], 4]);
    }
  }
});

test('differences name each key with what it was and is', () => {
  const before = treeOf({
    version: 1,
    linklayer: 'atm',
    leaf: 'codel',
    target: '8ms',
    classes: [{ id: 'a', leaf: 'fq_codel', flows: 8, ecn: false, memory: '4mb' }],
  });
  const after = treeOf({
    version: 1,
    target: '9ms',
    wash: true,
    classes: [{ id: 'a', leaf: 'fq_codel', flows: 9, interval: '1s', isolate: 'dual', ecn: true }],
  });
  assert.equal(formatDifference(difference(before, after)).split('\n').slice(0, 2), [
    '~ a interval none → 1s, flows 8 → 9, memory 4mb → none, ecn false → true, isolate none → dual',
    '~ all classes: linklayer atm → ethernet, leaf codel → none, target 8ms → 9ms, wash none → true',
  ]);
});

test('rows say what a tree file says, a subscriber before its plan and that before the settings', () => {
  const tables = sampleTables();
  tables.settings = [{ link_layer: 'ptm', leaf: 'codel', codel_target: '7ms', ecn: 0, wash: 1n, flows: 9 }];
  tables.plans[0] = { ...tables.plans[0], leaf: 'fq_codel', flows: '64', memory: '1mb', ecn: true };
  tables.subscribers[0] = { id: 'u1', site: 'house', plan: 'gold', flows: 5, codel_interval: 200_000 };
  tables.subscribers[1] = { id: 'u2', site: 'house', plan: 'gold', leaf: 'pfifo', isolate: null };
  const tree = treeOfRows(compile(tables, NOW_MS));
  assert.is(tree.linkLayer, 'ptm');
  assert.equal(tree.queue, { leaf: 'codel', targetUs: 7000, flows: 9, ecn: false, wash: true });
  assert.equal(classOf(tree, 'u1').queue, {
    leaf: 'fq_codel',
    intervalUs: 200_000,
    flows: 5,
    memoryBytes: 2 ** 20,
    ecn: true,
  });
  // What the plan says for another kind of leaf is not the subscriber's.
  assert.equal(classOf(tree, 'u2').queue, { leaf: 'pfifo' });
});

test('what is wrong in a row is told with its row and column', () => {
  expectRows(
    (tables) => {
      tables.settings = [{ link_layer: 'dsl', codel_target: 0, flows: 1.5, ecn: 2 }];
      tables.plans[0] = { ...tables.plans[0], leaf: 'codel', flows: 8, memory: '1x' };
      tables.subscribers[0] = {
        id: 'u1',
        site: 'house',
        plan: 'gold',
        isolate: 'all',
        diffserv: 'diffserv3',
      };
      tables.subscribers[1] = { id: 'u2', site: 'house', plan: 'gold', codel_interval: '1us' };
    },
    'error: settings: link_layer: "dsl" is not a link layer; known are ethernet, atm and ptm',
    'error: settings: codel_target: 0 is not from 1us to 60s',
    'error: settings: flows: must be a whole number from 1 to 8192, not 1.5',
    'error: settings: ecn: must be true or false, not 2',
    "error: plans row 'gold': flows: a codel has no use for it",
    `error: plans row 'gold': memory: "1x" has the unknown unit "x"`,
    `error: subscribers row 'u1' (on plan 'gold'): isolate: "all" is not an isolation; known are none, host and dual`,
    "error: subscribers row 'u1' (on plan 'gold'): diffserv: a codel has no use for it",
  );
  expectRows(
    (tables) => {
      tables.settings = [{ codel_interval: '20ms' }];
      tables.plans[0] = { ...tables.plans[0], leaf: 'codel', codel_target: '30ms' };
      tables.subscribers[1] = { id: 'u2', site: 'house', plan: 'gold', codel_interval: '29ms' };
    },
    "error: plans row 'gold': codel_target: 30ms is above the interval, 20ms",
    "error: subscribers row 'u2' (on plan 'gold'): codel_interval: 29ms is below the target, 30ms",
  );
});

test.run();
