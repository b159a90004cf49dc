/** The doctor's findings as lines for people. */
import type { Finding } from './finding.js';

/** One paragraph a finding, errors first; one line where there is none. */
export function formatFindings(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing hinders shaping here\n';
  const ordered = [...findings].sort((a, b) => rank(a) - rank(b));
  return `${ordered.map(paragraph).join('\n')}\n${summary(findings)}\n`;
}

function paragraph({ severity, what, why, mend }: Finding): string {
  return `${severity}: ${what}\n  why   ${why}\n  mend  ${mend}\n`;
}

function summary(findings: readonly Finding[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  const must = errors === 0 ? 'nothing must be mended' : `${errors} must be mended`;
  return warnings === 0 ? must : `${must}; ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`;
}

function rank({ severity }: Finding): number {
  return severity === 'error' ? 0 : 1;
}
