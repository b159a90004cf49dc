/** A database whose driver is not there, and weir without any database. */
import { execFileSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { storeFault } from '../../classes/stores/faults.js';

const test = suite('drivers');
const OPEN = new URL('../../classes/stores/open.js', import.meta.url).href;

/** Runs code in a process that finds no package whose name is in `missing`. */
function runWithout(missing: readonly string[], code: string): string {
  const hook = `const missing = ${JSON.stringify(missing)};
    export function resolve(name, context, next) {
      if (!missing.includes(name)) return next(name, context);
      const error = new Error("Cannot find package '" + name + "' imported from a test");
      throw Object.assign(error, { code: 'ERR_MODULE_NOT_FOUND' });
    }`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(hook))});`;
  const args = ['--import', dataUrl(register), '--input-type=module', '-e', code];
  return execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

test('a package that is missing is one line, for its own databases only', () => {
  const read = `import { openStore } from ${JSON.stringify(OPEN)};
    for (const url of ['postgres://weir:secret@db/users', 'sqlite:/no/such/file']) {
      const store = openStore(url);
      await store.readAll().catch((error) => console.log(error.code + ': ' + error.message));
      await store.close();
    }`;
  assert.equal(runWithout(['pg'], read).trimEnd().split('\n'), [
    'E_STORE_DRIVER: postgres://weir:***@db/users: the package pg is not installed; run: npm install',
    'E_STORE_CONNECT: sqlite:/no/such/file: there is no such file',
  ]);
});

test('opening a store loads no driver', () => {
  const opens = `import { openStore } from ${JSON.stringify(OPEN)};
    for (const url of ['postgres://db/users', 'sqlite:users.db']) await openStore(url).close();
    console.log('opened');`;
  assert.is(runWithout(['pg', 'better-sqlite3', 'kysely'], opens).trimEnd(), 'opened');
});

test('a driver that is not compiled, or for another Node, is told with the command that mends it', () => {
  const bindings = new Error('Could not locate the bindings file. Tried:\n → /a\n → /b');
  const other = Object.assign(new Error('was compiled against a different Node.js version'), {
    code: 'ERR_DLOPEN_FAILED',
  });
  for (const cause of [bindings, other]) {
    const { code, message } = storeFault(cause, { label: 'sqlite:users.db', part: null, task: 'connect' });
    assert.is(code, 'E_STORE_DRIVER');
    assert.is(
      message,
      'sqlite:users.db: better-sqlite3 is not compiled for this Node; run: npm rebuild better-sqlite3',
    );
  }
});

test.run();
