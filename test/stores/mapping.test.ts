/** A schema of an operator's own behind queries: what comes out, what is told of bad queries, what a watch sees. */
import { readFileSync } from 'node:fs';
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../classes/compile.js';
import type { RecordQueries } from '../../classes/stores/store.js';
import { backends, closeStores, Events, faultOf, open, type Scratch } from './backends.js';

const OWN_SCHEMA = `
  CREATE TABLE tariffs (code integer PRIMARY KEY, kbit_down bigint, kbit_up numeric(12, 2));
  CREATE TABLE customers (login varchar(40) PRIMARY KEY, tariff integer, room text, ends date);
  CREATE TABLE leases (ip text PRIMARY KEY, login varchar(40));
  CREATE TABLE sessions (id integer, login text);
  INSERT INTO tariffs VALUES (1, 10000, 2000.5), (2, 50000, NULL);
  INSERT INTO customers VALUES ('anna', 1, 'A-101', NULL), ('bert', 2, 'A-102', NULL);
  INSERT INTO leases VALUES ('10.0.0.1', 'anna'), ('10.0.0.2', 'bert');
`;

const QUERIES: RecordQueries = {
  plans:
    "SELECT 'tariff-' || code AS id, kbit_down * 1000 AS down_ceil, kbit_up * 1000 AS up_ceil FROM tariffs;",
  sites:
    "SELECT DISTINCT substr(room, 1, 1) AS id, '1gbit' AS down_rate FROM customers -- a comment at the end",
  subscribers: `WITH active AS (SELECT * FROM customers)
    SELECT login AS id, 'tariff-' || tariff AS plan, substr(room, 1, 1) AS site FROM active`,
  addresses: 'SELECT login AS subscriber, ip AS address FROM leases',
};

/** What the example of classes/stores/README.md reads. */
const README_SCHEMA = `
  CREATE TABLE tariffs (code text PRIMARY KEY, kbit_down integer, kbit_up integer);
  CREATE TABLE buildings (name text PRIMARY KEY, uplink text);
  CREATE TABLE customers (login text PRIMARY KEY, tariff text, building text, valid_until timestamp);
  CREATE TABLE leases (ip text PRIMARY KEY, login text);
  INSERT INTO tariffs VALUES ('basic', 10000, 2000), ('large', 100000, 50000);
  INSERT INTO buildings VALUES ('main', NULL), ('annex', 'main');
  INSERT INTO customers VALUES ('anna', 'basic', 'annex', NULL), ('bert', 'large', 'main', '2100-01-01 00:00:00'),
    ('cleo', 'basic', NULL, NULL);
  INSERT INTO leases VALUES ('10.0.0.1', 'anna'), ('10.0.0.2', 'bert'), ('10.0.0.3', 'cleo'), ('10.0.0.4', 'gone');
`;

/** The indented lines `table: SELECT …`, each with the lines below it that are indented further. */
function readmeQueries(): RecordQueries {
  const text = readFileSync(new URL('../../../classes/stores/README.md', import.meta.url), 'utf8');
  const found = text.matchAll(/^ {4}(\w+): +(SELECT .*(?:\n {5,}.*)*)/gm);
  return Object.fromEntries(Array.from(found, ([, table, sql]) => [table, sql]));
}

for (const backend of backends()) {
  const test = suite(`mapping in ${backend.name}`);
  test.after.each(closeStores);
  test.after(() => backend.remove());
  addQueries(test, backend.make);
  addFaults(test, backend.make, backend.name);
  addWatch(test, backend.make, backend.name);
  test.run();
}

async function ownSchema(make: () => Promise<Scratch>): Promise<Scratch> {
  const scratch = await make();
  await scratch.run(OWN_SCHEMA);
  return scratch;
}

