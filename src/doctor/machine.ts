/** Checks of the machine: what weir needs to run at all, and what makes it slow. */
import { type MachineFacts, TOOLS } from './facts.js';
import { errorFinding, type Finding, warningFinding } from './finding.js';
import {
  effectiveCapabilities,
  kernelHas,
  kernelVersion,
  lockedMemoryLimitBytes,
  memoryFigure,
} from './texts.js';

/** Numbers from linux/capability.h, with what weir does by each. */
const CAPABILITIES = [
  { bit: 12, name: 'net_admin', use: 'to attach the XDP program' },
  { bit: 13, name: 'net_raw', use: 'to open packet and XDP sockets' },
  { bit: 14, name: 'ipc_lock', use: 'to lock its memory' },
  { bit: 39, name: 'bpf', use: 'to load the XDP program' },
  { bit: 38, name: 'perfmon', use: 'to have its pointer arithmetic allowed' },
] as const;
const CAP_IPC_LOCK = 14;
const CAP_SYS_ADMIN = 21;
const COVERED_BY_SYS_ADMIN: readonly number[] = [38, 39];

/** From this one on, one UMEM serves sockets on different devices, as weir's two ports need. */
const XDP_KERNEL: readonly [number, number] = [5, 10];
/** AF_PACKET's version 3 with a transmit ring. */
const PACKET_KERNEL: readonly [number, number] = [4, 11];
const KERNEL_OPTIONS = ['CONFIG_XDP_SOCKETS', 'CONFIG_BPF_SYSCALL'] as const;

/** Read from user space in some 20 to 40 ns; all others go through a system call and slow hardware. */
const FAST_CLOCKSOURCES = [
  'tsc',
  'kvm-clock',
  'arch_sys_counter',
  'hyperv_clocksource_tsc_page',
  'xen',
  'riscv_clocksource',
  'timebase',
];

/** Frames and bytes of a worker's UMEM with the default settings. */
const UMEM_BYTES = 65_536 * 2048;
const MIB = 1024 * 1024;
/** Builds the C library and the XDP program. */
export const BUILD_COMMAND = 'native/setup';

export function checkMachine(facts: MachineFacts): Finding[] {
  return [
    ...checkCapabilities(facts),
    ...checkLockedMemory(facts),
    ...checkKernel(facts),
    ...checkNative(facts),
    ...checkTools(facts),
    ...checkIrqbalance(facts),
    ...checkClocksource(facts),
    ...checkGovernors(facts),
    ...checkHugepages(facts),
  ];
}

function checkCapabilities({ processStatus }: MachineFacts): Finding[] {
  const held = effectiveCapabilities(processStatus);
  // Before CAP_BPF and CAP_PERFMON were split off, and still today, CAP_SYS_ADMIN covers them.
  const missing = CAPABILITIES.filter(
    ({ bit }) => !held.has(bit) && !(COVERED_BY_SYS_ADMIN.includes(bit) && held.has(CAP_SYS_ADMIN)),
  );
  if (missing.length === 0) return [];
  const list = CAPABILITIES.map(({ name }) => `+${name}`).join(',');
  return [
    errorFinding(
      'capability',
      null,
      `this user lacks ${missing.map(({ name }) => `CAP_${name.toUpperCase()}`).join(', ')}`,
      `weir needs ${missing.map(({ name, use }) => `CAP_${name.toUpperCase()} ${use}`).join(', ')}`,
      `sudo setpriv --inh-caps ${list} --ambient-caps ${list} --reuid $(id -u) --regid $(id -g) --init-groups ` +
        'npx weir daemon --config FILE',
    ),
  ];
}

function checkLockedMemory({ processStatus, processLimits }: MachineFacts): Finding[] {
  const limitBytes = lockedMemoryLimitBytes(processLimits);
  if (limitBytes >= UMEM_BYTES || effectiveCapabilities(processStatus).has(CAP_IPC_LOCK)) return [];
  return [
    errorFinding(
      'memlock',
      null,
      `at most ${Math.floor(limitBytes / 1024)} KiB may be locked in memory`,
      `each worker's UMEM takes ${UMEM_BYTES / MIB} MiB of locked memory`,
      'sudo prlimit --pid $$ --memlock=unlimited:unlimited',
    ),
  ];
}

