/** The plan in the simulator, where no packets can be sent: the same tree and flows, in virtual time. */
import { WeirError } from '../errors.js';
import { readScenario } from '../sim/scenario.js';
import { runScenario, type SimResult } from '../sim/simulator.js';
import type { LabPlan } from './plan.js';
import { judge, type Measurements, rateKey, type Verdict } from './verdict.js';

/** Every rate is over whole windows. */
const WINDOW_MS = 100;
const UDP_AND_TCP_FRAME_BYTES = 1514;
/** An echo request with its headers, fifty times a second, as the lab's pings are. */
const PING = { size: 98, offered: 98 * 8 * 50, arrival: 'poisson' } as const;

/** Connections and tracked addresses are not simulated; expectations about them are left out of the verdicts. */
export function simulateLab(plan: LabPlan): { verdicts: Verdict[]; measurements: Measurements } {
  const { scenario, problems } = readScenario(scenarioOf(plan));
  if (scenario === null) {
    throw new WeirError('E_LAB_PLAN', problems.map(({ key, message }) => `${key}: ${message}`).join('; '));
  }
  const result = runScenario(scenario);
  const measurements: Measurements = {
    ratesBps: ratesOf(plan, result),
    delay: delayOf(plan, result),
    conntrackEntries: null,
    masqueraded: null,
    counterDifference: null,
    // runScenario throws where a packet is missing from its books.
    framesUnaccounted: 0,
  };
  return { verdicts: judge(plan.expectations, measurements), measurements };
}

/** TCP becomes a steady stream somewhat above the ceil, spread over the queues as its connections would be. */
function scenarioOf(plan: LabPlan): object {
  const flows = plan.flows.map(({ classId, direction, offeredBps }) => ({
    class: classId,
    direction,
    offered: offeredBps,
    size: UDP_AND_TCP_FRAME_BYTES,
  }));
  const pings = { class: plan.idle.classId, direction: 'down', ...PING };
  const { queues, seconds, seed, tree } = plan;
  return { queues, seconds, seed, windowMs: WINDOW_MS, classes: tree, flows: [...flows, pings] };
}

function ratesOf(plan: LabPlan, result: SimResult): Map<string, number> {
  const firstWindow = Math.ceil((plan.warmupSeconds * 1000) / WINDOW_MS);
  const rates = new Map<string, number>();
  for (const { classId, direction } of plan.flows) {
    const windows = result.classes[classId]![direction]!.windowsBps.slice(firstWindow);
    rates.set(rateKey(classId, direction), windows.reduce((sum, bps) => sum + bps, 0) / windows.length);
  }
  return rates;
}

function delayOf(plan: LabPlan, result: SimResult): Measurements['delay'] {
  const { offeredPackets, drops, delayMs } = result.classes[plan.idle.classId]!.down!;
  const p99Ms = delayMs.p99 ?? Number.NaN;
  // The simulator keeps no mean; it cannot be worse than this.
  return { meanMs: p99Ms, p99Ms, maxMs: null, samples: offeredPackets, lost: drops };
}
