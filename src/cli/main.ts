#!/usr/bin/env node
/**
 * The `weir` command. Verbs are described here and live in files of their own, which are loaded only when they
 * are called: a look at the version must not load the data plane.
 *
 * Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { reportFailure } from './output.js';

// The compiled file is dist/src/cli/main.js, three folders below the package.
const PACKAGE_FILE = new URL('../../../package.json', import.meta.url);

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string };
  const program = new Command('weir')
    .description('multiqueue hierarchical traffic shaper')
    .version(version)
    .exitOverride()
    // Commander's own lines have another form; reportFailure writes the one line that weir promises.
    .configureOutput({ writeErr: () => {} });
  program
    .command('sim')
    .description('runs the real tree and buckets on N queues in virtual time')
    .argument('<scenario>', 'scenario file, JSON')
    .option('--json', 'print one JSON document')
    .action(async (scenario: string, options: { json?: boolean }) => {
      const { runSim } = await import('./sim.js');
      process.exitCode = await runSim(scenario, options);
    });
  const bench = program.command('bench').description('the benchmark rig');
  bench
    .command('core')
    .description('one worker over memory rings, 64-byte frames: everything from parsing to recycling')
    .option('--classes <n>', 'leaf classes', '24576')
    .option('--throttled <share>', 'share of the classes that are offered twice their ceil', '0')
    .option('--flows <n>', 'flows; as many as classes when left out')
    .option('--seconds <s>', 'measured time of each run', '5')
    .option('--queues <n>', 'queues that the tree is shared with', '1')
    .option('--seed <n>', 'seed of the traffic', '1')
    .option('--json', 'print one JSON document')
    .action(async (options: Record<string, string | boolean>) => {
      const { runBenchCore } = await import('./bench.js');
      process.exitCode = await runBenchCore(options);
    });
  bench
    .command('flows')
    .description('the flow table with the class hash behind it')
    .option('--flows <n>', 'concurrent flows', '10000000')
    .option('--prefixes <n>', 'class prefixes', '100000')
    .option('--seconds <s>', 'measured time of the steady state', '5')
    .option('--seed <n>', 'seed of the traffic', '1')
    .option('--json', 'print one JSON document')
    .action(async (options: Record<string, string | boolean>) => {
      const { runBenchFlows } = await import('./bench.js');
      process.exitCode = await runBenchFlows(options);
    });
  return program;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  // Help and version, where they were asked for, end this way too.
  if (!(error instanceof CommanderError && error.exitCode === 0)) process.exitCode = reportFailure(error);
}
