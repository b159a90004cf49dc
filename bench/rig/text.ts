/** A document for people at a terminal. */
import Table from 'cli-table3';
import { type BenchDocument, missingColumns } from './document.js';
import { machineRows, parameterRows, tablesOf } from './tables.js';

const STYLE = { head: [], border: [], compact: true };

export function documentText(document: BenchDocument): string {
  const parts = [
    `weir bench ${document.bench}: ${document.measures}`,
    pairs([...parameterRows(document.parameters), ...machineRows(document)]),
  ];
  for (const { title, head, rows } of tablesOf(document)) {
    const table = new Table({ head: [...head], style: STYLE });
    table.push(...rows.map((row) => [...row]));
    parts.push(`\n${title}\n${table.toString()}`);
  }
  for (const { name, missing } of missingColumns(document)) parts.push(`missing: ${name}: ${missing}`);
  parts.push(...document.notes.map((note) => `note: ${note}`));
  parts.push(...(document.model?.assumptions ?? []).map((sentence) => `the model assumes: ${sentence}`));
  return `${parts.join('\n')}\n`;
}

function pairs(rows: readonly [string, string][]): string {
  const width = rows.reduce((most, [name]) => Math.max(most, name.length), 0);
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}