function addQueries(test: Test, make: () => Promise<Scratch>): void {
  test('queries return the canonical columns, and compile', async () => {
    const { url } = await ownSchema(make);
    const records = await open(url, QUERIES).readAll();
    for (const plan of records.plans) {
      assert.type(plan.down_ceil, 'number');
      if (plan.up_ceil !== null) assert.type(plan.up_ceil, 'number');
    }
    const { tree, problems } = compile(records, 0);
    assert.equal(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    const anna = tree!.classes.find(({ id }) => id === 'anna')!;
    assert.equal([anna.parent, anna.match[0]!.text], ['A', '10.0.0.1']);
    assert.equal([anna.down!.ceilBps, anna.up!.ceilBps], [10e6, 2_000_500]);
    assert.is(tree!.classes.find(({ id }) => id === 'bert')!.up, null);
  });

  test('the example of the README compiles, for customers with a site and without, and with a lease of nobody', async () => {
    const { url, run } = await make();
    await run(README_SCHEMA);
    const queries = readmeQueries();
    assert.equal(Object.keys(queries), ['plans', 'sites', 'subscribers', 'addresses']);
    const { tree, problems } = compile(await open(url, queries).readAll(), 0);
    assert.equal(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    const shapes = tree!.classes.map(({ id, parent, match, down, up }) => {
      const rates = [down!.rateBps, down!.ceilBps, up!.rateBps, up!.ceilBps];
      return `${id} < ${parent}: ${rates.map((bps) => bps / 1e6).join(' ')} ${match.map(({ text }) => text)}`.trim();
    });
    assert.equal(shapes.sort(), [
      'anna < annex: 1 10 0.2 2 10.0.0.1',
      'annex < main: 1000 1000 1000 1000',
      'bert < main: 10 100 5 50 10.0.0.2',
      'cleo < null: 1 10 0.2 2 10.0.0.3',
      'main < null: 1000 1000 1000 1000',
    ]);
  });

  test('a table without a query is empty, whatever the database has of that name', async () => {
    const { url, run } = await ownSchema(make);
    await run('CREATE TABLE plans (id text)');
    const records = await open(url, {
      subscribers: "SELECT login AS id, '1mbit' AS down_rate FROM customers",
    }).readAll();
    assert.equal([records.settings, records.plans, records.sites, records.addresses], [[], [], [], []]);
    assert.is(records.subscribers.length, 2);
  });

  test('single subscribers cannot be asked for', async () => {
    const { url } = await ownSchema(make);
    assert.is(await open(url, QUERIES).readSubscribers(['anna']), null);
  });
}

/** Each is wrong in one query; the rest is QUERIES. `line` follows the store's address. */
const FAULTS: readonly { what: string; queries: RecordQueries; only?: string; line: RegExp }[] = [
  {
    what: 'a missing column',
    queries: { plans: 'SELECT kbit_down AS down_ceil FROM tariffs' },
    line: /^E_STORE_SCHEMA: STORE: the query for plans: column id is missing$/,
  },
  {
    what: 'a missing column where there are no rows',
    queries: { addresses: 'SELECT ip AS address FROM leases WHERE 1 = 0' },
    line: /^E_STORE_SCHEMA: STORE: the query for addresses: column subscriber is missing$/,
  },
  {
    what: 'an unknown column',
    queries: { subscribers: 'SELECT login AS id, 5 AS down_rat FROM customers' },
    line: /^E_STORE_SCHEMA: STORE: the query for subscribers: column down_rat is not a known column; did you mean 'down_rate'\?$/,
  },
  {
    what: 'a column without its direction',
    queries: { plans: 'SELECT code AS id, kbit_down AS rate FROM tariffs' },
    line: /^E_STORE_SCHEMA: STORE: the query for plans: column rate is not a known column; did you mean 'down_rate'\?$/,
  },
  {
    what: 'a missing column, and an unknown one',
    queries: { addresses: 'SELECT login, ip AS address FROM leases' },
    line: /^E_STORE_SCHEMA: STORE: the query for addresses: column subscriber is missing; column login is not a known column$/,
  },
  {
    what: 'a column twice',
    queries: { sites: 'SELECT room AS id, login AS id FROM customers' },
    line: /^E_STORE_SCHEMA: STORE: the query for sites: column id is returned twice$/,
  },
  {
    what: 'a table that is not there',
    queries: { plans: 'SELECT code AS id FROM tarifs' },
    line: /^E_STORE_SCHEMA: STORE: the query for plans: .*tarifs/,
  },
  {
    what: 'a column that the table does not have',
    queries: { plans: 'SELECT name AS id FROM tariffs' },
    line: /^E_STORE_SCHEMA: STORE: the query for plans: .*name/,
  },
  {
    what: 'a syntax error',
    queries: { plans: 'SELEKT code AS id FROM tariffs' },
    line: /^E_STORE_QUERY: STORE: the query for plans: .*"SELEKT".*syntax error$|^E_STORE_QUERY: STORE: the query for plans: syntax error.*SELEKT/,
  },
  { what: 'no query at all', queries: { plans: ' ' }, line: /^E_STORE_QUERY: STORE: the query for plans: / },
  {
    what: 'two statements',
    queries: { plans: 'SELECT code AS id FROM tariffs; DELETE FROM customers' },
    line: /^E_STORE_QUERY: STORE: the query for plans: .*(more than one statement|multiple commands)/,
  },
  {
    what: 'a statement that writes',
    queries: { addresses: 'DELETE FROM leases RETURNING login AS subscriber, ip AS address' },
    line: /^E_STORE_QUERY: STORE: the query for addresses: would write, but weir only reads with it; it must be a SELECT$/,
  },
  {
    what: 'a statement that makes a table',
    queries: { settings: 'CREATE TABLE mine (id integer)' },
    line: /^E_STORE_QUERY: STORE: the query for settings: would write, but weir only reads with it; it must be a SELECT$/,
  },
  {
    what: 'the end of the transaction',
    queries: { settings: 'COMMIT' },
    line: /^E_STORE_QUERY: STORE: the query for settings: returns no rows; it must be a SELECT$/,
  },
  {
    what: 'a change of the transaction, and then a write',
    only: 'postgres',
    queries: {
      settings: "SELECT set_config('transaction_read_only', 'off', false) AS default_class",
      addresses: 'DELETE FROM leases RETURNING login AS subscriber, ip AS address',
    },
    line: /^E_STORE_QUERY: STORE: the query for settings: .*read-write mode/,
  },
  {
    what: 'a write within a WITH',
    only: 'postgres',
    queries: {
      subscribers: 'WITH gone AS (DELETE FROM customers RETURNING login) SELECT login AS id FROM gone',
    },
    line: /^E_STORE_QUERY: STORE: the query for subscribers: would write, but weir only reads with it; it must be a SELECT$/,
  },
  {
    what: 'an error in the data',
    only: 'postgres',
    queries: { plans: 'SELECT code / 0 AS id FROM tariffs' },
    line: /^E_STORE_QUERY: STORE: the query for plans: division by zero$/,
  },
];

function addFaults(test: Test, make: () => Promise<Scratch>, name: string): void {
  test('of each fault one line tells, nothing is written, and the next read works', async () => {
    const { url, rows } = await ownSchema(make);
    for (const { what, queries, only, line } of FAULTS) {
      if (only !== undefined && only !== name) continue;
      const store = open(url, { ...QUERIES, ...queries });
      const told = await faultOf(store, () => store.readAll());
      assert.match(told, line, `${what}: ${told}`);
      assert.is(told, await faultOf(store, () => store.readAll()), what);
      assert.is((await rows('SELECT * FROM customers')).length, 2, what);
      assert.is((await rows('SELECT * FROM leases')).length, 2, what);
      await store.close();
    }
    assert.is((await open(url, QUERIES).readAll()).subscribers.length, 2);
  });

  test('a store recovers when the schema is mended', async () => {
    const { url, run } = await make();
    const store = open(url, QUERIES);
    await run('CREATE TABLE other (id integer)');
    assert.match(await faultOf(store, () => store.readAll()), /^E_STORE_SCHEMA/);
    await run(OWN_SCHEMA);
    assert.is((await store.readAll()).subscribers.length, 2);
  });
}

function addWatch(test: Test, make: () => Promise<Scratch>, name: string): void {
  const BATCH = {
    id: 'b-1',
    startMs: 0,
    endMs: 60_000,
    rows: [{ subscriber: 'anna', direction: 'up', bytes: 1, packets: 1 }],
  } as const;

  if (name === 'sqlite') {
    test('a watch tells of what the queries return, and of no other commit', async () => {
      const { url, run } = await ownSchema(make);
      const events = await Events.of(open(url, QUERIES));
      await open(url, QUERIES).takeUsage(BATCH);
      await run("INSERT INTO sessions VALUES (1, 'anna')");
      await run("UPDATE customers SET tariff = 2 WHERE login = 'anna'");
      assert.is(await events.changed('all'), 'all');
      // A second change brings a second event; had a commit from above been told, it would be here too.
      await run("INSERT INTO leases VALUES ('10.0.0.3', 'bert')");
      await events.until(() => events.seen.length > 0);
      assert.equal(events.seen, [{ kind: 'all' }]);
    });

    test('usage that is written does not end in an event', async () => {
      const { url } = await ownSchema(make);
      const store = open(url, QUERIES, { pollMs: 1 });
      const events = await Events.of(store);
      const writer = open(url, QUERIES);
      for (let n = 0; n < 50; n++) {
        await writer.takeUsage({ ...BATCH, id: `b-${n}` });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal(events.seen, []);
    });

    test('a table that goes is an event, for the next read tells why', async () => {
      const { url, run } = await ownSchema(make);
      const events = await Events.of(open(url, QUERIES));
      await run('DROP TABLE leases');
      assert.is(await events.changed('all'), 'all');
    });

    test('without the table of changes the reference schema is watched all the same', async () => {
      const { url, run } = await make();
      await open(url).createSchema();
      await run("DROP TABLE weir_changes; INSERT INTO plans (id, down_rate) VALUES ('gold', 5)").catch(
        () => {},
      );
      const triggers = ['insert', 'update', 'delete']
        .map((kind) => `DROP TRIGGER weir_plans_${kind}`)
        .join('; ');
      await run(
        `${triggers}; DROP TABLE IF EXISTS weir_changes; INSERT INTO plans (id, down_rate) VALUES ('gold', 5)`,
      );
      const events = await Events.of(open(url));
      await run('UPDATE plans SET down_rate = 6');
      assert.is(await events.changed('all'), 'all');
    });
    return;
  }

  test('a trigger of the operator is heard, whatever it says', async () => {
    const { url, run } = await ownSchema(make);
    await run(`
      CREATE FUNCTION tell_weir() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('weir_classes', ''); RETURN NULL; END $$;
      CREATE TRIGGER tell_weir AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON customers
        FOR EACH STATEMENT EXECUTE FUNCTION tell_weir();`);
    const events = await Events.of(open(url, QUERIES));
    await run("UPDATE customers SET tariff = 2 WHERE login = 'anna'");
    assert.is(await events.changed('all'), 'all');
    for (const payload of ['all', '["anna"]', 'customers', '[', '[1]']) {
      await run(`NOTIFY weir_classes, '${payload}'`);
      assert.is(await events.changed('all'), 'all', payload);
    }
  });

  test('a payload that is no list of ids means anything with the reference schema too', async () => {
    const { url, run } = await make();
    await open(url).createSchema();
    const events = await Events.of(open(url));
    for (const payload of ['', 'anna', '[', '[1]', '{"ids": []}']) {
      await run(`NOTIFY weir_classes, '${payload}'`);
      assert.is(await events.changed('all'), 'all', payload);
    }
    await run(`NOTIFY weir_classes, '["o''hara", "b"]'; NOTIFY other, 'x'`);
    assert.equal(await events.changed('b'), ['b', "o'hara"]);
  });
}
