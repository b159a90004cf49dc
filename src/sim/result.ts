/** What a run found out, as `weir sim --json` prints it. */
import type { LeafFigures } from '../htb/leaf-figures.js';

export interface Percentiles {
  p50: number | null;
  p99: number | null;
}

export interface DirectionResult {
  offeredBps: number;
  /** Layer-2 bits that left, over the whole run. */
  goodputBps: number;
  offeredPackets: number;
  sentPackets: number;
  /** Of all causes; `nic`: the network card had no frame or no room in its ring. */
  drops: number;
  dropsBy: LeafFigures['dropsBy'] & { readonly nic: number };
  /** Packets that the leaf's queue has marked, and those that left with a mark, of whomever. */
  marks: number;
  markedPackets: number;
  /** Packets still queued at the end, also those in the network card's ring. */
  backlogPackets: number;
  /** From the packet's arrival to its departure; null where nothing was sent. */
  delayMs: Percentiles;
  /** How long packets were in their leaf, as the workers count it, and what flows they see at the end. */
  sojournMs: LeafFigures['sojournMs'];
  flows: LeafFigures['flows'];
  /** Goodput of each full window. */
  windowsBps: number[];
}

/** What became of an entry of the scenario's list of flows. */
export interface FlowResult {
  class: string;
  direction: 'down' | 'up';
  goodputBps: number;
  offeredPackets: number;
  sentPackets: number;
  markedPackets: number;
  delayMs: Percentiles;
  /** Jain's index of the goodputs of its 5-tuples: 1 when all are equal, 1/n when one has all; null for a single one. */
  fairness: number | null;
}

/** A direction is present where traffic was offered to the class or to one below it. */
export interface ClassResult {
  down?: DirectionResult;
  up?: DirectionResult;
}

export interface SimResult {
  queues: number;
  seconds: number;
  seed: number;
  windowMs: number;
  /** Every class of every tree of the scenario, in the order of the first one. */
  classes: Record<string, ClassResult>;
  /** In the order of the scenario. */
  flows: FlowResult[];
}
