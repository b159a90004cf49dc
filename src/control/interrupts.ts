/**
 * Steers the interrupts of a device's queue to the CPU of its worker, so that the frames are in that CPU's cache. What
 * drivers call their interrupts is not standardised: the device's name (or its driver's) and the queue's number.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import type { Logger } from './log.js';
import { readTextOr } from './machine.js';

export interface Interrupt {
  readonly irq: number;
  readonly queue: number;
}

/**
 * Interrupts of `device` by queue, from the text of /proc/interrupts. `own` holds those that the device's bus address has
 * (its msi_irqs); they count even where the line does not name the device.
 */
export function interruptsOf(text: string, device: string, own: ReadonlySet<number>): Interrupt[] {
  const found: Interrupt[] = [];
  for (const line of text.split('\n')) {
    const [, irq, name] = /^\s*(\d+):.*\s(\S+)\s*$/.exec(line) ?? [];
    if (irq === undefined || name === undefined) continue;
    const namesDevice = name === device || new RegExp(`^${escaped(device)}[-.:@_ ]`).test(name);
    if (!namesDevice && !own.has(Number(irq))) continue;
    // eth0-TxRx-3, mlx5_comp3@pci:0000:01:00.0, virtio0-input.3, ens5-Tx-Rx-3
    const [, queue] =
      /(?:[-.]|comp)(\d+)(?:@.*)?$/.exec(namesDevice ? name.slice(device.length) : name) ?? [];
    if (queue !== undefined && !/(config|async|mgmt|adminq|ctrl)/i.test(name))
      found.push({ irq: Number(irq), queue: Number(queue) });
  }
  return found;
}

/** Does it for a device. Devices without interrupts (veth) are left alone, and so is what cannot be written. */
export function steerInterrupts(device: string, cpus: readonly number[], log: Logger): void {
  const interrupts = interruptsOf(readTextOr('/proc/interrupts', ''), device, msiInterrupts(device));
  if (interrupts.length === 0) log.debug({ device }, 'no interrupts to steer');
  for (const { irq, queue } of interrupts) {
    const cpu = cpus[queue];
    if (cpu === undefined) continue;
    try {
      writeFileSync(`/proc/irq/${irq}/smp_affinity_list`, String(cpu));
      log.debug({ device, irq, queue, cpu }, 'interrupt steered');
    } catch (error) {
      log.warn({ device, irq, cpu, reason: (error as Error).message }, 'interrupt not steered');
    }
  }
}

/** Interrupts of the bus device below `device`; virtio's hang one level higher. */
function msiInterrupts(device: string): Set<number> {
  for (const folder of ['device/msi_irqs', 'device/../msi_irqs']) {
    try {
      return new Set(readdirSync(`/sys/class/net/${device}/${folder}`).map(Number));
    } catch {
      // Not a bus device, or its interrupts are kept elsewhere.
    }
  }
  return new Set();
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
