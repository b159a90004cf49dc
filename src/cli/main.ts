#!/usr/bin/env node
/**
 * The `weir` command. Verbs are described here and live in files of their own, which are loaded only when they
 * are called: a look at the version must not load the data plane.
 *
 * Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
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
  bench
    .command('inline')
    .description('the daemon on a wire of veth pairs beside a minimal AF_XDP forwarder; needs root')
    .option('--classes <n>', 'leaf classes, each with an address', '24000')
    .option('--queues <n>', 'queues and workers', '1')
    .option('--size <bytes>', 'layer-2 bytes of a frame', '64')
    .option('--runs <n>', 'interleaved runs', '3')
    .option('--seconds <s>', 'measured time of each load', '3')
    .option('--backend <name>', 'xdp or packet', 'xdp')
    .option('--json', 'print one JSON document')
    .action(async (options: Record<string, string | boolean>) => {
      const { runBenchInline } = await import('./bench.js');
      process.exitCode = await runBenchInline(options);
    });
  bench
    .command('classes')
    .description('from a user database or a file to classes in force: the whole, one row, a plan')
    .option('--users <n>', 'subscribers in the databases', '24000')
    .option('--file-classes <n>', 'classes in the file; 0 leaves it out', '1000000')
    .option('--runs <n>', 'whole loads of each database', '5')
    .option('--changes <n>', 'single rows that are changed', '30')
    .option('--seed <n>', 'seed of the sample', '1')
    .option('--json', 'print one JSON document')
    .action(async (options: Record<string, string | boolean>) => {
      const { runBenchClasses } = await import('./bench.js');
      process.exitCode = await runBenchClasses(options);
    });
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
