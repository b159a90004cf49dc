#!/usr/bin/env node
/**
 * The `weir` command. Verbs are described here and live in files of their own, which are loaded only when they
 * are called: a look at the version must not load the data plane.
 *
 * Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addBenchVerbs } from './bench-verbs.js';
import { addClassesVerbs } from './classes/program.js';
import type { DoctorOptions } from './doctor.js';
import type { LabVerbOptions } from './lab.js';
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
    .command('daemon')
    .description('shapes inline until SIGTERM; SIGHUP re-reads the classes')
    .option('--config <file>', 'configuration, JSON or YAML; without it the environment says all')
    .option('--print-config', 'print the effective configuration and end')
    .action(async (options: { config?: string; printConfig?: boolean }) => {
      const { runDaemonVerb } = await import('./daemon.js');
      process.exitCode = await runDaemonVerb(options);
    });
  addClassesVerbs(program);
  program
    .command('stats')
    .description('counters of the running daemon')
    .option('--class <id>', 'only this class, with all its counters')
    .option('--json', 'print one JSON document')
    .option('--config <file>', 'configuration of the daemon, for its socket')
    .option('--socket <path>', "the daemon's control socket")
    .action(async (options: { class?: string; json?: boolean; config?: string; socket?: string }) => {
      const { runStats } = await import('./stats.js');
      process.exitCode = await runStats(options);
    });
  program
    .command('lab')
    .description('a network of namespaces with weir inline: sends traffic, shows what happens, judges it')
    .option('--seconds <n>', 'how long traffic is sent', '20')
    .option('--users <n>', 'subscribers', '24000')
    .option('--seed <n>', 'seed of the plan', '1')
    .option('--json', 'print one JSON document')
    .action(async (options: LabVerbOptions) => {
      const { runLabVerb } = await import('./lab.js');
      process.exitCode = await runLabVerb(options);
    });
  program
    .command('doctor')
    .description('what on this machine hinders shaping, and the command that mends it')
    .option('--config <file>', 'configuration that names the ports')
    .option('--inside <device>', 'port toward the subscribers')
    .option('--outside <device>', 'port toward the uplink')
    .option('--json', 'print one JSON document')
    .action(async (options: DoctorOptions) => {
      const { runDoctor } = await import('./doctor.js');
      process.exitCode = await runDoctor(options);
    });
  program
    .command('sim')
    .description('runs the real tree and buckets on N queues in virtual time')
    .argument('<scenario>', 'scenario file, JSON')
    .option('--json', 'print one JSON document')
    .action(async (scenario: string, options: { json?: boolean }) => {
      const { runSim } = await import('./sim.js');
      process.exitCode = await runSim(scenario, options);
    });
  addBenchVerbs(program);
  return program;
}

// Who reads only the first lines of an output does nothing wrong.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  // Help and version, where they were asked for, end this way too.
  if (!(error instanceof CommanderError && error.exitCode === 0)) process.exitCode = reportFailure(error);
}
