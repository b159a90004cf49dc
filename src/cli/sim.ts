/** The verb `weir sim`. */
import { readFileSync } from 'node:fs';
import { placeOf, scanJson } from '../../classes/json-text.js';
import { printableKey } from '../../classes/problems.js';
import { usageError } from '../errors.js';
import { formatReport } from '../sim/report.js';
import { readScenario, type ScenarioProblem } from '../sim/scenario.js';
import { runScenario } from '../sim/simulator.js';
import { printError, printJson, printText } from './output.js';

/** Runs the scenario of a file and prints what came out. Returns the exit code; throws WeirError. */
export async function runSim(path: string, options: { json?: boolean }): Promise<number> {
  const { scenario, problems } = readScenario(readDocument(path));
  for (const problem of problems) {
    printError(problem.severity === 'error' ? 'E_SCENARIO' : 'W_SCENARIO', describe(path, problem));
  }
  if (scenario === null) return 2;
  const result = runScenario(scenario);
  if (options.json) await printJson(result);
  else await printText(formatReport(scenario, result));
  return 0;
}

function describe(path: string, { key, message }: ScenarioProblem): string {
  return key === '' ? `${path}: ${message}` : `${path}: ${key}: ${message}`;
}

/** Reads a JSON file. Throws E_SCENARIO_READ or E_SCENARIO_SYNTAX, both usage errors. */
function readDocument(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\ufeff/, '');
  } catch (cause) {
    throw usageError('E_SCENARIO_READ', `${path}: ${(cause as Error).message}`, cause);
  }
  // JSON.parse tells no line, and lets the last of two equal keys win.
  const { fault, duplicates } = scanJson(text);
  if (fault !== null) {
    throw usageError('E_SCENARIO_SYNTAX', `${path}: ${placeOf(text, fault.offset)}: ${fault.message}`);
  }
  const twice = duplicates[0];
  if (twice !== undefined) {
    const place = placeOf(text, twice.offset);
    throw usageError(
      'E_SCENARIO_SYNTAX',
      `${path}: ${place}: ${printableKey(twice.key)} stands twice in one map`,
    );
  }
  return JSON.parse(text);
}
