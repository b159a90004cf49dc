/** Adds `bench NAME` for every benchmark, and `bench all`. */
import type { Command } from 'commander';
import { GENERATE_OPTIONS, runGenerate } from './bench-generate.js';
import { descriptionOf, flagsOf, type OptionTable, type RawOptions } from './bench-options.js';
import { ALL_OPTIONS, BENCHES } from './bench-table.js';

export function addBenchVerbs(program: Command): void {
  const verb = program.command('bench').description('the benchmark rig');
  for (const bench of BENCHES) {
    const command = addCommon(verb.command(bench.name).description(bench.description));
    addOptions(command, bench.options);
    command.action(async (options: RawOptions) => {
      const { runBench } = await import('./bench.js');
      process.exitCode = await runBench(bench, options);
    });
  }
  const generate = verb
    .command('generate')
    .description('the traffic generator alone: sends into a device, or counts what arrives; needs root')
    .argument('<device>', 'where to')
    .option('--json', 'print one JSON document');
  addOptions(generate, GENERATE_OPTIONS).action(async (device: string, options: RawOptions) => {
    process.exitCode = await runGenerate(device, options);
  });
  const all = addCommon(
    verb.command('all').description('all of these but generate, with their defaults, one after the other'),
  );
  addOptions(all, ALL_OPTIONS).action(async (options: RawOptions) => {
    const { runAllBenches } = await import('./bench.js');
    process.exitCode = await runAllBenches(options);
  });
}

function addOptions(command: Command, options: OptionTable): Command {
  for (const [name, option] of Object.entries(options))
    command.option(flagsOf(name, option), descriptionOf(option));
  return command;
}

function addCommon(command: Command): Command {
  return command
    .option('--runs <n>', 'interleaved runs of every column (default: 5, with --smoke 1)')
    .option('--smoke', 'every column once with little, in seconds: does it work at all?')
    .option('--out <folder>', 'write NAME.json and NAME.html there')
    .option('--json', 'print one JSON document');
}
