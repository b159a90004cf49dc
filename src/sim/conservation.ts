/**
 * The books of a run, closed at its end. Whatever the scenario was, no frame and no packet may be lost or made up;
 * if one is, the run's figures are worth nothing and there is a bug in weir.
 */
import type { Publisher } from '../control/publisher.js';
import { Counter } from '../dataplane/counters.js';
import { WeirError } from '../errors.js';
import { addClassStats } from '../htb/memory.js';
import type { Meters } from './meters.js';
import type { SimQueue } from './sim-queue.js';

/**
 * Checks, and fills in what only the workers know: `meters.stats` and `meters.backlogPackets`. Throws
 * E_CONSERVATION with the figures that do not agree.
 */
export function checkConservation(
  queues: readonly SimQueue[],
  publisher: Publisher,
  classNumbers: ReadonlyMap<string, number>,
  meters: Meters,
): void {
  for (let queue = 0; queue < queues.length; queue++) checkFrames(queues[queue]!, queue);
  const received = new Float64Array(meters.offeredPackets.length);
  for (const queue of queues) queue.countReceived(received);
  for (const [id, number] of classNumbers) {
    const classIndex = publisher.classes.get(id)!.index;
    for (let direction = 0; direction < 2; direction++) {
      const meter = number * 2 + direction;
      const stats = meters.stats[meter]!;
      for (const { worker } of queues) {
        const { words, doubles } = worker.trees[direction]!.memory;
        addClassStats(words, doubles, classIndex, false, stats);
      }
      meters.backlogPackets[meter] = stats.backlogPackets + meters.total(received, meter);
      checkPackets(meters, meter, `class '${id}' ${direction === 0 ? 'down' : 'up'}`);
    }
  }
}

/** Every frame of a worker is free, queued, or in a ring; and every packet it took in has a class. */
function checkFrames({ worker, frames, ringFrames: rings }: SimQueue, queue: number): void {
  const sum = worker.freeFrames + worker.queuedPackets + rings;
  if (sum !== frames) {
    const parts = `${worker.freeFrames} free, ${worker.queuedPackets} queued, ${rings} in rings`;
    throw broken(`queue ${queue} has ${frames} frames, but ${parts}`);
  }
  const { counters } = worker;
  const unknown = counters[Counter.UNKNOWN_PACKETS]!;
  if (unknown !== 0) throw broken(`queue ${queue} took ${unknown} packets for traffic of no class`);
  const rx = counters[Counter.RX_PACKETS]!;
  const tx = counters[Counter.TX_PACKETS]!;
  const drops =
    counters[Counter.DROP_QUEUE]! + counters[Counter.DROP_CODEL]! + counters[Counter.DROP_EVICTED]!;
  if (rx !== tx + drops + worker.queuedPackets) {
    throw broken(
      `queue ${queue} took ${rx} packets, but ${tx} sent, ${drops} dropped, ${worker.queuedPackets} queued`,
    );
  }
}

/** Every packet offered was sent, dropped, or is still there; and the trees have counted what left. */
function checkPackets(meters: Meters, meter: number, name: string): void {
  const stats = meters.stats[meter]!;
  const offered = meters.total(meters.offeredPackets, meter);
  const sent = meters.total(meters.sentPackets, meter);
  const drops = stats.drops + meters.total(meters.nicDrops, meter);
  const backlog = meters.backlogPackets[meter]!;
  if (offered !== sent + drops + backlog) {
    throw broken(
      `${name}: ${offered} packets offered, but ${sent} sent, ${drops} dropped, ${backlog} queued`,
    );
  }
  const sentBytes = meters.total(meters.sentBytes, meter);
  if (stats.packets !== sent || stats.bytes !== sentBytes) {
    const counted = `${stats.packets} packets and ${stats.bytes} bytes`;
    throw broken(`${name}: ${sent} packets and ${sentBytes} bytes left, the trees have counted ${counted}`);
  }
}

function broken(message: string): WeirError {
  return new WeirError('E_CONSERVATION', message);
}
