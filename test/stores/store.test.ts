/** What both databases do alike, with the reference schema. */
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { QUEUE_COLUMNS, type RecordRow } from '../../classes/records.js';
import type { UsageBatch } from '../../classes/stores/usage.js';
import { backends, closeStores, Events, faultOf, open, type Scratch } from './backends.js';

const PEOPLE = `
  INSERT INTO plans (id, down_rate, up_rate, down_prio) VALUES ('gold', '10mbit', 2000000, 3);
  INSERT INTO plans (id, down_rate) VALUES ('iron', 1000000);
  INSERT INTO sites (id, down_ceil) VALUES ('campus', '1gbit');
  INSERT INTO sites (id, parent) VALUES ('house', 'campus');
  INSERT INTO subscribers (id, site, plan) VALUES ('anna', 'house', 'gold'), ('bert', 'house', 'gold'), ('carl', NULL, 'iron');
  INSERT INTO addresses (subscriber, address) VALUES ('anna', '10.0.0.1'), ('anna', '2001:db8:1::/56'), ('bert', '10.0.0.2');
`;

for (const backend of backends()) {
  const test = suite(`store in ${backend.name}`);
  test.after.each(closeStores);
  test.after(() => backend.remove());
  addReading(test, backend.make);
  addConstraints(test, backend.make);
  addWatching(test, backend.make);
  addUsage(test, backend.make);
  if (backend.name === 'sqlite') addReplacing(test, backend.make);
  if (backend.name === 'sqlite') addPrompt(test, backend.make);
  test.run();
}

async function people(make: () => Promise<Scratch>): Promise<Scratch> {
  const scratch = await make();
  await open(scratch.url).createSchema();
  await scratch.run(PEOPLE);
  return scratch;
}

