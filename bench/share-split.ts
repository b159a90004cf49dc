/**
 * What weir is compared with: a shaper on every queue that knows nothing of the others but a divisor of its rates.
 *
 * - `static`: every class has its rates divided by the number of queues, as with mq and an HTB under each queue.
 * - `active`: every class has its rates divided by the number of queues on which it is active. That is how cake_mq shares
 *   a link's rate (Linux 7.0, sch_cake.c): a queue that sends looks at the others, if it has not for 200 µs, and counts
 *   those that have packets or have sent since it looked last. Here that is applied to each class of a tree by itself, as
 *   if it had a cake_mq of its own.
 *
 * The shapers are weir's own worker, tree and buckets at one queue each; the cards, arrivals and meters are those of the
 * simulator, and so is the time that passes between two steps.
 */
import { type ClassSpec, type ClassTree, type DirectionSpec, defaultBurstBytes } from '../classes/model.js';
import { Publisher } from '../src/control/publisher.js';
import { addClassStats, clearStats, emptyStats } from '../src/htb/memory.js';
import { createSharedShaper, EpochQueue } from '../src/shm/shared-shaper.js';
import { Direction } from '../src/shm/tree-layout.js';
import { checkConservation } from '../src/sim/conservation.js';
import { Subscribers, withSimulatedMatches } from '../src/sim/frames.js';
import { Meters } from '../src/sim/meters.js';
import { leafLimits, numberFlows } from '../src/sim/numbering.js';
import { compileResult } from '../src/sim/outcome.js';
import { ORIGIN_NS, Pace } from '../src/sim/pace.js';
import type { SimResult } from '../src/sim/result.js';
import type { Scenario } from '../src/sim/scenario.js';
import { SimQueue } from '../src/sim/sim-queue.js';

export type SplitRule = 'static' | 'active';

const NS_PER_SECOND = 1e9;
/** cake_mq's least time between two looks at the other queues. */
const LOOK_NS = 200_000;

/** Runs a scenario of down flows without stalls or changes on shapers that are split up by the rule. */
export function runSplit(scenario: Scenario, rule: SplitRule): SimResult {
  return new SplitSimulation(scenario, rule).run();
}

/** One queue's shaper. */
interface Island {
  readonly queue: SimQueue;
  readonly publisher: Publisher;
  /** By class, in the tree's order. */
  readonly divisors: Int32Array;
  /** By class: packets in the queue, packets sent, when a step last sent some, and when it last looked at the others. */
  readonly backlog: Float64Array;
  readonly sent: Float64Array;
  readonly sentNs: Float64Array;
  readonly lookedNs: Float64Array;
  dueNs: number;
}

class SplitSimulation {
  private readonly scenario: Scenario;
  private readonly rule: SplitRule;
  private readonly meters: Meters;
  private readonly classNumbers: ReadonlyMap<string, number>;
  /** With the matches that the flows' addresses need. */
  private readonly tree: ClassTree;
  private readonly specs: DividedSpecs;
  private readonly parents: Int32Array;
  private readonly islands: Island[];
  private readonly scratch = emptyStats();
  private readonly pace: Pace;
  private readonly endNs: number;
  private readonly windowNs: number;
  private windowEndNs: number;

  constructor(scenario: Scenario, rule: SplitRule) {
    this.scenario = scenario;
    this.rule = rule;
    this.endNs = ORIGIN_NS + scenario.seconds * NS_PER_SECOND;
    this.pace = new Pace(scenario.queues);
    this.windowNs = scenario.windowMs * 1e6;
    this.windowEndNs = ORIGIN_NS + this.windowNs;
    const numbers = numberFlows(scenario.flows);
    this.classNumbers = numbers.classNumbers;
    this.meters = new Meters(numbers.meterOfFlow, this.classNumbers.size * 2);
    const subscribers = new Subscribers(scenario.flows, this.classNumbers);
    this.tree = withSimulatedMatches(scenario.tree, this.classNumbers, subscribers);
    this.specs = new DividedSpecs(this.tree.classes);
    const places = new Map(this.tree.classes.map(({ id }, place) => [id, place]));
    this.parents = Int32Array.from(this.tree.classes, ({ parent }) =>
      parent === null ? -1 : places.get(parent)!,
    );
    const { length } = this.tree.classes;
    const divisor = rule === 'static' ? scenario.queues : 1;
    this.islands = Array.from({ length: scenario.queues }, (_, queue) =>
      this.island(queue, subscribers, new Int32Array(length).fill(divisor)),
    );
  }

  run(): SimResult {
    const { islands, endNs, scenario, meters, classNumbers } = this;
    for (const island of islands) {
      island.queue.worker.step(ORIGIN_NS);
      island.dueNs = this.stepTimeNs(island, island.queue.nextDueNs(ORIGIN_NS));
    }
    for (;;) {
      const island = this.next();
      const nowNs = island.dueNs;
      if (nowNs >= endNs) break;
      this.endWindows(nowNs);
      island.queue.run(nowNs);
      let dueNs = island.queue.nextDueNs(nowNs);
      if (this.rule === 'active') {
        this.note(island, nowNs);
        if (this.look(island, nowNs)) dueNs = nowNs;
      }
      island.dueNs = this.stepTimeNs(island, this.pace.againNs(nowNs, dueNs));
    }
    this.endWindows(endNs);
    const queues = islands.map(({ queue }) => queue);
    for (const queue of queues) queue.receive(endNs);
    checkConservation(queues, islands[0]!.publisher, classNumbers, meters);
    return compileResult(scenario, classNumbers, meters, queues);
  }

