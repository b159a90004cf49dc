/** From facts to findings. Pure: the same facts give the same findings, in the same order. */
import { checkDevices } from './devices.js';
import type { MachineFacts } from './facts.js';
import type { Finding } from './finding.js';
import { checkMachine } from './machine.js';

export function examine(facts: MachineFacts): Finding[] {
  return [...checkMachine(facts), ...checkDevices(facts.devices)];
}