function checkKernel({ kernelRelease, kernelConfig }: MachineFacts): Finding[] {
  const release = kernelRelease.trim();
  const version = kernelVersion(release);
  const upgrade = 'sudo apt-get update && sudo apt-get install -y linux-image-$(dpkg --print-architecture)';
  if (isBefore(version, PACKET_KERNEL)) {
    const why = `weir needs at least ${PACKET_KERNEL.join('.')} for packet sockets, and ${XDP_KERNEL.join('.')} for XDP`;
    return [errorFinding('kernel.version', null, `the kernel is ${release}`, why, upgrade)];
  }
  if (isBefore(version, XDP_KERNEL)) {
    const why = `before ${XDP_KERNEL.join('.')} the two ports cannot share a UMEM: weir falls back to packet sockets`;
    return [warningFinding('kernel.version', null, `the kernel is ${release}`, why, upgrade)];
  }
  const missing = KERNEL_OPTIONS.filter(
    (option) => kernelConfig !== null && !kernelHas(kernelConfig, option),
  );
  if (missing.length === 0) return [];
  const what = `the kernel was built without ${missing.join(' and ')}`;
  return [
    warningFinding('kernel.xdp', null, what, 'there is no XDP: weir falls back to packet sockets', upgrade),
  ];
}

function isBefore(version: readonly [number, number], wanted: readonly [number, number]): boolean {
  return version[0] < wanted[0] || (version[0] === wanted[0] && version[1] < wanted[1]);
}

function checkNative({ nativeFilesMissing }: MachineFacts): Finding[] {
  if (nativeFilesMissing.length === 0) return [];
  const what = `not built: ${nativeFilesMissing.join(', ')}`;
  return [errorFinding('native', null, what, 'weir reaches sockets and rings through it', BUILD_COMMAND)];
}

function checkTools({ tools }: MachineFacts): Finding[] {
  const missing = TOOLS.filter(({ name }) => !tools.includes(name));
  if (missing.length === 0) return [];
  return [
    warningFinding(
      'tools',
      null,
      `not in the PATH: ${missing.map(({ name }) => name).join(', ')}`,
      missing.map(({ use }) => use).join('; '),
      `sudo apt-get install -y ${missing.map(({ debian }) => debian).join(' ')}`,
    ),
  ];
}

function checkIrqbalance({ processNames }: MachineFacts): Finding[] {
  if (!processNames.some((name) => name.trim() === 'irqbalance')) return [];
  return [
    warningFinding(
      'irqbalance',
      null,
      'irqbalance is running',
      "it moves the interrupts of a queue away from its worker's CPU, where the daemon puts them",
      'sudo systemctl disable --now irqbalance',
    ),
  ];
}

function checkClocksource({ clocksource, clocksourcesAvailable }: MachineFacts): Finding[] {
  const current = clocksource?.trim() ?? '';
  if (current === '' || FAST_CLOCKSOURCES.includes(current)) return [];
  const available = (clocksourcesAvailable ?? '').split(/\s+/);
  const better = FAST_CLOCKSOURCES.find((name) => available.includes(name));
  return [
    warningFinding(
      'clocksource',
      null,
      `the clock source is ${current}`,
      'each worker reads the clock at every step, and this one takes a system call and a microsecond or more',
      better === undefined
        ? "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&tsc=reliable clocksource=tsc /' /etc/default/grub && sudo update-grub && sudo reboot"
        : `echo ${better} | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource`,
    ),
  ];
}

function checkGovernors({ governors }: MachineFacts): Finding[] {
  const slow = governors.map((text) => text.trim()).filter((name) => name !== 'performance');
  if (slow.length === 0) return [];
  const names = [...new Set(slow)].join(', ');
  return [
    warningFinding(
      'governor',
      null,
      `${slow.length} of ${governors.length} CPUs with frequency scaling have the governor ${names}`,
      'a worker that sleeps when idle finds its CPU slowed down at the next burst',
      'echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor',
    ),
  ];
}

function checkHugepages({ memoryInfo }: MachineFacts): Finding[] {
  const pageKib = memoryFigure(memoryInfo, 'Hugepagesize');
  if (pageKib === 0) return [];
  const pages = memoryFigure(memoryInfo, 'HugePages_Total');
  const wanted = Math.ceil(UMEM_BYTES / 1024 / pageKib);
  if (pages >= wanted) return [];
  return [
    warningFinding(
      'hugepages',
      null,
      `${pages} huge pages of ${pageKib} kB are set aside; a worker's UMEM fills ${wanted}`,
      'in small pages the UMEM costs a miss of the TLB for nearly every packet',
      `sudo sysctl vm.nr_hugepages=${wanted}`,
    ),
  ];
}
