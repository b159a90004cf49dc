/** The verb `weir daemon`. */
import { openSource } from '../../classes/source/open.js';
import { printableConfig, sourceSpec, unknownClass } from '../config/config.js';
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
  const source = openSource(sourceSpec(config));
  try {
    const loaded = await readClasses(source, unknownClass(config), Date.now());
    for (const warning of loaded.warnings) printError('W_CLASSES', warning);
    for (const error of loaded.errors) printError('E_CLASSES', error);
    if (loaded.tree === null) return 2;
    await runDaemon(config, source, loaded);
    return 0;
  } finally {
    await source.close();
  }
}
