/**
 * Documents as files: NAME.json and NAME.html, and an index over several. A page needs neither network nor script; its
 * plots are drawn here, as SVG.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchDocument, missingColumns } from './document.js';
import { plotSvg } from './plot.js';
import { machineRows, parameterRows, type TextTable, tablesOf } from './tables.js';

const CSS = `
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #d8dde3; white-space: nowrap; }
th { border-bottom-width: 2px; } .missing { color: #a33; }
figure { margin: 1.5rem 0; } svg { max-width: 100%; height: auto; }
`;

/** Writes NAME.json and NAME.html. The folder is made when there is none. */
export async function writePage(folder: string, document: BenchDocument): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${document.bench}.json`), `${JSON.stringify(document, null, 1)}\n`);
  await writeFile(join(folder, `${document.bench}.html`), documentPage(document));
}

/** What an index says of a benchmark that has no page. */
export interface NotRun {
  readonly bench: string;
  readonly reason: string;
}

export async function writeIndex(
  folder: string,
  documents: readonly BenchDocument[],
  notRun: readonly NotRun[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'index.html'), indexPage(documents, notRun));
}

export function documentPage(document: BenchDocument): string {
  const { bench, measures, parameters, plots, notes, model } = document;
  const missing = missingColumns(document).map(
    ({ name, missing }) => `<p class="missing">Missing: ${escapeHtml(name)}: ${escapeHtml(missing)}</p>`,
  );
  const body = [
    `<h1>weir bench ${escapeHtml(bench)}</h1>`,
    `<p>${escapeHtml(measures)}</p>`,
    ...missing,
    ...plots.map((plot) => `<figure>${plotSvg(plot)}</figure>`),
    ...tablesOf(document).map(tableHtml),
    ...section('Notes', notes),
    ...section('What the model assumes', model?.assumptions ?? []),
    tableHtml({ title: 'Parameters', head: ['name', 'value'], rows: parameterRows(parameters) }),
    tableHtml({ title: 'Machine', head: ['what', 'is'], rows: machineRows(document) }),
  ];
  return pageHtml(`weir bench ${bench}`, body);
}

function indexPage(documents: readonly BenchDocument[], notRun: readonly NotRun[]): string {
  const items = documents.map(({ bench, measures }) => {
    const name = escapeHtml(bench);
    return `<li><a href="${name}.html">${name}</a> (<a href="${name}.json">JSON</a>): ${escapeHtml(measures)}</li>`;
  });
  const reasons = notRun.map(
    ({ bench, reason }) => `<li class="missing">${escapeHtml(bench)}: not run: ${escapeHtml(reason)}</li>`,
  );
  const first = documents[0];
  const machine =
    first === undefined
      ? []
      : [tableHtml({ title: 'Machine', head: ['what', 'is'], rows: machineRows(first) })];
  return pageHtml('weir bench', ['<h1>weir bench</h1>', '<ul>', ...items, ...reasons, '</ul>', ...machine]);
}

function pageHtml(title: string, body: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${CSS}</style>
</head>
<body>
${body.join('\n')}
</body>
</html>
`;
}

function section(title: string, sentences: readonly string[]): string[] {
  if (sentences.length === 0) return [];
  const items = sentences.map((sentence) => `<li>${escapeHtml(sentence)}</li>`);
  return [`<h2>${escapeHtml(title)}</h2>`, `<ul>${items.join('')}</ul>`];
}

function tableHtml({ title, head, rows }: TextTable): string {
  const line = (tag: 'th' | 'td', cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const body = rows.map((row) => line('td', row)).join('\n');
  return `<h2>${escapeHtml(title)}</h2>
<div class="wide"><table><thead>${line('th', head)}</thead><tbody>
${body}
</tbody></table></div>`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
