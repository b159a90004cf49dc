import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../classes/compile.js';
import { parseClassTree } from '../../classes/validate.js';
import {
  classOf,
  expectLines,
  linesOf,
  NOW_MS,
  recordsOf,
  sampleTables,
  type Tables,
  treeOf,
} from './records.js';

/** The same with a chosen column of the plan, the site or the subscriber set to a value. */
function expectColumn(
  table: 'plans' | 'sites' | 'subscribers',
  column: string,
  value: unknown,
  ...lines: string[]
): void {
  expectLines(
    (tables) => {
      tables[table][0] = { ...tables[table][0], [column]: value };
    },
    ...lines,
  );
}

const test = suite('compile');

test('the tables give the tree that a file would', () => {
  const { tree, problems } = compile(sampleTables(), NOW_MS);
  assert.equal(problems, []);
  const document = {
    version: 1,
    default: 'guests',
    overhead: 24,
    mpu: 64,
    classes: [
      { id: 'uplink', down: { rate: '5gbit' }, up: { rate: '1gbit' } },
      { id: 'house', parent: 'uplink', down: { rate: '1gbit', ceil: '2gbit' } },
      {
        id: 'u1',
        parent: 'house',
        match: ['10.0.0.5', '2001:db8:42::/56'],
        leaf: 'pfifo',
        down: { rate: '10mbit', ceil: '100mbit' },
        up: { rate: '2mbit', ceil: '40mbit' },
      },
      {
        id: 'u2',
        parent: 'house',
        match: '10.0.0.6',
        leaf: 'pfifo',
        down: { rate: '20mbit', ceil: '100mbit' },
        up: { rate: '2mbit', ceil: '40mbit' },
      },
      { id: 'guests', parent: 'uplink', limit: 50, down: { ceil: '5mbit' }, up: { ceil: '1mbit' } },
    ],
  };
  assert.equal(tree, parseClassTree(document).tree);
});

test('subscribers of a plan share its directions', () => {
  const tree = treeOf(compile(sampleTables(), NOW_MS));
  assert.is(classOf(tree, 'u1').up, classOf(tree, 'u2').up);
});

test('numbers may be numbers, bigints or text, ids may be whole numbers', () => {
  const records = recordsOf({
    plans: [
      {
        id: 3n,
        down_rate: '10000000',
        down_ceil: 20_000_000n,
        up_rate: '1000000.00',
        down_prio: '2',
        limit_packets: '7',
      },
    ],
    sites: [{ id: 1, parent: null, down_rate: '1gbit', up_rate: '1gbit' }],
    subscribers: [{ id: 42, site: '1', plan: '3' }],
    addresses: [{ subscriber: 42, address: '10.0.0.1' }],
  });
  const spec = classOf(treeOf(compile(records, NOW_MS)), '42');
  assert.is(spec.parent, '1');
  assert.is(spec.match.length, 1);
  assert.is(spec.queue.limitPackets, 7);
  assert.is(spec.up!.rateBps, 1_000_000);
  assert.equal([spec.down!.rateBps, spec.down!.ceilBps, spec.down!.prio], [10_000_000, 20_000_000, 2]);
});

test('a wrong rate in a plan is told once, whatever the number of its subscribers', () => {
  const notRate = '"fast" is not a rate such as "10mbit" or a number of bit/s';
  expectLines((tables) => {
    tables.plans[0] = { ...tables.plans[0], down_rate: 'fast' };
    for (let i = 0; i < 50; i++) tables.subscribers.push({ id: `more${i}`, site: 'house', plan: 'gold' });
  }, `error: plans row 'gold': down_rate: ${notRate}`);
});

