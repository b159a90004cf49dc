/** What the wire's benchmarks can be asked for by name. Imports nothing: the command line knows these words, too. */

/**
 * below: every class far below its rate. nearCeil: offered what the ceils of all allow together. overload: twice that.
 */
export const LOADS = ['below', 'nearCeil', 'overload'] as const;
export type LoadName = (typeof LOADS)[number];

export const PATH_NAMES = [
  'C forwarder',
  'kernel forwarding',
  'weir xdp',
  'weir packet',
  'kernel HTB by priority',
  'kernel HTB by filter',
  "kernel HTB with tc's bursts",
  'mq + HTB',
] as const;
export type PathName = (typeof PATH_NAMES)[number];

/** Of the kernel's classes: as much as helps it, what tc makes of none, weir's. */
export const BURSTS = ['generous', 'kernel', 'tree'] as const;
export type BurstsName = (typeof BURSTS)[number];

/** The kernel's path: an eBPF redirect, its cheapest, or IPv4 routing. */
export const FORWARDINGS = ['redirect', 'route'] as const;
export type Forwarding = (typeof FORWARDINGS)[number];
