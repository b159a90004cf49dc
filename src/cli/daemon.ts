/** The verb `weir daemon`. */
import { printableConfig } from '../config/config.js';
import { formatFault, loadConfig } from '../config/load.js';
import { readClasses } from '../control/class-source.js';
import { runDaemon } from '../control/run.js';
import { printError, printText } from './output.js';

export interface DaemonArguments {
  /** Without a file the environment is the configuration. */
  readonly config?: string;
  readonly printConfig?: boolean;
}

/** Runs the daemon, or prints what it would run with. Returns the exit code; throws WeirError. */
export async function runDaemonVerb({ config: path, printConfig }: DaemonArguments): Promise<number> {
  // Until the daemon listens for it there is nothing to read again, and nothing to die of.
  process.on('SIGHUP', () => {});
  const { config, faults } = loadConfig(path);
  for (const fault of faults) printError('E_CONFIG', formatFault(fault));
  if (config === null) return 2;
  if (printConfig === true) {
    await printText(`${JSON.stringify(printableConfig(config), null, 2)}\n`);
    return 0;
  }
  const unknownClass = config.unknown.policy === 'class' ? config.unknown.class : null;
  const { tree, errors, warnings } = readClasses(config.classes.source, unknownClass);
  for (const warning of warnings) printError('W_CLASSES', warning);
  for (const error of errors) printError('E_CLASSES', error);
  if (tree === null) return 2;
  await runDaemon(config, tree);
  return 0;
}
