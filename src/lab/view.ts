/** What people see of the lab: a table while it runs, the verdicts at its end. */
import Table from 'cli-table3';
import type { LabProgress } from './lab.js';
import type { LabPlan } from './plan.js';
import { rateKey, type Verdict } from './verdict.js';

/** The live table: one row a loaded subscriber. */
export function formatTable(plan: LabPlan, progress: LabProgress): string {
  const table = new Table({
    head: ['subscriber', 'traffic', 'down', 'of ceil', 'up', 'of ceil'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const classId of loadedClasses(plan)) {
    const cells = (['down', 'up'] as const).flatMap((direction) => {
      const bps = progress.ratesBps.get(rateKey(classId, direction)) ?? 0;
      const ceilBps = plan.ceilsBps.get(classId)![direction];
      return [`${(bps / 1e6).toFixed(2)} Mbit/s`, `${((100 * bps) / ceilBps).toFixed(0)} %`];
    });
    table.push([classId, trafficOf(plan, classId), ...cells]);
  }
  return `${headline(plan, progress)}\n${table.toString()}\n`;
}

/** The same in one line, for what is no terminal. */
export function formatLine(plan: LabPlan, progress: LabProgress): string {
  const rates = plan.flows.map(({ classId, direction }) => {
    const bps = progress.ratesBps.get(rateKey(classId, direction)) ?? 0;
    return `${classId} ${direction} ${(bps / 1e6).toFixed(1)}`;
  });
  return `${headline(plan, progress)} | Mbit/s: ${rates.join(', ')}\n`;
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const width = (of: (verdict: Verdict) => string): number =>
    verdicts.reduce((most, verdict) => Math.max(most, of(verdict).length), 0);
  const labels = width(({ label }) => label);
  const figures = width(({ measured }) => measured);
  const lines = verdicts.map(
    ({ ok, label, measured, bound }) =>
      `${ok ? 'ok    ' : 'FAILED'}  ${label.padEnd(labels)}  ${measured.padEnd(figures)}  ${bound}`,
  );
  const failed = verdicts.filter(({ ok }) => !ok).length;
  const summary =
    failed === 0 ? `all ${verdicts.length} as expected` : `${failed} of ${verdicts.length} FAILED`;
  return `${lines.join('\n')}\n${summary}\n`;
}

function headline(plan: LabPlan, { elapsedSeconds, pingMs, conntrackEntries }: LabProgress): string {
  const ping = pingMs === null ? '-' : `${pingMs.toFixed(2)} ms`;
  const time = `${elapsedSeconds.toFixed(0).padStart(3)} of ${plan.seconds} s`;
  return `${time} | ping of the idle one ${ping} | ${conntrackEntries} connections tracked`;
}

function loadedClasses({ flows }: LabPlan): string[] {
  return [...new Set(flows.map(({ classId }) => classId))];
}

function trafficOf({ flows }: LabPlan, classId: string): string {
  const own = flows.filter((flow) => flow.classId === classId);
  return own
    .map(({ connections, protocol, direction }) => `${connections} ${protocol} ${direction}`)
    .join(', ');
}
