/**
 * Circular lists of flows. A list is one word in an array: 0 when it is empty, else ~flow of its last one, whose NEXT is the
 * first. So a rotation is one store. (Negative, so that whoever loads what a record names can tell flows from packets.)
 */
import { Flow } from './flow-pool.js';

export function firstOf(flows: Int32Array, lists: Int32Array, at: number): number {
  return flows[~lists[at]! + Flow.NEXT]!;
}

export function append(flows: Int32Array, lists: Int32Array, at: number, flow: number): void {
  const list = lists[at]!;
  if (list === 0) flows[flow + Flow.NEXT] = flow;
  else {
    flows[flow + Flow.NEXT] = flows[~list + Flow.NEXT]!;
    flows[~list + Flow.NEXT] = flow;
  }
  lists[at] = ~flow;
}

export function removeFirst(flows: Int32Array, lists: Int32Array, at: number): void {
  const last = ~lists[at]!;
  const first = flows[last + Flow.NEXT]!;
  if (first === last) lists[at] = 0;
  else flows[last + Flow.NEXT] = flows[first + Flow.NEXT]!;
}
