/** The verb `weir doctor`: what on this machine hinders shaping, and the command that mends it. */
import { examine } from '../doctor/examine.js';
import { gatherFacts, type PortNames } from '../doctor/gather.js';
import { readPorts } from '../doctor/ports.js';
import { formatFindings } from '../doctor/report.js';
import { usageError } from '../errors.js';
import { printJson, printText } from './output.js';

export interface DoctorOptions {
  readonly config?: string;
  readonly inside?: string;
  readonly outside?: string;
  readonly json?: boolean;
}

/** Returns the exit code: 1 when something must be mended, 0 when there are at most warnings. Throws WeirError. */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const findings = examine(gatherFacts(portsOf(options)));
  if (options.json === true) await printJson({ findings });
  else await printText(formatFindings(findings));
  return findings.some(({ severity }) => severity === 'error') ? 1 : 0;
}

function portsOf({ config, inside, outside }: DoctorOptions): PortNames | null {
  if (config !== undefined) {
    if (inside !== undefined || outside !== undefined) {
      throw usageError('E_USAGE', '--config names the ports; --inside and --outside do not go with it');
    }
    return readPorts(config);
  }
  if (inside === undefined && outside === undefined) return null;
  if (inside === undefined || outside === undefined) {
    throw usageError('E_USAGE', '--inside and --outside go together');
  }
  return { inside, outside };
}
