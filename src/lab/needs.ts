/** What the lab needs of the machine, and the command that gets it. Pure. */
import { type MachineFacts, TOOLS } from '../doctor/facts.js';
import { BUILD_COMMAND } from '../doctor/machine.js';
import { effectiveCapabilities } from '../doctor/texts.js';

const CAP_NET_ADMIN = 12;
/** Making network namespaces and mounting what belongs to them. */
const CAP_SYS_ADMIN = 21;

/** One line for each thing that is missing, with the command; empty where the lab can run. */
export function missingForLab(facts: MachineFacts): string[] {
  const missing: string[] = [];
  const held = effectiveCapabilities(facts.processStatus);
  if (!held.has(CAP_NET_ADMIN) || !held.has(CAP_SYS_ADMIN)) {
    missing.push('it makes network namespaces, which takes root: sudo npx weir lab');
  }
  const tools = TOOLS.filter(({ name }) => !facts.tools.includes(name));
  if (tools.length > 0) {
    const names = tools.map(({ name }) => name).join(', ');
    const packages = tools.map(({ debian }) => debian).join(' ');
    missing.push(`not in the PATH: ${names}: sudo apt-get install -y ${packages}`);
  }
  if (facts.nativeFilesMissing.length > 0) {
    missing.push(`not built: ${facts.nativeFilesMissing.join(', ')}: ${BUILD_COMMAND}`);
  }
  return missing;
}
