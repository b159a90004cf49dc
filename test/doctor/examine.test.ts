import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { examine } from '../../src/doctor/examine.js';
import type { DeviceFacts, MachineFacts } from '../../src/doctor/facts.js';
import type { Finding } from '../../src/doctor/finding.js';
import { formatFindings } from '../../src/doctor/report.js';
import {
  channelsInUse,
  effectiveCapabilities,
  featuresOn,
  kernelVersion,
  lockedMemoryLimitBytes,
} from '../../src/doctor/texts.js';
import {
  card,
  EIGHT_COMBINED,
  GOOD_MACHINE,
  KERNEL_CONFIG,
  LIMITS,
  ROOT_STATUS,
  TWO_SEPARATE,
  USER_STATUS,
  VETH_DRIVER,
  VETH_FEATURES,
  VETH_WITHOUT_CHECKSUMS,
  VIRTIO_FEATURES,
} from './recorded.js';

const test = suite('doctor');

function found(changes: Partial<MachineFacts>): Finding[] {
  return examine({ ...GOOD_MACHINE, ...changes });
}

function ids(findings: readonly Finding[]): string[] {
  return findings.map(({ id, severity }) => `${severity} ${id}`);
}

function onPorts(inside: Partial<DeviceFacts>, outside: Partial<DeviceFacts> = {}): Finding[] {
  return found({
    devices: [
      { ...card('inside', 'eth1'), ...inside },
      { ...card('outside', 'eth0'), ...outside },
    ],
  });
}

test('a good machine has no findings', () => {
  assert.equal(found({}), []);
  assert.equal(onPorts({}), []);
  assert.is(formatFindings([]), 'nothing hinders shaping here\n');
});

test('texts are read as they are', () => {
  assert.is(featuresOn(VIRTIO_FEATURES).has('rx-gro-hw'), true);
  assert.is(featuresOn(VIRTIO_FEATURES).has('rx-gro-list'), false);
  assert.is(featuresOn(VIRTIO_FEATURES).has('tx-tcp-ecn-segmentation'), false);
  // The maximum of 63 stands above the 8 in use.
  assert.is(channelsInUse(EIGHT_COMBINED), 8);
  assert.is(channelsInUse(TWO_SEPARATE), 2);
  assert.is(channelsInUse('netlink error: Operation not supported\n'), null);
  assert.is(effectiveCapabilities(ROOT_STATUS).has(39), true);
  // Bit 24 is the one that is missing from this root's mask.
  assert.is(effectiveCapabilities(ROOT_STATUS).has(24), false);
  assert.is(effectiveCapabilities(USER_STATUS).size, 0);
  assert.is(lockedMemoryLimitBytes(LIMITS), 8_388_608);
  assert.is(lockedMemoryLimitBytes('Max locked memory         unlimited unlimited bytes\n'), Infinity);
  assert.equal(kernelVersion('5.15.0-91-generic\n'), [5, 15]);
});

const MACHINE_FINDINGS: readonly (readonly [string, Partial<MachineFacts>, string, RegExp])[] = [
  ['another clock source', { clocksource: 'hpet\n' }, 'warning clocksource', /^echo tsc \| sudo tee/],
  [
    'a slow clock without a better one',
    { clocksource: 'acpi_pm', clocksourcesAvailable: 'acpi_pm hpet' },
    'warning clocksource',
    /clocksource=tsc/,
  ],
  ['a governor', { governors: ['powersave\n', 'performance\n'] }, 'warning governor', /scaling_governor$/],
  [
    'irqbalance',
    { processNames: ['irqbalance\n'] },
    'warning irqbalance',
    /^sudo systemctl disable --now irqbalance$/,
  ],
  [
    'no huge pages',
    { memoryInfo: 'HugePages_Total: 3\nHugepagesize: 2048 kB\n' },
    'warning hugepages',
    /vm\.nr_hugepages=64$/,
  ],
  ['a missing tool', { tools: ['ip', 'ethtool', 'nft', 'ping'] }, 'warning tools', /install -y iperf3$/],
  ['the library', { nativeFilesMissing: ['native/build/libweir.so'] }, 'error native', /^native\/setup$/],
  ['a kernel without AF_XDP', { kernelRelease: '4.19.0-26-amd64' }, 'warning kernel.version', /linux-image/],
  ['a kernel without packet rings', { kernelRelease: '4.4.0' }, 'error kernel.version', /linux-image/],
  [
    'a kernel built without XDP sockets',
    { kernelConfig: KERNEL_CONFIG.replace('CONFIG_XDP_SOCKETS=y', '# CONFIG_XDP_SOCKETS is not set') },
    'warning kernel.xdp',
    /linux-image/,
  ],
];