  private island(queue: number, subscribers: Subscribers, divisors: Int32Array): Island {
    const { scenario, classNumbers, meters } = this;
    const shared = createSharedShaper(this.tree.classes.length, 1);
    const source = new EpochQueue();
    const publisher = new Publisher(shared, {
      seed: scenario.seed,
      deliver: (epoch) => source.push(epoch),
    });
    publisher.publish(this.specs.tree(this.tree, divisors), ORIGIN_NS);
    const flows = scenario.flows.map((flow) => ({
      ...flow,
      offeredBps: flow.offeredBps * flow.shares[queue]!,
      shares: [1],
    }));
    // Another seed, or the packets of a flow would arrive on all queues at once.
    const own = { ...scenario, queues: 1, seed: (scenario.seed + queue) >>> 0, flows };
    const options = {
      queue: 0,
      scenario: own,
      shared,
      source,
      classNumbers,
      limitPackets: leafLimits(scenario),
    };
    const member = new SimQueue({ ...options, subscribers, meters, originNs: ORIGIN_NS });
    const column = (): Float64Array => new Float64Array(divisors.length);
    const activity = { backlog: column(), sent: column(), sentNs: column(), lookedNs: column() };
    return { queue: member, publisher, divisors, ...activity, dueNs: 0 };
  }

  private next(): Island {
    let first = this.islands[0]!;
    for (const island of this.islands) if (island.dueNs < first.dueNs) first = island;
    return first;
  }

  /** The first time at or after `dueNs` at which the queue's worker steps. */
  private stepTimeNs(island: Island, dueNs: number): number {
    return this.pace.stepTimeNs(this.islands.indexOf(island), dueNs);
  }

  /** Each class that is active here counts the queues on which it is; says whether a divisor has changed. */
  private look(island: Island, nowNs: number): boolean {
    const { divisors, lookedNs, backlog, sentNs } = island;
    let changed = false;
    for (let place = 0; place < divisors.length; place++) {
      const beforeNs = lookedNs[place]!;
      if ((backlog[place] === 0 && sentNs[place] !== nowNs) || nowNs - beforeNs < LOOK_NS) continue;
      lookedNs[place] = nowNs;
      let active = 1;
      for (const other of this.islands) {
        if (other !== island && (other.backlog[place]! > 0 || other.sentNs[place]! > beforeNs)) active++;
      }
      if (divisors[place] === active) continue;
      divisors[place] = active;
      changed = true;
    }
    if (changed) island.publisher.publish(this.specs.tree(this.tree, divisors), nowNs);
    return changed;
  }

  /** Writes down for the others what a step has left of each class, and what it has sent. */
  private note(island: Island, nowNs: number): void {
    const { backlog, sent, sentNs, publisher } = island;
    const { parents, scratch, tree } = this;
    const { words, doubles } = island.queue.worker.trees[Direction.DOWN].memory;
    backlog.fill(0);
    // Children stand behind their parents, so that an inner class has the sum of all below it when its turn comes.
    for (let place = backlog.length - 1; place >= 0; place--) {
      const { index, isInner } = publisher.classes.get(tree.classes[place]!.id)!;
      clearStats(scratch);
      addClassStats(words, doubles, index, isInner, scratch);
      backlog[place]! += scratch.backlogPackets;
      if (scratch.packets > sent[place]!) sentNs[place] = nowNs;
      sent[place] = scratch.packets;
      if (parents[place]! >= 0) backlog[parents[place]!]! += backlog[place]!;
    }
  }

  private endWindows(nowNs: number): void {
    while (this.windowEndNs <= nowNs) {
      this.meters.endWindow();
      this.windowEndNs += this.windowNs;
    }
  }
}

/** Classes with divided rates: one object for each class and divisor, so that only what differs is published. */
class DividedSpecs {
  private readonly made: Map<number, ClassSpec>[];

  constructor(classes: readonly ClassSpec[]) {
    this.made = classes.map((spec) => new Map([[1, spec]]));
  }

  tree(tree: ClassTree, divisors: Int32Array): ClassTree {
    const classes = tree.classes.map((spec, place) => this.divided(spec, place, divisors[place]!));
    return { ...tree, classes };
  }

  private divided(spec: ClassSpec, place: number, divisor: number): ClassSpec {
    const made = this.made[place]!;
    let divided = made.get(divisor);
    if (divided === undefined) {
      divided = { ...spec, down: spec.down && dividedLimits(spec.down, divisor) };
      made.set(divisor, divided);
    }
    return divided;
  }
}

/** With the bursts that are the default for such rates. */
function dividedLimits(limits: DirectionSpec, divisor: number): DirectionSpec {
  const rateBps = limits.rateBps / divisor;
  const ceilBps = limits.ceilBps / divisor;
  const burstBytes = defaultBurstBytes(rateBps);
  const cburstBytes = defaultBurstBytes(ceilBps);
  return { ...limits, rateBps, ceilBps, burstBytes, cburstBytes };
}
