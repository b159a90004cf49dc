import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parsePrefix } from '../../classes/prefix.js';
import { mappedPrefix } from '../../src/control/backends.js';
import { interruptsOf } from '../../src/control/interrupts.js';
import { linkState$ } from '../../src/control/link-state.js';
import { prettyLine } from '../../src/control/log.js';
import {
  allowedCpus,
  checkCapabilities,
  chooseCpus,
  deviceNames,
  swapWarnings,
} from '../../src/control/machine.js';
import type { WeirError } from '../../src/errors.js';

const test = suite('machine');

const INTERRUPTS = `           CPU0       CPU1
  1:          0          9   IO-APIC   1-edge      i8042
 24:          0          0   PCI-MSI 65536-edge      virtio1-config
 25:       1000          0   PCI-MSI 65537-edge      virtio1-input.0
 26:          3          0   PCI-MSI 65538-edge      virtio1-output.0
 27:          0       1000   PCI-MSI 65539-edge      virtio1-input.1
 40:          1          0   PCI-MSI 1-edge      eth0
 41:          1          0   PCI-MSI 2-edge      eth0-TxRx-0
 42:          1          0   PCI-MSI 3-edge      eth0-TxRx-11
 43:          1          0   PCI-MSI 4-edge      eth01-TxRx-0
 50:          1          0   PCI-MSI 5-edge      mlx5_async0@pci:0000:01:00.0
 51:          1          0   PCI-MSI 6-edge      mlx5_comp3@pci:0000:01:00.0
NMI:          0          0   Non-maskable interrupts
`;

test('interrupts by the names of the drivers', () => {
  assert.equal(interruptsOf(INTERRUPTS, 'eth0', new Set()), [
    { irq: 41, queue: 0 },
    { irq: 42, queue: 11 },
  ]);
  assert.equal(interruptsOf(INTERRUPTS, 'ens3', new Set([24, 25, 26, 27])), [
    { irq: 25, queue: 0 },
    { irq: 26, queue: 0 },
    { irq: 27, queue: 1 },
  ]);
  assert.equal(interruptsOf(INTERRUPTS, 'enp1s0', new Set([50, 51])), [{ irq: 51, queue: 3 }]);
  assert.equal(interruptsOf(INTERRUPTS, 'veth0', new Set()), []);
});

test('capabilities', () => {
  const status = (mask: string): string => `Name:\tnode\nCapEff:\t${mask}\n`;
  const missing = (backend: string, mask: string): string => {
    try {
      checkCapabilities(backend, status(mask));
      return '';
    } catch (error) {
      assert.is((error as WeirError).code, 'E_PRIVILEGE');
      return /missing ([A-Z_, ]+):/.exec((error as Error).message)![1]!;
    }
  };
  assert.is(missing('auto', '000001ffffffffff'), '');
  assert.is(missing('auto', '0000000000000000'), 'CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF');
  assert.is(missing('packet', '0000000000003000'), '');
  assert.is(missing('xdp', '0000000000003000'), 'CAP_BPF');
  assert.is(missing('xdp', '0000008000003000'), '');
  assert.is(missing('xdp', '0000000000203000'), '', 'CAP_SYS_ADMIN was all of it before 5.8');
});

test('CPUs', () => {
  assert.equal(allowedCpus('Cpus_allowed_list:\t0-2,5\n'), [0, 1, 2, 5]);
  assert.equal(chooseCpus({ cpus: 'auto' }, [0, 1, 2, 5], 2), [1, 2], 'the first is left free');
  assert.equal(chooseCpus({ cpus: 'auto' }, [0, 1], 2), [0, 1]);
  assert.equal(chooseCpus({ cpus: 'auto' }, [0, 1], 3), [0, 1, 0]);
  assert.equal(chooseCpus({ cpus: [7, 3] }, [0, 1], 1), [7]);
});

test('devices and swap', () => {
  const text = 'Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0:12 3\nbr-a.7: 0\n';
  assert.equal([...deviceNames(text)], ['lo', 'eth0', 'br-a.7']);
  assert.equal(swapWarnings('Filename Type\n', ''), []);
  assert.equal(swapWarnings('Filename Type\n/swap file\n', '0'), []);
  assert.is(swapWarnings('Filename Type\n/swap file\n', 'max').length, 1);
});

test('bypass prefixes over 128 bits', () => {
  const mapped = (text: string): string => {
    const parsed = parsePrefix(text);
    if (typeof parsed === 'string') throw new Error(parsed);
    const { address, bits } = mappedPrefix(parsed.prefix);
    return `${Buffer.from(address).toString('hex')}/${bits}`;
  };
  assert.is(mapped('10.1.2.0/24'), '00000000000000000000ffff0a010200/120');
  assert.is(mapped('2001:db8::/32'), '20010db8000000000000000000000000/32');
});

test('link state changes are told once, also those between two looks', async () => {
  const states = [
    { state: 'up', changes: 1 },
    { state: 'up', changes: 1 },
    { state: 'up', changes: 3 },
    { state: 'down', changes: 4 },
    { state: 'down', changes: 4 },
  ];
  let at = 0;
  const seen = await new Promise<unknown[]>((resolve) => {
    const list: unknown[] = [];
    const subscription = linkState$('x', () => states[Math.min(at++, states.length - 1)]!, 1).subscribe(
      (state) => {
        list.push(state);
        if (list.length < 3) return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve(list);
      },
    );
  });
  assert.equal(seen, [states[0], states[2], states[3]]);
});

test('a log line for people', () => {
  const line =
    '{"level":40,"time":"2026-01-02T03:04:05.678Z","device":"eth0","reason":"no such thing","msg":"link changed"}';
  assert.is(prettyLine(line), '03:04:05.678 WARN  link changed device=eth0 reason="no such thing"\n');
});

test.run();