function addReading(test: Test, make: () => Promise<Scratch>): void {
  test('the schema is made once, and again changes nothing', async () => {
    const { url, run } = await make();
    const store = open(url);
    await store.createSchema();
    await run(PEOPLE);
    await store.createSchema();
    await open(url).createSchema();
    assert.is((await store.readAll()).subscribers.length, 3);
  });

  test('an empty schema has no rows', async () => {
    const { url } = await make();
    const store = open(url);
    await store.createSchema();
    assert.equal(await store.readAll(), {
      settings: [],
      plans: [],
      sites: [],
      subscribers: [],
      addresses: [],
    });
  });

  test('tables of another schema are left alone', async () => {
    const { url, run, rows } = await make();
    await run("CREATE TABLE plans (code text); INSERT INTO plans VALUES ('x')");
    const store = open(url);
    const line = await faultOf(store, () => store.createSchema());
    assert.is(
      line,
      'E_STORE_SCHEMA: STORE: the schema: there is a table plans of another schema; map it with queries',
    );
    assert.equal(await rows('SELECT * FROM plans'), [{ code: 'x' }]);
    assert.match(
      await faultOf(store, () => store.readAll()),
      /^E_STORE_SCHEMA: STORE: table settings: .*settings/,
    );
  });

  test('a schema of a later version is left alone', async () => {
    const { url, run } = await people(make);
    await run('UPDATE weir_schema SET version = 3');
    const store = open(url);
    const line = await faultOf(store, () => store.createSchema());
    assert.is(line, 'E_STORE_SCHEMA: STORE: the schema: has version 3; this weir knows 2');
  });

  test('all tables are read, numbers as numbers and addresses as text', async () => {
    const { url, run } = await people(make);
    await run("INSERT INTO settings (default_class, overhead_bytes) VALUES ('carl', -4)");
    await run("UPDATE subscribers SET up_ceil = '5mbit' WHERE id = 'bert'");
    const records = await open(url).readAll();
    const { default_class, overhead_bytes, mpu_bytes, ...unsaid } = records.settings[0]!;
    assert.equal([default_class, overhead_bytes, mpu_bytes], ['carl', -4, null]);
    assert.equal(Object.keys(unsaid), ['link_layer', ...QUEUE_COLUMNS]);
    assert.ok(Object.values(unsaid).every((value) => value === null));
    const [gold, iron] = sorted(records.plans);
    assert.equal([gold!.down_rate, Number(gold!.up_rate), gold!.down_prio], ['10mbit', 2e6, 3]);
    assert.equal([Number(iron!.down_rate), iron!.up_rate], [1e6, null]);
    assert.equal(
      sorted(records.sites).map(({ id, parent, down_ceil }) => [id, parent, down_ceil]),
      [
        ['campus', null, '1gbit'],
        ['house', 'campus', null],
      ],
    );
    assert.equal(
      sorted(records.subscribers).map(({ id, site, plan, up_ceil }) => [id, site, plan, up_ceil]),
      [
        ['anna', 'house', 'gold', null],
        ['bert', 'house', 'gold', '5mbit'],
        ['carl', null, 'iron', null],
      ],
    );
    const addresses = records.addresses.map(({ subscriber, address }) =>
      `${subscriber} ${address}`.replace('/32', ''),
    );
    assert.equal(addresses.sort(), ['anna 10.0.0.1', 'anna 2001:db8:1::/56', 'bert 10.0.0.2']);
  });

  test('single subscribers are read with all their addresses, and who is gone is not there', async () => {
    const { url } = await people(make);
    const store = open(url);
    const patch = await store.readSubscribers(['anna', 'nobody', "o'hara"]);
    assert.equal(patch!.ids, ['anna', 'nobody', "o'hara"]);
    assert.equal(
      patch!.subscribers.map(({ id, plan }) => [id, plan]),
      [['anna', 'gold']],
    );
    assert.is(patch!.addresses.length, 2);
    assert.equal(await store.readSubscribers([]), { ids: [], subscribers: [], addresses: [] });
  });

  test('thousands of subscribers can be asked for at once', async () => {
    const { url } = await people(make);
    const ids = Array.from({ length: 70_000 }, (_, index) => `nobody${index}`);
    const patch = await open(url).readSubscribers([...ids, 'bert']);
    assert.equal(
      patch!.subscribers.map(({ id }) => id),
      ['bert'],
    );
  });

  test('times of expiry come as text or Date of the same moment', async () => {
    const { url, run } = await people(make);
    await run("UPDATE subscribers SET expires_at = '2030-05-06T07:08:09Z' WHERE id = 'anna'");
    const store = open(url);
    const whole = (await store.readAll()).subscribers.find(({ id }) => id === 'anna');
    const single = (await store.readSubscribers(['anna']))!.subscribers[0];
    for (const row of [whole, single])
      assert.is(new Date(row!.expires_at as string | Date).toISOString(), '2030-05-06T07:08:09.000Z');
  });
}