for (const [name, changes, expected, mend] of MACHINE_FINDINGS) {
  test(`machine: ${name}`, () => {
    const findings = found(changes);
    assert.equal(ids(findings), [expected]);
    assert.match(findings[0]!.mend, mend);
  });
}

test('a user without capabilities is told which, and may not lock the memory', () => {
  const findings = found({ processStatus: USER_STATUS });
  assert.equal(ids(findings), ['error capability', 'error memlock']);
  for (const name of ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_IPC_LOCK', 'CAP_BPF']) {
    assert.match(findings[0]!.what, name);
  }
  assert.match(findings[0]!.mend, '--ambient-caps +net_admin,+net_raw,+ipc_lock,+bpf');
});

test('CAP_SYS_ADMIN stands for CAP_BPF', () => {
  const bits = [12, 13, 14, 21].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
  assert.equal(found({ processStatus: `CapEff:\t${bits.toString(16).padStart(16, '0')}\n` }), []);
});

test('what cannot be read raises nothing', () => {
  const nothing = { clocksource: null, clocksourcesAvailable: null, kernelConfig: null, governors: [] };
  assert.equal(found(nothing), []);
  assert.equal(onPorts({ features: null, channels: null, driver: null, mtu: null, flags: null }), []);
});

test('a card that merges frames must be told not to; what the kernel merges is a warning', () => {
  const findings = onPorts({ features: VIRTIO_FEATURES });
  assert.equal(ids(findings), ['error offload.lro', 'warning offload.gro']);
  assert.is(findings[0]!.mend, 'sudo ethtool -K eth1 rx-gro-hw off');
  assert.is(findings[1]!.mend, 'sudo ethtool -K eth1 gro off tso off gso off');
});

test('ports with different queues', () => {
  const findings = onPorts({ channels: EIGHT_COMBINED.replace(/Combined:\t8/, 'Combined:\t4') });
  assert.equal(ids(findings), ['error queues.differ']);
  assert.is(findings[0]!.mend, 'sudo ethtool -L eth0 combined 4');
  const separate = onPorts({ channels: null, queues: ['rx-0', 'tx-0'] }, { channels: TWO_SEPARATE });
  assert.is(separate[0]!.mend, 'sudo ethtool -L eth0 rx 1 tx 1');
});

test('ports with different MTUs', () => {
  const findings = onPorts({ mtu: '1400\n' });
  assert.equal(ids(findings), ['error mtu.differ']);
  assert.is(findings[0]!.mend, 'sudo ip link set dev eth1 mtu 1500');
});

test('a port that is missing, and one that is down', () => {
  assert.equal(ids(onPorts({ exists: false })), ['error device.missing']);
  const down = onPorts({ flags: '0x1002\n' });
  assert.equal(ids(down), ['warning device.down']);
  assert.is(down[0]!.mend, 'sudo ip link set dev eth1 up');
});

test("a veth's peer must complete its checksums", () => {
  const veth = { driver: VETH_DRIVER };
  const bad = onPorts({ ...veth, peer: { name: 'vb', features: VETH_FEATURES } });
  assert.equal(ids(bad), ['error veth.checksum']);
  assert.is(bad[0]!.mend, 'sudo ethtool -K vb tx off');
  assert.equal(onPorts({ ...veth, peer: { name: 'vb', features: VETH_WITHOUT_CHECKSUMS } }), []);
  assert.equal(ids(onPorts({ ...veth, peer: null })), ['warning veth.checksum']);
});

test('the report begins with what must be mended', () => {
  const text = formatFindings(onPorts({ features: VIRTIO_FEATURES, mtu: '1400\n' }));
  assert.match(text, /^error: eth1 merges/);
  assert.match(text, '\n  mend  sudo ethtool -K eth1 rx-gro-hw off\n');
  assert.match(text, /\n2 must be mended; 1 warning\n$/);
});

test.run();
