import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weir } from './weir.js';

const test = suite('weir stats');
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
test.after(() => rmSync(folder, { recursive: true }));

test('no daemon', () => {
  const socket = join(folder, 'none.sock');
  assert.equal(weir('stats', '--socket', socket, '--json'), {
    code: 1,
    stdout: '',
    stderr: `weir: E_NOT_RUNNING: ${socket}: no daemon answers there\n`,
  });
});

test('the socket of a configuration', () => {
  const path = join(folder, 'weir.json');
  const ports = { inside: { device: 'a' }, outside: { device: 'b' } };
  writeFileSync(
    path,
    JSON.stringify({ ports, classes: { source: 'file:t.json' }, control: { socket: 'mine.sock' } }),
  );
  const { code, stderr } = weir('stats', '--config', path);
  assert.equal(
    [code, stderr],
    [1, `weir: E_NOT_RUNNING: ${join(folder, 'mine.sock')}: no daemon answers there\n`],
  );
  writeFileSync(path, '{}');
  assert.is(weir('stats', '--config', path).code, 2);
});

test.run();