function addConstraints(test: Test, make: () => Promise<Scratch>): void {
  const REFUSED: Readonly<Record<string, string>> = {
    'a plan twice': "INSERT INTO plans (id) VALUES ('gold')",
    'a plan without an id': 'INSERT INTO plans (name) VALUES (NULL)',
    'an empty id': "INSERT INTO subscribers (id, plan) VALUES ('', 'gold')",
    'a negative rate': "INSERT INTO plans (id, down_rate) VALUES ('lead', -1)",
    'a negative rate with a unit': "UPDATE subscribers SET up_ceil = '-1mbit' WHERE id = 'anna'",
    'a prio of 8': "UPDATE plans SET up_prio = 8 WHERE id = 'gold'",
    'a leaf queue that is none': "UPDATE plans SET leaf = 'sfq' WHERE id = 'gold'",
    'a negative target': "UPDATE plans SET codel_target = '-5ms' WHERE id = 'gold'",
    'no flows': "UPDATE plans SET flows = 0 WHERE id = 'gold'",
    'more flows than there are': "UPDATE subscribers SET flows = 65537 WHERE id = 'anna'",
    'negative memory': "UPDATE plans SET memory = -1 WHERE id = 'gold'",
    'a flag of 2': "UPDATE plans SET ecn = 2 WHERE id = 'gold'",
    'an isolation that is none': "UPDATE subscribers SET isolate = 'flow' WHERE id = 'anna'",
    'tins that are none': "UPDATE plans SET diffserv = 'diffserv8' WHERE id = 'gold'",
    'a link layer that is none': "INSERT INTO settings (link_layer) VALUES ('adsl')",
    'a site in itself': "UPDATE sites SET parent = 'house' WHERE id = 'house'",
    'an unknown site': "UPDATE subscribers SET site = 'hut' WHERE id = 'anna'",
    'an unknown parent': "UPDATE sites SET parent = 'hut' WHERE id = 'house'",
    'an unknown plan': "UPDATE subscribers SET plan = 'lead' WHERE id = 'anna'",
    'a plan in use that goes': "DELETE FROM plans WHERE id = 'gold'",
    'a site in use that goes': "DELETE FROM sites WHERE id = 'house'",
    'an address twice': "INSERT INTO addresses (subscriber, address) VALUES ('carl', '10.0.0.1')",
    'an address of nobody': "INSERT INTO addresses (subscriber, address) VALUES ('nobody', '10.0.0.9')",
    'a second row of settings': 'INSERT INTO settings (id) VALUES (1); INSERT INTO settings (id) VALUES (2)',
    'a time that is none': "UPDATE subscribers SET expires_at = 'tomorrowish' WHERE id = 'anna'",
    'usage in no direction': `INSERT INTO usage VALUES ('anna', 'left', '2030-01-01', '2030-01-02', 1, 1)`,
    'negative usage': `INSERT INTO usage VALUES ('anna', 'down', '2030-01-01', '2030-01-02', -1, 1)`,
    'usage that ends before it begins': `INSERT INTO usage VALUES ('anna', 'up', '2030-01-02', '2030-01-01', 1, 1)`,
  };

  test('constraints refuse what cannot be', async () => {
    const { run } = await people(make);
    for (const [what, statement] of Object.entries(REFUSED)) {
      const refused = await run(statement).then(
        () => false,
        () => true,
      );
      assert.ok(refused, what);
    }
  });

  test('a subscriber goes with its addresses and leaves its usage', async () => {
    const { run, rows } = await people(make);
    await run("INSERT INTO usage VALUES ('anna', 'down', '2030-01-01', '2030-01-02', 1, 1)");
    await run("DELETE FROM subscribers WHERE id = 'anna'");
    assert.equal(
      (await rows('SELECT subscriber FROM addresses')).map(({ subscriber }) => subscriber),
      ['bert'],
    );
    assert.is((await rows('SELECT * FROM usage')).length, 1);
  });

  test('a changed id is followed by what refers to it', async () => {
    const { run, rows } = await people(make);
    await run(
      "UPDATE plans SET id = 'silver' WHERE id = 'gold'; UPDATE subscribers SET id = 'anne' WHERE id = 'anna'",
    );
    assert.is((await rows("SELECT * FROM subscribers WHERE plan = 'silver'")).length, 2);
    assert.is((await rows("SELECT * FROM addresses WHERE subscriber = 'anne'")).length, 2);
  });
}

