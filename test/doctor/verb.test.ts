/** The verb on this machine: nothing it prints can be known, but it must be the right kind of thing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Finding } from '../../src/doctor/finding.js';
import { gatherFacts } from '../../src/doctor/gather.js';
import { readPorts } from '../../src/doctor/ports.js';
import type { WeirError } from '../../src/errors.js';
import { weir } from '../cli/weir.js';

const test = suite('weir doctor');

test('this machine can be looked at', () => {
  const facts = gatherFacts({ inside: 'lo', outside: 'no-such-device' });
  assert.match(facts.kernelRelease, /^\d+\.\d+/);
  assert.match(facts.processStatus, /^CapEff:/m);
  assert.match(facts.processLimits, /^Max locked memory/m);
  assert.match(facts.memoryInfo, /^MemTotal:/m);
  assert.ok(facts.processNames.length > 0);
  assert.equal(
    facts.devices.map(({ port, name, exists }) => [port, name, exists]),
    [
      ['inside', 'lo', true],
      ['outside', 'no-such-device', false],
    ],
  );
  assert.match(facts.devices[0]!.mtu!, /^\d+\n$/);
});

test('a missing port must be mended: exit 1, one JSON document', () => {
  const { code, stdout, stderr } = weir('doctor', '--inside', 'lo', '--outside', 'no-such-device', '--json');
  assert.is(code, 1);
  assert.is(stderr, '');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  assert.ok(findings.some(({ id, device }) => id === 'device.missing' && device === 'no-such-device'));
});

test('the exit code follows from the findings', () => {
  const { code, stdout } = weir('doctor', '--json');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  assert.is(code, findings.some(({ severity }) => severity === 'error') ? 1 : 0);
});

test('one port alone is a usage error', () => {
  const outcome = weir('doctor', '--inside', 'lo');
  assert.equal(outcome, {
    code: 2,
    stdout: '',
    stderr: 'weir: E_USAGE: --inside and --outside go together\n',
  });
});

test('the ports of a configuration file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-doctor-'));
  try {
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const good = write(
      'good.yaml',
      'ports:\n  inside: { device: eth1 }\n  outside: { device: eth0 }\nnonsense: 1\n',
    );
    assert.equal(readPorts(good), { inside: 'eth1', outside: 'eth0' });
    const json = write('good.json', '{"ports":{"inside":{"device":"a"},"outside":{"device":"b"}}}');
    assert.equal(readPorts(json), { inside: 'a', outside: 'b' });
    assert.is(
      codeOf(() => readPorts(write('half.yaml', 'ports: { inside: { device: eth1 } }\n'))),
      'E_CONFIG',
    );
    assert.is(
      codeOf(() => readPorts(write('list.yaml', '- 1\n'))),
      'E_CONFIG',
    );
    assert.is(
      codeOf(() => readPorts(write('broken.json', '{'))),
      'E_CONFIG',
    );
    assert.is(
      codeOf(() => readPorts(join(folder, 'none.yaml'))),
      'E_CONFIG_READ',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'nothing thrown';
  } catch (error) {
    return (error as WeirError).code;
  }
}
