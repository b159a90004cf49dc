import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../classes/validate.js';
import { linesOf as linesOfTree } from './documents.js';
import { expectLines } from './records.js';

const test = suite('compile-strict');

test('an assured rate above the parent is an error, told once for a plan', () => {
  expectLines(
    (tables) => {
      tables.sites[0] = { id: 'house', parent: 'uplink', down_rate: '5mbit', down_ceil: '2gbit' };
      for (let i = 0; i < 50; i++) tables.subscribers.push({ id: `more${i}`, site: 'house', plan: 'gold' });
    },
    "error: subscribers row 'u1': down_rate: 10mbit is above 5mbit, the assured rate of class 'house' (plan 'gold'), here and in 50 more rows",
    "error: subscribers row 'u2': down_rate: 20mbit is above 5mbit, the assured rate of class 'house'",
  );
});

test('a parent without an assured rate is passed over, and a sum above it only warned of', () => {
  expectLines(
    (tables) => {
      tables.sites[0] = { id: 'house', parent: 'uplink', down_ceil: '2gbit' };
      tables.sites[1] = {
        id: 'uplink',
        parent: null,
        down_rate: '15mbit',
        down_ceil: '5gbit',
        up_rate: '1gbit',
      };
    },
    "error: subscribers row 'u2': down_rate: 20mbit is above 15mbit, the assured rate of class 'uplink'",
    "warning: sites row 'house': down_rate: the children's assured rates add up to 10mbit, above this 0bit",
    "warning: sites row 'uplink': down_ceil: 5gbit is above the rate, 15mbit, but a root has nobody to borrow from",
  );
  expectLines((tables) => {
    tables.sites[0] = { id: 'house', parent: 'uplink', down_rate: '25mbit', down_ceil: '2gbit' };
  }, "warning: sites row 'house': down_rate: the children's assured rates add up to 30mbit, above this 25mbit");
});

test('overlapping prefixes: one warning that says who wins', () => {
  expectLines((tables) => {
    tables.addresses.push({ subscriber: 'guests', address: '10.0.0.0/8' });
  }, `warning: addresses row 'guests': 10.0.0.0/8 contains 10.0.0.5 of class 'u1' and 1 more prefixes of other classes; there the longer prefix wins`);
});

test('a leaf at the top that assures nothing would never send', () => {
  const silent = (key: string, more = ''): string =>
    `${key}: nothing is assured and a root has nobody to borrow from: it would never send${more}; give a rate, or a parent`;
  expectLines(
    (tables) => {
      tables.subscribers.push({ id: 'lone1', plan: 'free' }, { id: 'lone2', plan: 'free', up_rate: 1000 });
      tables.subscribers.push({ id: 'lone3', down_ceil: '1mbit' });
    },
    `error: subscribers row 'lone1': ${silent('down_rate', ' (here and in 2 more)')} (plan 'free')`,
    `error: subscribers row 'lone1': ${silent('up_rate')} (plan 'free')`,
    "warning: subscribers row 'lone2': up_ceil: 1mbit is above the rate, 1kbit, but a root has nobody to borrow from",
  );
  // What has something below it, a parent, or no limit at all is another matter.
  const others = [
    { id: 'top', down: { ceil: '10mbit' } },
    { id: 'below', parent: 'top', down: { ceil: '10mbit' } },
    { id: 'free', match: '10.0.0.1' },
  ];
  const strict = { strict: true };
  assert.is.not(parseClassTree({ version: 1, classes: others }, strict).tree, null);
  const document = { version: 1, classes: [...others, { id: 'a', up: { ceil: '10mbit' } }] };
  assert.is.not(parseClassTree(document).tree, null, 'a tree file that is not read strictly');
  assert.equal(
    linesOfTree(parseClassTree(document, strict)).filter((line) => line.startsWith('error')),
    [`error: class 'a': ${silent('up.rate')}`],
  );
});

test('a tree file that is read strictly: assured rates above the parent, overlaps', () => {
  const document: { version: number; classes: Record<string, unknown>[] } = {
    version: 1,
    classes: [
      { id: 'a', down: { rate: '10mbit' } },
      { id: 'b', parent: 'a', down: { ceil: '10mbit' } },
      { id: 'c', parent: 'b', match: '10.0.0.0/8', down: { rate: '10mbit' } },
      { id: 'd', parent: 'b', match: '10.1.0.0/16', down: { rate: '8mbit' } },
    ],
  };
  const sum = "warning: class 'b': down.rate: the children's assured rates add up to 18mbit, above this 0bit";
  const overlap = `warning: class 'c': match: 10.0.0.0/8 contains 10.1.0.0/16 of class 'd'; there the longer prefix wins`;
  assert.equal(linesOfTree(parseClassTree(document)), [sum]);
  assert.equal(linesOfTree(parseClassTree(document, { strict: true })), [sum, overlap]);
  document.classes[2]!.down = { rate: '11mbit', ceil: '11mbit' };
  const strict = parseClassTree(document, { strict: true });
  assert.is(strict.tree, null);
  assert.ok(
    linesOfTree(strict).includes(
      "error: class 'c': down.rate: 11mbit is above 10mbit, the assured rate of class 'a'",
    ),
  );
  assert.is.not(parseClassTree(document).tree, null);
});

test.run();