function addWatching(test: Test, make: () => Promise<Scratch>): void {
  /** What is written, and whom the events name. */
  const CHANGES: readonly (readonly [string, string, readonly string[] | 'all'])[] = [
    ['a plan of one', "UPDATE subscribers SET plan = 'iron' WHERE id = 'anna'", ['anna']],
    ['a new one', "INSERT INTO subscribers (id, plan) VALUES ('dora', 'gold')", ['dora']],
    ['one who goes', "DELETE FROM subscribers WHERE id = 'bert'", ['bert']],
    ['an id', "UPDATE subscribers SET id = 'karl' WHERE id = 'carl'", ['carl', 'karl']],
    ['an id with addresses', "UPDATE subscribers SET id = 'anne' WHERE id = 'anna'", ['anna', 'anne']],
    ['an address that comes', "INSERT INTO addresses VALUES ('10.0.0.7', 'carl')", ['carl']],
    ['an address that goes', "DELETE FROM addresses WHERE address = '10.0.0.2'", ['bert']],
    [
      'an address that moves',
      "UPDATE addresses SET subscriber = 'carl' WHERE address = '10.0.0.1'",
      ['anna', 'carl'],
    ],
    [
      'an address that changes',
      "UPDATE addresses SET address = '10.0.0.8' WHERE address = '10.0.0.1'",
      ['anna'],
    ],
    ['an expiry', "UPDATE subscribers SET expires_at = '2031-01-01T00:00:00Z' WHERE id = 'carl'", ['carl']],
    ['a plan itself', "UPDATE plans SET down_rate = '20mbit' WHERE id = 'gold'", 'all'],
    ['a new plan', "INSERT INTO plans (id) VALUES ('lead')", 'all'],
    ['a site', "UPDATE sites SET down_ceil = '2gbit' WHERE id = 'campus'", 'all'],
    ['the settings', "INSERT INTO settings (default_class) VALUES ('carl')", 'all'],
    ['everybody gone', 'DELETE FROM subscribers', ['anna', 'bert', 'carl']],
  ];

  for (const [what, statement, expected] of CHANGES) {
    test(`a watch tells of ${what}`, async () => {
      const { url, run } = await people(make);
      const events = await Events.of(open(url));
      await run(statement);
      assert.equal(await events.changed(...(expected === 'all' ? ['all'] : expected)), expected);
    });
  }

  test('a watch begins with anything, tells in order, and ends when it is left', async () => {
    const { url, run } = await people(make);
    const store = open(url);
    const events = new Events(store);
    await events.until(() => events.seen.length > 0);
    assert.equal(events.seen, [{ kind: 'all' }]);
    events.seen.length = 0;
    for (const id of ['anna', 'bert', 'carl']) {
      await run(`UPDATE subscribers SET up_rate = '1mbit' WHERE id = '${id}'`);
      assert.equal(await events.changed(id), [id]);
    }
    const other = await Events.of(store);
    events.stop();
    await run("UPDATE subscribers SET up_rate = '2mbit' WHERE id = 'anna'");
    await other.changed('anna');
    assert.equal(events.seen, []);
    await store.close();
    assert.ok(other.completed);
  });

  test('what is rolled back is not told', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url));
    await run("UPDATE subscribers SET plan = 'iron' WHERE id = 'anna'; SELECT * FROM nowhere").catch(
      () => {},
    );
    await run("UPDATE subscribers SET plan = 'iron' WHERE id = 'bert'");
    assert.equal(await events.changed('bert'), ['bert']);
  });

  test('thousands of changed subscribers are named, and still more are anything, in one event', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url));
    const values = Array.from({ length: 5001 }, (_, index) => `('n${index}', 'gold')`);
    await run(`INSERT INTO subscribers (id, plan) VALUES ${values.join(', ')}`);
    assert.is(await events.changed('all'), 'all');
    await run("UPDATE subscribers SET plan = 'iron' WHERE id < 'n4'");
    const named = await events.changed('n1');
    assert.ok(named !== 'all' && named.length > 3000 && named.includes('anna'));
    assert.equal(events.seen, []);
  });

  test('ids too long for one notification are anything', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url));
    const values = Array.from({ length: 400 }, (_, index) => `('${'x'.repeat(120)}${index}', 'gold')`);
    await run(`INSERT INTO subscribers (id, plan) VALUES ${values.join(', ')}`);
    await events.until(() => events.seen.length > 0);
    const [event] = events.seen;
    assert.ok(event!.kind === 'all' || event!.ids.length === 400);
  });

  test('a tree that is written is one event', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url));
    const classes = ['a', 'b', 'c'].map((id) => ({ ...LEAF, id }));
    const tree = {
      version: 1,
      defaultClass: null,
      overheadBytes: 0,
      mpuBytes: 0,
      linkLayer: 'ethernet',
      queue: {},
      classes,
    } as const;
    await open(url).writeTree(tree);
    await events.until(() => events.seen.length > 0);
    await run("UPDATE subscribers SET up_rate = '2mbit' WHERE id = 'b'");
    await events.until(() => events.seen.length > 1);
    assert.equal(events.seen, [{ kind: 'all' }, { kind: 'subscribers', ids: ['b'] }]);
  });
}

