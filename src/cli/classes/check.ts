/** The verb `weir classes check`. */
import { openSource } from '../../../classes/source/open.js';
import { printError, printJson, printText } from '../output.js';
import { targetOf } from './target.js';

export interface CheckArguments {
  readonly config?: string;
  readonly json?: boolean;
}

/** Reads a source strictly and tells all that is wrong with it. Returns 1 when there are errors; throws WeirError. */
export async function runCheck(name: string | undefined, options: CheckArguments): Promise<number> {
  const source = openSource(targetOf(name, options.config), { isStrict: true });
  try {
    const { tree, errors, warnings, expired } = await source.load(Date.now());
    const classes = tree?.classes ?? [];
    const addresses = classes.reduce((sum, { match }) => sum + match.length, 0);
    const code = errors.length > 0 ? 1 : 0;
    if (options.json === true) {
      const counts = tree === null ? null : { classes: classes.length, addresses, expired: expired.size };
      await printJson({ source: source.label, ok: code === 0, counts, errors, warnings });
      return code;
    }
    for (const warning of warnings) printError('W_CLASSES', warning);
    for (const error of errors) printError('E_CLASSES', error);
    const verdict = `${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}`;
    const what = tree === null ? '' : `${count(classes.length, 'class')}, ${count(addresses, 'address')}: `;
    await printText(`${source.label}: ${what}${verdict}\n`);
    return code;
  } finally {
    await source.close();
  }
}

function count(number: number, noun: string): string {
  const plural = noun.endsWith('s') ? `${noun}es` : `${noun}s`;
  return `${number} ${number === 1 ? noun : plural}`;
}
