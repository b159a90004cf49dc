/**
 * Runs a scenario: the real worker on every queue, in virtual time. Nothing here knows how shaping works; it
 * lets packets arrive, calls the workers when they have something to do, and measures what leaves.
 *
 * The queues are simulated one step at a time in the order of their times. So workers interleave as threads
 * would, and they see each other's shared words as they were at that time; and since the order depends on the
 * scenario alone, so does the result.
 */
import type { ClassTree } from '../../classes/model.js';
import { Publisher } from '../control/publisher.js';
import { createSharedShaper, EpochQueue, type SharedShaper } from '../shm/shared-shaper.js';
import { checkConservation } from './conservation.js';
import { Subscribers, withSimulatedMatches } from './frames.js';
import { Meters } from './meters.js';
import { leafLimits, numberFlows } from './numbering.js';
import { compileResult } from './outcome.js';
import { ORIGIN_NS, Pace } from './pace.js';
import type { SimResult } from './result.js';
import type { Scenario } from './scenario.js';
import { SimQueue } from './sim-queue.js';
import { TimeHeap } from './time-heap.js';

export type { ClassResult, DirectionResult, SimResult } from './result.js';

const NS_PER_SECOND = 1e9;
const FRESHEN_NS = 300 * NS_PER_SECOND;

/** Runs the scenario to its end. Throws E_CONSERVATION when packets or frames were lost or made up. */
export function runScenario(scenario: Scenario): SimResult {
  const simulation = new Simulation(scenario);
  simulation.run();
  return simulation.result();
}

class Simulation {
  private readonly scenario: Scenario;
  private readonly publisher: Publisher;
  private readonly shared: SharedShaper;
  private readonly classNumbers: ReadonlyMap<string, number>;
  private readonly subscribers: Subscribers;
  private readonly meters: Meters;
  private readonly queues: SimQueue[] = [];
  private readonly endNs: number;
  private readonly pace: Pace;
  /** When each queue's worker steps next. */
  private readonly agenda: TimeHeap;
  private readonly windowNs: number;
  private windowEndNs: number;
  private nextChange = 0;
  private freshenAtNs = ORIGIN_NS + FRESHEN_NS;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    const numbers = numberFlows(scenario.flows);
    this.classNumbers = numbers.classNumbers;
    this.meters = new Meters(numbers.meterOfFlow, this.classNumbers.size * 2);
    this.subscribers = new Subscribers(scenario.flows, this.classNumbers);
    this.endNs = ORIGIN_NS + scenario.seconds * NS_PER_SECOND;
    this.pace = new Pace(scenario.queues);
    this.windowNs = scenario.windowMs * 1e6;
    this.windowEndNs = ORIGIN_NS + this.windowNs;
    this.agenda = new TimeHeap(scenario.queues);
    this.shared = createSharedShaper(capacityFor(scenario), scenario.queues);
    const sources = Array.from({ length: scenario.queues }, () => new EpochQueue());
    this.publisher = new Publisher(this.shared, {
      seed: scenario.seed,
      deliver: (epoch) => {
        for (const source of sources) source.push(epoch);
      },
    });
    this.publish(scenario.tree, ORIGIN_NS);
    const { shared, classNumbers, subscribers, meters } = this;
    const limitPackets = leafLimits(scenario);
    for (let queue = 0; queue < scenario.queues; queue++) {
      const options = { queue, scenario, shared, source: sources[queue]!, classNumbers, limitPackets };
      this.queues.push(new SimQueue({ ...options, subscribers, meters, originNs: ORIGIN_NS }));
    }
  }

  run(): void {
    for (let queue = 0; queue < this.queues.length; queue++) {
      // Takes the classes over and gives the cards frames to receive into, before the first packet.
      this.queues[queue]!.worker.step(ORIGIN_NS);
      this.agenda.push(this.stepTimeNs(queue, this.queues[queue]!.nextDueNs(ORIGIN_NS)), queue);
    }
    for (;;) {
      const nowNs = this.agenda.topTime;
      if (this.nextChangeNs <= nowNs && this.nextChangeNs < this.endNs) {
        this.publishChange(this.nextChangeNs);
        continue;
      }
      if (nowNs >= this.endNs) break;
      this.endWindows(nowNs);
      this.freshen(nowNs);
      const queue = this.agenda.topId;
      const member = this.queues[queue]!;
      member.run(nowNs);
      const dueNs = this.pace.againNs(nowNs, member.nextDueNs(nowNs));
      this.agenda.replaceTop(this.stepTimeNs(queue, dueNs));
    }
    this.endWindows(this.endNs);
    for (const queue of this.queues) queue.receive(this.endNs);
  }

  result(): SimResult {
    checkConservation(this.queues, this.publisher, this.classNumbers, this.meters);
    return compileResult(this.scenario, this.classNumbers, this.meters, this.queues);
  }

  private publish(tree: ClassTree, atNs: number): void {
    this.publisher.publish(withSimulatedMatches(tree, this.classNumbers, this.subscribers), atNs);
  }

  /** The first time at or after `dueNs` at which the queue's worker steps and is not stalled; Infinity stays. */
  private stepTimeNs(queue: number, dueNs: number): number {
    if (dueNs === Number.POSITIVE_INFINITY) return dueNs;
    let timeNs = this.pace.stepTimeNs(queue, dueNs);
    for (
      let stalled = this.stallEndNs(queue, timeNs);
      stalled > timeNs;
      stalled = this.stallEndNs(queue, timeNs)
    ) {
      timeNs = this.pace.stepTimeNs(queue, stalled);
    }
    return timeNs;
  }

  /** The end of a stall of the queue that `timeNs` lies in; 0 when there is none. */
  private stallEndNs(queue: number, timeNs: number): number {
    for (const stall of this.scenario.stalls) {
      const atNs = ORIGIN_NS + stall.atSeconds * NS_PER_SECOND;
      const endNs = atNs + stall.seconds * NS_PER_SECOND;
      if (stall.queue === queue && timeNs >= atNs && timeNs < endNs) return endNs;
    }
    return 0;
  }

  /** When the next change of the classes is due; Infinity when there are no more. */
  private get nextChangeNs(): number {
    const change = this.scenario.changes[this.nextChange];
    return change === undefined ? Number.POSITIVE_INFINITY : ORIGIN_NS + change.atSeconds * NS_PER_SECOND;
  }

  private publishChange(atNs: number): void {
    const { tree } = this.scenario.changes[this.nextChange]!;
    this.nextChange++;
    this.publish(tree, atNs);
    // The control plane wakes sleeping workers, so that all of them take the change over at once.
    this.agenda.clear();
    for (let queue = 0; queue < this.queues.length; queue++) {
      this.agenda.push(this.stepTimeNs(queue, atNs), queue);
    }
  }

  /** What the daemon's control thread does now and then: idle buckets' clocks must not wrap. */
  private freshen(nowNs: number): void {
    if (nowNs < this.freshenAtNs) return;
    this.publisher.freshen(nowNs);
    this.freshenAtNs = nowNs + FRESHEN_NS;
  }

  private endWindows(nowNs: number): void {
    while (this.windowEndNs <= nowNs) {
      this.meters.endWindow();
      this.windowEndNs += this.windowNs;
    }
  }
}

/** Room for every class of every tree at once: an index is only used again when all workers have let go of it. */
function capacityFor(scenario: Scenario): number {
  let classes = scenario.tree.classes.length;
  for (const change of scenario.changes) classes += change.tree.classes.length;
  return Math.max(1, classes);
}