test('unreadable, negative and absurd values, in each table', () => {
  const where = { plans: "plans row 'gold'", sites: "sites row 'house'" } as const;
  for (const table of ['plans', 'sites'] as const) {
    const at = where[table];
    expectColumn(table, 'down_rate', -5, `error: ${at}: down_rate: -5 is negative`);
    expectColumn(table, 'down_rate', '-5mbit', `error: ${at}: down_rate: "-5mbit" is negative`);
    expectColumn(
      table,
      'down_ceil',
      '11tbit',
      `error: ${at}: down_ceil: "11tbit" is above the highest rate, 10tbit`,
    );
    expectColumn(
      table,
      'down_ceil',
      '5mbit',
      `error: ${at}: down_ceil: "5mbit" is below the rate, ${table === 'plans' ? '10mbit' : '1gbit'}`,
    );
    expectColumn(
      table,
      'down_rate',
      true,
      `error: ${at}: down_rate: must be a rate such as "10mbit" or a number of bit/s, not true`,
    );
    expectColumn(
      table,
      'down_rate',
      '10mbps!',
      `error: ${at}: down_rate: "10mbps!" has the unknown unit "mbps!"`,
    );
    expectColumn(table, 'down_prio', 8, `error: ${at}: down_prio: must be a whole number from 0 to 7, not 8`);
    expectColumn(
      table,
      'down_prio',
      'high',
      `error: ${at}: down_prio: must be a whole number from 0 to 7, not "high"`,
    );
    expectColumn(table, 'down_quantum', 5, `error: ${at}: down_quantum: 5 is not from 60 to 10000000 bytes`);
    expectColumn(table, 'down_burst', '5q', `error: ${at}: down_burst: "5q" has the unknown unit "q"`);
  }
  expectLines((tables) => {
    tables.plans[1] = { id: 'free', down_ceil: 0, up_ceil: '1mbit' };
  }, "error: plans row 'free': down_ceil: is 0, which lets nothing through");
  expectLines((tables) => {
    tables.plans[1] = { id: 'free', down_prio: 1, up_ceil: '1mbit' };
  }, "error: plans row 'free': down_rate: needs a rate, a ceil or both; leave the key out to set no limit");
  expectColumn(
    'plans',
    'limit_packets',
    0,
    "error: plans row 'gold': limit_packets: must be a whole number from 1 to 1000000, not 0",
  );
  expectColumn('plans', 'limit_bytes', -1, "error: plans row 'gold': limit_bytes: -1 is negative");
  expectColumn(
    'plans',
    'leaf',
    'red',
    `error: plans row 'gold': leaf: "red" is not a leaf queue; known are pfifo, fq_codel and codel`,
  );
});

test("a subscriber's own values go before the plan's, and are told with both", () => {
  const at = "subscribers row 'u1' (on plan 'gold')";
  expectColumn(
    'subscribers',
    'down_rate',
    'x',
    `error: ${at}: down_rate: "x" is not a rate such as "10mbit" or a number of bit/s`,
  );
  expectColumn(
    'subscribers',
    'down_rate',
    '200mbit',
    `error: ${at}: down_ceil: "100mbit" is below the rate, 200mbit`,
  );
  const tables = sampleTables();
  tables.subscribers[0] = {
    id: 'u1',
    site: 'house',
    plan: 'gold',
    up_prio: 5,
    leaf: 'codel',
    limit_bytes: '1mb',
  };
  const u1 = classOf(treeOf(compile(tables, NOW_MS)), 'u1');
  assert.equal(
    [u1.up!.prio, u1.up!.rateBps, u1.down!.prio, u1.queue.leaf, u1.queue.limitBytes],
    [5, 2_000_000, 0, 'codel', 2 ** 20],
  );
});

test('own values beside a plan that is wrong are still checked, and only these', () => {
  expectLines(
    (tables) => {
      tables.plans[0] = { ...tables.plans[0], down_rate: 'x' };
      tables.subscribers[0] = { id: 'u1', site: 'house', plan: 'gold', down_ceil: 'y' };
    },
    `error: plans row 'gold': down_rate: "x" is not a rate such as "10mbit" or a number of bit/s`,
    `error: subscribers row 'u1' (on plan 'gold'): down_ceil: "y" is not a rate such as "10mbit" or a number of bit/s`,
  );
});

test('unknown plan, site, parent and subscriber; neither plan nor rates', () => {
  expectColumn(
    'subscribers',
    'plan',
    'silver',
    `error: subscribers row 'u1': plan: "silver" is not the id of a plan`,
  );
  expectColumn(
    'subscribers',
    'plan',
    null,
    "error: subscribers row 'u1': plan: is missing, and the row has no rates of its own",
  );
  expectColumn(
    'subscribers',
    'site',
    'u2',
    `error: subscribers row 'u1': site: "u2" is not the id of a site`,
  );
  expectColumn('sites', 'parent', 'moon', `error: sites row 'house': parent: "moon" is not the id of a site`);
  expectLines((tables) => {
    tables.addresses.push({ subscriber: 'u9', address: '10.0.0.9' });
  }, `error: addresses row 'u9' 10.0.0.9: subscriber: "u9" is not the id of a subscriber`);
  expectLines((tables) => {
    tables.addresses.push({ subscriber: null, address: '10.0.0.9' });
  }, 'error: addresses row undefined 10.0.0.9: subscriber: is missing');
});

test('ids: missing, empty, twice, of a site and of a subscriber', () => {
  expectColumn(
    'plans',
    'id',
    null,
    'error: plans row 1: id: is missing',
    ...['u1', 'u2'].map((id) => `error: subscribers row '${id}': plan: "gold" is not the id of a plan`),
  );
  expectLines((tables) => {
    tables.subscribers.push({ id: '', site: 'house', plan: 'gold' });
  }, 'error: subscribers row 4: id: is empty');
  expectLines((tables) => {
    tables.plans.push({ id: 'gold', down_rate: '1mbit' });
  }, "error: plans row 'gold': id: is used by two rows");
  expectLines((tables) => {
    tables.sites.push({ id: 'house', parent: 'uplink' });
  }, "error: sites row 'house': id: is used by two rows");
  expectLines((tables) => {
    tables.subscribers.push({ id: 'u1', site: 'house', plan: 'gold' });
  }, "error: subscribers row 'u1': id: is used by two rows");
  expectLines((tables) => {
    tables.subscribers.push({ id: 'house', site: 'uplink', plan: 'gold' });
  }, "error: subscribers row 'house': id: is the id of a site, too");
});