/** SQLite's REPLACE takes rows away without a trigger of their own. */
function addReplacing(test: Test, make: () => Promise<Scratch>): void {
  test('whoever loses an address to REPLACE is told of', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url));
    await run("INSERT OR REPLACE INTO addresses VALUES ('10.0.0.1', 'carl')");
    assert.equal(await events.changed('anna', 'carl'), ['anna', 'carl']);
    await run("UPDATE OR REPLACE addresses SET address = '10.0.0.1' WHERE address = '10.0.0.2'");
    assert.equal(await events.changed('bert', 'carl'), ['bert', 'carl']);
  });
}

/** Of a file with a write-ahead log, as weir makes them. */
function addPrompt(test: Test, make: () => Promise<Scratch>): void {
  test('a commit is told of when it is written, however seldom weir looks by itself', async () => {
    const { url, run } = await people(make);
    const events = await Events.of(open(url, {}, { pollMs: 3_600_000 }));
    for (const plan of ['iron', 'gold']) {
      await run(`UPDATE subscribers SET plan = '${plan}' WHERE id = 'anna'`);
      assert.equal(await events.changed('anna'), ['anna']);
    }
  });
}

const LEAF = { parent: null, match: [], queue: {}, down: null, up: null };

function addUsage(test: Test, make: () => Promise<Scratch>): void {
  const BATCH: UsageBatch = {
    id: 'b-1',
    startMs: Date.parse('2030-01-01T00:00:00Z'),
    endMs: Date.parse('2030-01-01T00:01:00Z'),
    rows: [
      { subscriber: 'anna', direction: 'down', bytes: 2 ** 53 - 1, packets: 10 },
      { subscriber: 'anna', direction: 'up', bytes: 7, packets: 1 },
    ],
  };
  const sums = 'SELECT direction, bytes, packets FROM usage ORDER BY direction';
  const taken = [
    { direction: 'down', bytes: 2 ** 53 - 1, packets: 10 },
    { direction: 'up', bytes: 7, packets: 1 },
  ];
  const numbers = (rows: readonly RecordRow[]) =>
    rows.map((row) => ({ ...row, bytes: Number(row.bytes), packets: Number(row.packets) }));

  test('a batch of usage is taken once, and the watch does not tell of it', async () => {
    const { url, run, rows } = await people(make);
    const events = await Events.of(open(url));
    const store = open(url);
    await store.takeUsage(BATCH);
    await store.takeUsage(BATCH);
    await open(url).takeUsage(BATCH);
    assert.equal(numbers(await rows(sums)), taken);
    await run("UPDATE subscribers SET plan = 'iron' WHERE id = 'bert'");
    assert.equal(await events.changed('bert'), ['bert']);
  });

  test('the tables of usage are made where the rest is of another schema', async () => {
    const { url, run, rows } = await make();
    await run('CREATE TABLE plans (code text)');
    const store = open(url, { plans: 'SELECT code AS id FROM plans' });
    await store.takeUsage(BATCH);
    assert.equal(numbers(await rows(sums)), taken);
    await store.createSchema();
    assert.equal(await rows('SELECT * FROM plans'), []);
    const line = await faultOf(store, () =>
      store.writeTree({
        version: 1,
        defaultClass: null,
        overheadBytes: 0,
        mpuBytes: 0,
        linkLayer: 'ethernet',
        queue: {},
        classes: [],
      }),
    );
    assert.is(line, 'E_STORE_WRITE: STORE: a mapped schema is not written to');
  });

  test('a table of usage of another shape is left alone', async () => {
    const { url, run } = await make();
    await run('CREATE TABLE usage (login text)');
    const store = open(url);
    const line = await faultOf(store, () => store.takeUsage(BATCH));
    assert.is(line, 'E_STORE_SCHEMA: STORE: table usage: the table usage has no column subscriber');
  });
}

function sorted(rows: readonly RecordRow[]): RecordRow[] {
  return [...rows].sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}
