/** Checks of the two ports: what their drivers are set to. */
import type { DeviceFacts } from './facts.js';
import { errorFinding, type Finding, warningFinding } from './finding.js';
import { channelsInUse, driverName, featuresOn } from './texts.js';

const IFF_UP = 1;
/** Frames that the card merges before anyone, also an XDP program, has seen them. */
const MERGING_IN_HARDWARE = [
  ['large-receive-offload', 'lro'],
  ['rx-gro-hw', 'rx-gro-hw'],
] as const;
/** Frames that the kernel merges, or leaves unsegmented for the driver. */
const MERGING_IN_KERNEL = [
  ['generic-receive-offload', 'gro'],
  ['tcp-segmentation-offload', 'tso'],
  ['generic-segmentation-offload', 'gso'],
] as const;

export function checkDevices(devices: readonly DeviceFacts[]): Finding[] {
  const findings = devices.flatMap(checkDevice);
  const [inside, outside] = devices;
  if (inside?.exists && outside?.exists) findings.push(...checkPair(inside, outside));
  return findings;
}

/** Queue pairs of a device: what the driver tells, otherwise what the kernel shows. Null: unknown. */
export function queuePairs(device: DeviceFacts): number | null {
  const told = device.channels === null ? null : channelsInUse(device.channels);
  if (told !== null) return told;
  const count = (prefix: string): number => device.queues.filter((name) => name.startsWith(prefix)).length;
  const shown = Math.min(count('rx-'), count('tx-'));
  return shown > 0 ? shown : null;
}

function checkDevice(device: DeviceFacts): Finding[] {
  const { name, port } = device;
  if (!device.exists) {
    return [
      errorFinding(
        'device.missing',
        name,
        `there is no device ${name}, which is to be the ${port} port`,
        'a port must be in the network namespace that the daemon runs in',
        'ip -br link',
      ),
    ];
  }
  const findings: Finding[] = [];
  if (device.flags !== null && (Number(device.flags) & IFF_UP) === 0) {
    const why = 'a port that is down receives nothing';
    findings.push(
      warningFinding('device.down', name, `${name} is down`, why, `sudo ip link set dev ${name} up`),
    );
  }
  findings.push(...checkOffloads(device));
  if (driverName(device.driver) === 'veth') findings.push(...checkVethPeer(device));
  return findings;
}

function checkOffloads({ name, features }: DeviceFacts): Finding[] {
  const on = featuresOn(features ?? '');
  const findings: Finding[] = [];
  const hardware = MERGING_IN_HARDWARE.filter(([feature]) => on.has(feature)).map(([, short]) => short);
  if (hardware.length > 0) {
    findings.push(
      errorFinding(
        'offload.lro',
        name,
        `${name} merges received frames in hardware (${hardware.join(', ')})`,
        'merged frames do not fit a UMEM frame, cannot be forwarded as they came, and drivers refuse XDP with it',
        `sudo ethtool -K ${name} ${hardware.map((short) => `${short} off`).join(' ')}`,
      ),
    );
  }
  const kernel = MERGING_IN_KERNEL.filter(([feature]) => on.has(feature)).map(([, short]) => short);
  if (kernel.length > 0) {
    findings.push(
      warningFinding(
        'offload.gro',
        name,
        `${name} has ${kernel.join(', ')} on, which make frames longer than the wire's`,
        "native XDP comes before them, but the backend 'packet' and mode 'skb' get frames of up to 64 KB: too long " +
          'for a UMEM frame, and sent as one burst',
        `sudo ethtool -K ${name} ${kernel.map((short) => `${short} off`).join(' ')}`,
      ),
    );
  }
  return findings;
}

/** A veth hands frames over as its peer's stack made them: unsegmented, and without checksums. */
function checkVethPeer({ name, peer }: DeviceFacts): Finding[] {
  const why =
    'a veth hands frames over without checksums while its sender has checksum offload; through an XDP socket they ' +
    'stay so, and every receiver drops them';
  if (peer === null) {
    return [
      warningFinding(
        'veth.checksum',
        name,
        `${name} is a veth whose peer is in another network namespace, so its offloads cannot be seen from here`,
        why,
        'sudo ip netns exec NAMESPACE ethtool -K PEER tx off',
      ),
    ];
  }
  if (!featuresOn(peer.features ?? '').has('tx-checksumming')) return [];
  const what = `${name} is a veth, and its peer ${peer.name} leaves checksums to hardware that does not exist`;
  return [errorFinding('veth.checksum', name, what, why, `sudo ethtool -K ${peer.name} tx off`)];
}

function checkPair(inside: DeviceFacts, outside: DeviceFacts): Finding[] {
  const findings: Finding[] = [];
  const [insideQueues, outsideQueues] = [queuePairs(inside), queuePairs(outside)];
  if (insideQueues !== null && outsideQueues !== null && insideQueues !== outsideQueues) {
    const wider = insideQueues > outsideQueues ? inside : outside;
    findings.push(
      errorFinding(
        'queues.differ',
        wider.name,
        `${inside.name} has ${count(insideQueues, 'queue')}, ${outside.name} has ${outsideQueues}`,
        `queue q of both ports belongs to worker q; what ${wider.name} receives on its other queues has no worker`,
        setQueues(wider, Math.min(insideQueues, outsideQueues)),
      ),
    );
  }
  if (inside.mtu !== null && outside.mtu !== null && Number(inside.mtu) !== Number(outside.mtu)) {
    const [narrow, wide] = Number(inside.mtu) < Number(outside.mtu) ? [inside, outside] : [outside, inside];
    findings.push(
      errorFinding(
        'mtu.differ',
        narrow.name,
        `${inside.name} has an MTU of ${inside.mtu.trim()} bytes, ${outside.name} of ${outside.mtu.trim()}`,
        'a frame that one port takes in may be too long for the other to send, and is lost',
        `sudo ip link set dev ${narrow.name} mtu ${wide.mtu!.trim()}`,
      ),
    );
  }
  return findings;
}

function setQueues(device: DeviceFacts, queues: number): string {
  const combined = /^Combined:\s+[1-9]/m.test(device.channels ?? '');
  return `sudo ethtool -L ${device.name} ${combined ? `combined ${queues}` : `rx ${queues} tx ${queues}`}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
