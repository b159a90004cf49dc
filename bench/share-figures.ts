/** From what each class sent, window by window, to the figures of `bench share`. */
import { defaultBurstBytes } from '../classes/model.js';
import { type ClassDoc, jainIndex } from './canary.js';
import type { Figures } from './rig/rounds.js';
import type { Situation } from './share-situations.js';

export const WINDOW_MS = 10;
/** Queues fill up and threads compile their code in this part of a run. */
const WARM_UP_SHARE = 0.3;
const BITS_PER_BYTE = 8;

/** Layer-2 bit/s of each window, by class; a class without traffic below it may be missing. */
export type Windows = ReadonlyMap<string, readonly number[]>;

/**
 * - `utilisation`: what all leaves sent of what they are promised together
 * - `jain`: Jain's index of what each leaf got of its promise
 * - `worst`: the largest part by which a leaf is above or below its promise
 * - `overCeil`: the largest part by which a class, leaf or inner, was above ceil × time + cburst in some stretch of windows
 */
export function shareFigures(situation: Situation, windows: Windows): Figures {
  const { promisedBps, classes } = situation;
  let promised = 0;
  let sent = 0;
  const parts: number[] = [];
  for (const [id, bps] of promisedBps) {
    const got = mean(settled(windows.get(id) ?? []));
    promised += bps;
    sent += got;
    parts.push(got / bps);
  }
  return {
    utilisation: sent / promised,
    jain: jainIndex(parts),
    worst: Math.max(...parts.map((part) => Math.abs(part - 1))),
    overCeil: Math.max(...classes.map((spec) => overCeil(spec, windows.get(spec.id) ?? []))),
  };
}

/** Looks at stretches of 1, 2, 4 … windows in a row: a class that leaks a little now and then shows in the long ones only. */
function overCeil({ down }: ClassDoc, windows: readonly number[]): number {
  const ceilBps = down.ceil ?? down.rate;
  const burstBits = defaultBurstBytes(ceilBps) * BITS_PER_BYTE;
  const bits = settled(windows).map((bps) => (bps * WINDOW_MS) / 1e3);
  let most = 0;
  for (let length = 1; length <= bits.length; length *= 2) {
    const allowed = (ceilBps * length * WINDOW_MS) / 1e3 + burstBits;
    let sum = 0;
    for (const [i, more] of bits.entries()) {
      sum += more - (i < length ? 0 : bits[i - length]!);
      most = Math.max(most, sum / allowed - 1);
    }
  }
  return most;
}

function settled(windows: readonly number[]): readonly number[] {
  return windows.slice(Math.ceil(windows.length * WARM_UP_SHARE));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
