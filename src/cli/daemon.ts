/** The verb `weir daemon`. */
import { openSource } from '../../classes/source/open.js';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';
import { isAway } from '../../classes/stores/faults.js';
import { type DaemonConfig, printableConfig, sourceSpec, unknownClass } from '../config/config.js';
import { formatFault, loadConfig } from '../config/load.js';
import { readClasses } from '../control/class-source.js';
import { LastGood } from '../control/last-good.js';
import { runDaemon } from '../control/run.js';
import type { WeirError } from '../errors.js';
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
    const loaded = await loadOrLastGood(config, source);
    for (const warning of loaded.warnings) printError('W_CLASSES', warning);
    for (const error of loaded.errors) printError('E_CLASSES', error);
    if (loaded.tree === null) return 2;
    await runDaemon(config, source, loaded);
    return 0;
  } finally {
    await source.close();
  }
}

/** What the source has, or, while a database is away, what it had when it was read last. */
async function loadOrLastGood(config: DaemonConfig, source: ClassSource): Promise<SourceResult> {
  try {
    return await readClasses(source, unknownClass(config), Date.now());
  } catch (error) {
    const path = LastGood.pathOf(config.classes.stateFolder, source.label);
    const tree = isAway(error) ? LastGood.load(path) : null;
    if (tree === null) throw error;
    const warnings = [`${(error as WeirError).message}; starting with its last good classes, from ${path}`];
    return { tree, errors: [], warnings, expired: new Set(), nextExpiryMs: null };
  }
}
