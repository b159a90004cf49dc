/** The verbs below `weir classes`, described; each is loaded only when it is called. */
import { type Command, Option } from 'commander';
import type { ApplyArguments } from './apply.js';
import type { CheckArguments } from './check.js';
import type { ExportArguments } from './export.js';
import type { FillArguments } from './fill.js';
import type { WatchArguments } from './watch.js';

type Options = Record<string, string | boolean | undefined>;
type Sourced<T> = T & { readonly source?: string };

const SOURCE = 'file:tree.yaml, file:ShapedDevices.csv, sqlite:users.db or postgres://…';
const DATABASE = 'sqlite:users.db or postgres://…';
const NAMED = `
It is named on the command line, by --config, or by WEIR_CLASSES_SOURCE.`;
const FILLED = `
It is named on the command line, by --config, or by WEIR_CLASSES_SOURCE; otherwise it is sqlite:users.db.`;
const OWN = `
Without a source it is the daemon's own. The daemon is found by --socket, --config or WEIR_CONTROL_SOCKET.`;

export function addClassesVerbs(program: Command): void {
  const classes = program.command('classes').description('class configuration from the user database');
  sourceVerb(classes, 'check', 'finds everything that is wrong with a source; changes nothing')
    .option('--json', 'print one JSON document')
    .action(async (source: string | undefined, options: Sourced<CheckArguments>) => {
      const { runCheck } = await import('./check.js');
      process.exitCode = await runCheck(source ?? options.source, options);
    });
  addImport(classes);
  addExport(classes);
  addDaemonVerbs(classes);
  addStoreVerbs(classes);
}

function sourceVerb(
  classes: Command,
  name: string,
  description: string,
  source = SOURCE,
  help = NAMED,
): Command {
  return classes
    .command(name)
    .description(description)
    .argument('[source]', source)
    .option('--source <source>', 'the same as the argument')
    .option('--config <file>', "the daemon's configuration")
    .addHelpText('after', help);
}

function addImport(classes: Command): void {
  classes
    .command('import')
    .description('reads what another shaper is configured with, and writes a class tree or fills a database')
    .argument('<files...>', 'ShapedDevices.csv and network.json; tc -batch scripts; a tree file')
    .addOption(new Option('--format <name>', 'what the files are; otherwise by their names').choices(FORMATS))
    .option('--to <target>', 'tree file, sqlite:users.db or postgres://…; standard output without it')
    .option('--force', 'replace what the target holds')
    .option('--uplink <id=down/up>', 'LibreQoS: class above all others, as uplink=10gbit/10gbit')
    .option('--down-device <name>', 'tc: the device toward the subscribers')
    .option('--up-device <name>', 'tc: the device toward the uplink')
    .action(async (files: string[], options: Options) => {
      const { runImport } = await import('./import.js');
      process.exitCode = await runImport(files, options);
    });
}

function addExport(classes: Command): void {
  sourceVerb(classes, 'export', 'writes the classes of a source for another shaper, or as a tree file')
    .addOption(new Option('--format <name>', 'what to write').choices(FORMATS).default('tree'))
    .option('--out <path>', 'file; for libreqos the folder of its two files; standard output without it')
    .option('--down-device <name>', 'tc: the device toward the subscribers', 'eth1')
    .option('--up-device <name>', 'tc: the device toward the uplink', 'eth0')
    .addOption(new Option('--filter <kind>', 'tc: what classifies').choices(['u32', 'flower']).default('u32'))
    .option('--force', 'replace files that are there')
    .action(async (source: string | undefined, options: Sourced<ExportArguments>) => {
      const { runExport } = await import('./export.js');
      process.exitCode = await runExport(source ?? options.source, options);
    });
}

function addDaemonVerbs(classes: Command): void {
  const verb = (name: string, description: string, help = OWN): Command =>
    sourceVerb(classes, name, description, SOURCE, help)
      .option('--socket <path>', "the daemon's control socket")
      .option('--json', 'print one JSON document');
  verb('plan', 'what apply would change in the running daemon').action(
    async (source: string | undefined, options: Sourced<ApplyArguments>) => {
      const { runPlan } = await import('./apply.js');
      process.exitCode = await runPlan(source ?? options.source, options);
    },
  );
  verb('apply', 'brings the running daemon to what the source says: all of it in one epoch, or nothing')
    .option('--force', 'also when more classes would go than the guard lets')
    .action(async (source: string | undefined, options: Sourced<ApplyArguments>) => {
      const { runApply } = await import('./apply.js');
      process.exitCode = await runApply(source ?? options.source, options);
    });
  const follows = 'follows a source and applies each change to the running daemon, until it is interrupted';
  verb('watch', follows, NAMED)
    .option('--seconds <n>', 'end after this time')
    .action(async (source: string | undefined, options: Sourced<WatchArguments>) => {
      const { runWatch } = await import('./watch.js');
      process.exitCode = await runWatch(source ?? options.source, options);
    });
}

function addStoreVerbs(classes: Command): void {
  sourceVerb(classes, 'init', "makes weir's tables in a database", DATABASE, FILLED).action(
    async (source: string | undefined, options: Sourced<FillArguments>) => {
      const { runInit } = await import('./fill.js');
      process.exitCode = await runInit(source ?? options.source, options);
    },
  );
  const fills = 'fills a database with plausible subscribers, sites and plans';
  sourceVerb(classes, 'sample', fills, DATABASE, FILLED)
    .option('--users <n>', 'subscribers', '24000')
    .option('--seed <n>', 'seed of the sample', '1')
    .option('--force', 'replace what the database holds')
    .action(async (source: string | undefined, options: Sourced<FillArguments>) => {
      const { runSample } = await import('./fill.js');
      process.exitCode = await runSample(source ?? options.source, options);
    });
}

const FORMATS = ['tree', 'libreqos', 'tc'] as const;
