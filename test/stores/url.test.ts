import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isStoreUrl, openStore, redactUrl } from '../../classes/stores/open.js';
import { parseStoreUrl } from '../../classes/stores/url.js';
import { WeirError } from '../../src/errors.js';

const test = suite('store URL');

test('paths and servers', () => {
  const path = (url: string) => {
    const parsed = parseStoreUrl(url);
    return parsed.kind === 'sqlite' ? parsed.path : 'a server';
  };
  assert.is(path('sqlite:users.db'), 'users.db');
  assert.is(path('sqlite:/var/lib/weir/users.db'), '/var/lib/weir/users.db');
  assert.is(path('sqlite:../a b?.db'), '../a b?.db');
  assert.is(path('sqlite:///var/lib/users.db'), '/var/lib/users.db');
  assert.is(path('SQLite:Users.db'), 'Users.db');
  for (const url of [
    'postgres://weir@db/users',
    'POSTGRES://weir@db/Users',
    'postgresql://weir:secret@db.example.org:5433/users?sslmode=require',
    'postgres:///users?host=/run/postgresql',
    'postgres://weir@%2Frun%2Fpostgresql:5433/users',
    'postgres://%2Frun%2Fpostgresql/users',
    'postgres://[2001:db8::1]:5432/users',
    'postgres://',
  ])
    assert.is(path(url), 'a server', url);
});

test('what is no address of a database', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['sqlite:', /needs a file/],
    ['sqlite::memory:', /needs a file/],
    ['sqlite://host/users.db', /takes no host/],
    ['', /^the URL of the database is of no known database; known are/],
    ['mysql://weir:secret@db/users', /'mysql:…', is of no known database; known are/],
    ['sqlite://weir:secret@host/users.db', /takes no host/],
    ['postgres:users', /'postgres:…', does not read as/],
    ['postgres:weir:secret@db', /does not read as/],
    ['postgres://weir:secret', /does not read as/],
    ['postgres://weir:secret@db:port/users', /does not read as/],
    ['postgres://weir:secret@db/us%ers', /does not read as/],
    ['postgres://weir:sec%ret@db/users', /in a password, '\/' is written %2F/],
    // Before a slash, a number would pass for the port.
    ...['/', '#', '?'].flatMap((sign) =>
      ['secret', '123', 'se@1'].map(
        (start) => [`postgres://weir:${start}${sign}secret@db/users`, /does not read as/] as const,
      ),
    ),
  ];
  for (const [url, line] of cases) {
    let error: unknown;
    try {
      openStore(url);
    } catch (thrown) {
      error = thrown;
    }
    assert.instance(error, WeirError, url);
    const { code, exitCode, message } = error as WeirError;
    assert.equal([code, exitCode], ['E_STORE_URL', 2]);
    assert.match(message, line);
    assert.not.match(message, /secret|123|weir:|se@/);
    assert.not.match(redactUrl(url), /secret|123|se@/);
  }
});

test('a password is never in a label', () => {
  assert.is(openStore('Postgres://weir:secret@db/Users').label, 'postgres://weir:***@db/Users');
  assert.is(openStore('postgres://weir:secret@db/users').label, 'postgres://weir:***@db/users');
  assert.is(
    redactUrl('postgres://db/users?user=a&password=secret'),
    'postgres://db/users?user=a&password=***',
  );
});

test('schemes', () => {
  assert.equal(
    ['sqlite:a', 'postgres://a', 'postgresql://a', 'file:a', 'sqlitex:a', 'POSTGRES://a'].map(isStoreUrl),
    [true, true, true, false, false, true],
  );
});

test.run();
