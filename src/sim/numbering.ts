/** The numbers by which classes and flows of a scenario go while it runs. */
import { queueSpecOf } from '../../classes/queue.js';
import type { FlowSpec, Scenario } from './scenario.js';

/** Numbers the classes that have flows, and gives each flow's meter: two a class, by direction. */
export function numberFlows(flows: readonly FlowSpec[]): {
  classNumbers: Map<string, number>;
  meterOfFlow: Int32Array;
} {
  const classNumbers = new Map<string, number>();
  const meterOfFlow = Int32Array.from(flows, ({ classId, direction }) => {
    const number = classNumbers.get(classId) ?? classNumbers.size;
    classNumbers.set(classId, number);
    return number * 2 + direction;
  });
  return { classNumbers, meterOfFlow };
}

/** The most packets that each class may hold in any of the trees. */
export function leafLimits(scenario: Scenario): Map<string, number> {
  const limits = new Map<string, number>();
  for (const tree of [scenario.tree, ...scenario.changes.map((change) => change.tree)]) {
    for (const { id, queue } of tree.classes)
      limits.set(id, Math.max(limits.get(id) ?? 0, queueSpecOf(tree.queue, queue).limitPackets));
  }
  return limits;
}
