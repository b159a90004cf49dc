/** Texts as real machines printed them, shortened to the lines that matter and some around them. */
import type { DeviceFacts, MachineFacts } from '../../src/doctor/facts.js';

/** ethtool -k of a virtio card as it comes */
export const VIRTIO_FEATURES = `Features for eth0:
rx-checksumming: on [fixed]
tx-checksumming: on
	tx-checksum-ipv4: off [fixed]
	tx-checksum-ip-generic: on
tcp-segmentation-offload: on
	tx-tcp-segmentation: on
	tx-tcp-ecn-segmentation: off [fixed]
generic-segmentation-offload: on
generic-receive-offload: on
large-receive-offload: off [fixed]
rx-vlan-offload: off [fixed]
rx-gro-hw: on
rx-gro-list: off
`;

/** the same of a card on which all of it was switched off */
export const QUIET_FEATURES = `Features for eth1:
rx-checksumming: on
tx-checksumming: on
	tx-checksum-ipv4: on
tcp-segmentation-offload: off
	tx-tcp-segmentation: off
generic-segmentation-offload: off
generic-receive-offload: off
large-receive-offload: off
rx-gro-hw: off [fixed]
`;

/** ethtool -k of one end of a veth pair, before and after \`ethtool -K … tx off\` */
export const VETH_FEATURES = `Features for vb:
rx-checksumming: on
tx-checksumming: on
	tx-checksum-ip-generic: on
tcp-segmentation-offload: on
generic-segmentation-offload: on
generic-receive-offload: off
large-receive-offload: off [fixed]
rx-gro-hw: off [fixed]
`;
export const VETH_WITHOUT_CHECKSUMS = VETH_FEATURES.replace('tx-checksumming: on', 'tx-checksumming: off');

/** ethtool -l of a card with queue pairs, and of a veth */
export const EIGHT_COMBINED = `Channel parameters for eth1:
Pre-set maximums:
RX:		n/a
TX:		n/a
Other:		1
Combined:	63
Current hardware settings:
RX:		n/a
TX:		n/a
Other:		1
Combined:	8
`;
export const TWO_SEPARATE = `Channel parameters for va:
Pre-set maximums:
RX:		2
TX:		2
Other:		n/a
Combined:	n/a
Current hardware settings:
RX:		2
TX:		2
Other:		n/a
Combined:	n/a
`;

export const VETH_DRIVER = 'driver: veth\nversion: 1.0\nfirmware-version: \n';
export const CARD_DRIVER = 'driver: ixgbe\nversion: 6.1.0-18-amd64\nfirmware-version: 0x800003e1\n';

/** /proc/self/status of root in a virtual machine, and of a user */
export const ROOT_STATUS = 'Name:\tcat\nSeccomp:\t0\nCapInh:\t0000000000000000\nCapEff:\t000001fffeffffff\n';
export const USER_STATUS = 'Name:\tcat\nSeccomp:\t0\nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\n';

export const LIMITS = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            20000                20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
`;

export const MEMORY = `MemTotal:       24683520 kB
HugePages_Total:      64
HugePages_Free:       64
Hugepagesize:       2048 kB
Hugetlb:          131072 kB
`;

export const KERNEL_CONFIG =
  'CONFIG_BPF=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_XDP_SOCKETS=y\n# CONFIG_XDP_SOCKETS_DIAG is not set\n';

/** A machine on which nothing hinders. */
export const GOOD_MACHINE: MachineFacts = {
  kernelRelease: '6.1.0-18-amd64\n',
  kernelConfig: KERNEL_CONFIG,
  processStatus: ROOT_STATUS,
  processLimits: LIMITS,
  memoryInfo: MEMORY,
  clocksource: 'tsc\n',
  clocksourcesAvailable: 'tsc hpet acpi_pm \n',
  governors: ['performance\n', 'performance\n'],
  processNames: ['systemd\n', 'kthreadd\n', 'irq/24-pciehp\n', 'sshd\n'],
  tools: ['ip', 'ethtool', 'nft', 'iperf3', 'ping'],
  nativeFilesMissing: [],
  devices: [],
};

export function card(port: 'inside' | 'outside', name: string): DeviceFacts {
  return {
    port,
    name,
    exists: true,
    features: QUIET_FEATURES,
    channels: EIGHT_COMBINED,
    queues: [],
    driver: CARD_DRIVER,
    mtu: '1500\n',
    flags: '0x1003\n',
    peer: null,
  };
}
