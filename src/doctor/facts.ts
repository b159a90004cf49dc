/**
 * What the doctor looks at: texts as the kernel and the tools hand them out, none of them parsed. `null` stands
 * for what this machine does not have or does not let this user read.
 */
export interface MachineFacts {
  /** /proc/sys/kernel/osrelease */
  readonly kernelRelease: string;
  /** the kernel's build configuration: /proc/config.gz unpacked, or /boot/config-RELEASE */
  readonly kernelConfig: string | null;
  /** /proc/self/status */
  readonly processStatus: string;
  /** /proc/self/limits */
  readonly processLimits: string;
  /** /proc/meminfo */
  readonly memoryInfo: string;
  /** current_clocksource and available_clocksource below /sys/devices/system/clocksource/clocksource0 */
  readonly clocksource: string | null;
  readonly clocksourcesAvailable: string | null;
  /** scaling_governor of each CPU that has one */
  readonly governors: readonly string[];
  /** /proc/PID/comm of every process */
  readonly processNames: readonly string[];
  /** which of TOOLS stand in the PATH */
  readonly tools: readonly string[];
  /** which of NATIVE_FILES are missing, as paths to show */
  readonly nativeFilesMissing: readonly string[];
  /** inside before outside; empty where no ports were named */
  readonly devices: readonly DeviceFacts[];
}

export interface DeviceFacts {
  readonly port: 'inside' | 'outside';
  readonly name: string;
  /** false: there is no such device in this network namespace, and all else is null */
  readonly exists: boolean;
  /** ethtool -k NAME */
  readonly features: string | null;
  /** ethtool -l NAME */
  readonly channels: string | null;
  /** /sys/class/net/NAME/queues: names such as rx-0 and tx-0 */
  readonly queues: readonly string[];
  /** ethtool -i NAME */
  readonly driver: string | null;
  /** /sys/class/net/NAME/mtu, flags (hexadecimal, IFF_UP is 1) */
  readonly mtu: string | null;
  readonly flags: string | null;
  /** the other end of a veth pair where it is in the same namespace: its name and ethtool -k */
  readonly peer: { readonly name: string; readonly features: string | null } | null;
}

/** Programs that weir or its lab calls, and Debian's package of each. */
export const TOOLS: readonly { readonly name: string; readonly debian: string; readonly use: string }[] = [
  { name: 'ip', debian: 'iproute2', use: 'weir lab makes its namespaces with it' },
  { name: 'ethtool', debian: 'ethtool', use: 'offloads and queues are read and set with it' },
  { name: 'nft', debian: 'nftables', use: 'the firewall of weir lab is made with it' },
  { name: 'iperf3', debian: 'iperf3', use: 'weir lab sends its traffic with it' },
  { name: 'ping', debian: 'iputils-ping', use: 'weir lab measures delay with it' },
];

/** What the install script builds, from the package's root. */
export const NATIVE_FILES = ['native/build/libweir.so', 'native/build/weir_xdp.o'] as const;
