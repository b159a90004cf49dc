/**
 * Trees in which shares are decided by turns and quanta alone, and how far two correct schedulers may be apart there.
 */
import type { OracleClass } from '../oracle/htb-oracle.js';

const LARGEST_PACKET_BYTES = 1500;
const SMALLEST_QUANTUM_BYTES = 1600;
const QUANTUM_RANGE_BYTES = 6400;
const SMALLEST_BURST_BYTES = 3200;
const BURST_RANGE_BYTES = 2000;

/**
 * The same tree with small quanta, and with ceil buckets that outlast a round of everybody's turns. A class whose
 * ceil runs out within its turn loses the rest of it, and then who gets how much hangs on single nanoseconds, with
 * one queue and in the kernel too. And with shallow rate buckets: while tokens saved up make the assured rates
 * more than the parent's ceil, leaves with tokens of their own take turns by accidents likewise.
 */
export function steadied(tree: readonly OracleClass[]): OracleClass[] {
  const quantumOf = (spec: OracleClass): number =>
    spec.unlimited ? spec.quantumBytes : SMALLEST_QUANTUM_BYTES + (spec.quantumBytes % QUANTUM_RANGE_BYTES);
  let roundBytes = 0;
  for (const spec of tree) roundBytes += quantumOf(spec);
  return tree.map((spec) => ({
    ...spec,
    quantumBytes: quantumOf(spec),
    burstBytes: spec.unlimited ? 0 : SMALLEST_BURST_BYTES + (spec.burstBytes % BURST_RANGE_BYTES),
    cburstBytes: spec.unlimited ? 0 : roundBytes + SMALLEST_QUANTUM_BYTES + spec.cburstBytes,
  }));
}

/**
 * How many bytes of a class may differ between two runs of the same load. A leaf's turn is a quantum, overdrawn by a
 * packet; an inner class's turn is one turn of each leaf below it. Each scheduler may be a turn ahead of the fair
 * share or a turn behind it, so a class differs by two of the longest turns among its siblings; and by its part of what
 * its parent differs by, for the same reason. A root differs by two of the longest turns of leaves: while it is not
 * saturated, whose queue is full or empty just then decides, and that may be a leaf ahead in one and behind in the other.
 */
export function boundsOf(tree: readonly OracleClass[]): Map<string, number> {
  const turnBytes = new Map<string, number>();
  let longestLeafTurn = 0;
  const longestBelow = new Map<string | null, number>();
  const isParent = new Set(tree.map(({ parent }) => parent));
  for (let at = tree.length - 1; at >= 0; at--) {
    const { id, parent, quantumBytes } = tree[at]!;
    const turn = isParent.has(id) ? turnBytes.get(id)! : quantumBytes + LARGEST_PACKET_BYTES;
    turnBytes.set(id, turn);
    if (!isParent.has(id)) longestLeafTurn = Math.max(longestLeafTurn, turn);
    if (parent === null) continue;
    turnBytes.set(parent, (turnBytes.get(parent) ?? 0) + turn);
    longestBelow.set(parent, Math.max(longestBelow.get(parent) ?? 0, turn));
  }
  const bounds = new Map<string, number>();
  for (const { id, parent } of tree) {
    bounds.set(
      id,
      parent === null ? 2 * longestLeafTurn : bounds.get(parent)! + 2 * longestBelow.get(parent)!,
    );
  }
  return bounds;
}