test('addresses: of two subscribers, twice, unreadable, host bits', () => {
  const add =
    (subscriber: string, address: unknown) =>
    (tables: Tables): void => {
      tables.addresses.push({ subscriber, address });
    };
  expectLines(
    add('u2', '10.0.0.5/32'),
    "error: addresses row 'u2' 10.0.0.5: address: 10.0.0.5 is an address of subscriber 'u1' already",
  );
  expectLines(
    add('u2', '10.0.0.6'),
    "error: addresses row 'u2' 10.0.0.6: address: 10.0.0.6 stands twice for this subscriber",
  );
  expectLines(
    add('u2', '10.0.0'),
    `error: addresses row 'u2' 10.0.0: address: "10.0.0" is not an IPv4 or IPv6 address or prefix`,
  );
  expectLines(
    add('u2', 'x\ny'),
    `error: addresses row 'u2' "x\\ny": address: "x\\ny" is not an IPv4 or IPv6 address or prefix`,
  );
  expectLines(add('u2', null), "error: addresses row 'u2': address: is missing");
  expectLines(add('u2', 5), "error: addresses row 'u2': address: must be text, not 5");
  expectLines(
    add('u2', '10.9.0.1/24'),
    "warning: addresses row 'u2' 10.9.0.1/24: address: has bits set after its length; read as 10.9.0.0/24",
  );
});

test('a cycle of sites names its members', () => {
  expectLines((tables) => {
    tables.sites[1] = { id: 'uplink', parent: 'house' };
  }, "error: sites row 'house': parent: closes a cycle, each the child of the next: 'house', 'uplink', 'house'");
});

test('33 levels are one too many', () => {
  expectLines((tables) => {
    for (let level = 2; level <= 32; level++) {
      tables.sites.push({ id: `s${level}`, parent: level === 2 ? 'uplink' : `s${level - 1}` });
    }
    tables.subscribers.push({ id: 'deep', site: 's32', plan: 'free' });
  }, "error: subscribers row 'deep': site: puts the class on level 33; a tree may have 32 levels");
});

test('settings: default class, numbers, number of rows', () => {
  const set =
    (row: Record<string, unknown>) =>
    (tables: Tables): void => {
      tables.settings = [row];
    };
  expectLines(
    set({ default_class: 'nobody' }),
    `error: settings: default_class: "nobody" is not the id of a subscriber or a site`,
  );
  expectLines(
    set({ default_class: 'house' }),
    `error: settings: default_class: "house" has classes below it; only a leaf holds packets`,
  );
  expectLines(
    set({ overhead_bytes: '-65' }),
    'error: settings: overhead_bytes: must be a whole number from -64 to 256, not -65',
  );
  expectLines(
    set({ mpu_bytes: 'x' }),
    'error: settings: mpu_bytes: must be a whole number from 0 to 1500, not "x"',
  );
  expectLines((tables) => {
    tables.settings.push({});
  }, 'error: settings: holds 2 rows; it may have one');
  assert.is(treeOf(compile({ ...sampleTables(), settings: [] }, NOW_MS)).defaultClass, null);
});

test('all that is wrong is told at once', () => {
  const tables = sampleTables();
  tables.plans[0] = { ...tables.plans[0], up_rate: 'x' };
  tables.sites.push({ id: 'loop', parent: 'loop' });
  tables.subscribers.push({ id: 'u3', site: 'nowhere', plan: 'nothing', expires_at: 'soon' });
  tables.addresses.push({ subscriber: 'u3', address: '10.0.0.5' }, { subscriber: 'u4', address: 'x' });
  tables.settings = [{ default_class: 'x' }];
  const errors = linesOf(compile(tables, NOW_MS)).filter((line) => line.startsWith('error'));
  assert.is(errors.length, 8, errors.join('\n'));
});

test('24,000 subscribers', () => {
  const tables = sampleTables();
  for (let i = 0; i < 24_000; i++) {
    tables.subscribers.push({ id: `s${i}`, site: 'house', plan: 'free', expires_at: null });
    tables.addresses.push({ subscriber: `s${i}`, address: `10.1.${i >> 8}.${i & 255}` });
  }
  const startMs = performance.now();
  const result = compile(tables, NOW_MS);
  console.log(`24,000 subscribers compiled in ${(performance.now() - startMs).toFixed(0)} ms`);
  assert.is(treeOf(result).classes.length, 24_005);
});

test.run();
