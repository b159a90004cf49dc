/**
 * Who may import whom, and what every source file has to be like. Rules that only a README states are forgotten; these
 * read the sources themselves. Each check is a function of text, so that the last tests can show that it can fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

interface SourceFile {
  /** From the package's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

interface Rule {
  /** What the rule is about: files whose path starts with this. */
  readonly from: string;
  /** Folders and files of the package that may be imported; the folder itself always may. */
  readonly local: readonly string[];
  /** Packages and node modules that may be imported; 'any' for all. */
  readonly packages: readonly string[] | 'any';
}

const CODE_FOLDERS = ['src', 'classes', 'bench', 'test'];
const LINES_MAX = 500;

/** The first rule that fits a file holds. What lies in no rule's folder may import what it likes. */
const RULES: readonly Rule[] = [
  { from: 'src/errors.ts', local: [], packages: [] },
  { from: 'src/htb/', local: ['src/shm/', 'src/errors.ts'], packages: [] },
  { from: 'src/shm/', local: ['src/errors.ts'], packages: [] },
  // What reaches C finds the library on disk and loads it; ffi-napi and ref-napi come through node:module.
  {
    from: 'src/rings/native.ts',
    local: ['src/rings/', 'src/errors.ts'],
    packages: ['node:fs', 'node:module', 'node:path', 'node:url', 'node:util'],
  },
  {
    from: 'src/rings/xdp.ts',
    local: ['src/rings/', 'src/errors.ts'],
    packages: ['node:path', 'node:util'],
  },
  { from: 'src/rings/', local: ['src/errors.ts'], packages: [] },
  // The address parser is for the frame builder; the worker does not load it.
  {
    from: 'src/dataplane/frame-',
    local: ['src/dataplane/', 'src/rings/', 'src/shm/', 'src/errors.ts'],
    packages: ['ipaddr.js'],
  },
  // The thread's shell takes messages between steps, never events within one.
  {
    from: 'src/dataplane/thread.ts',
    local: ['src/dataplane/', 'src/htb/', 'src/rings/', 'src/shm/', 'src/errors.ts'],
    packages: ['node:worker_threads'],
  },
  {
    from: 'src/dataplane/',
    local: ['src/htb/', 'src/rings/', 'src/shm/', 'src/errors.ts'],
    packages: [],
  },
  { from: 'classes/', local: ['src/errors.ts'], packages: 'any' },
  {
    from: 'src/control/',
    local: [
      'src/accounting/',
      'src/config/',
      'src/metrics/',
      'src/htb/',
      'src/rings/',
      'src/shm/',
      'src/dataplane/counters.ts',
      'src/dataplane/thread-contract.ts',
      'src/errors.ts',
      'classes/',
    ],
    packages: 'any',
  },
  {
    from: 'src/sim/',
    local: [
      'src/control/',
      'src/dataplane/',
      'src/htb/',
      'src/rings/',
      'src/shm/',
      'src/errors.ts',
      'classes/',
    ],
    packages: [],
  },
  { from: 'src/', local: ['src/', 'classes/', 'bench/'], packages: 'any' },
  { from: 'bench/', local: ['src/', 'classes/'], packages: 'any' },
];

const root = packageRoot();
const files = CODE_FOLDERS.flatMap(sourcesBelow);
const test = suite('architecture');

test('the sources are found', () => {
  for (const folder of CODE_FOLDERS) assert.ok(files.some(({ path }) => path.startsWith(`${folder}/`)));
  assert.ok(files.length > 50);
});

test('imports follow the rules', () => {
  assert.equal(files.flatMap(forbiddenImports), []);
});

test('every folder with code has a README', () => {
  const folders = new Set(files.map(({ path }) => posix.dirname(path)));
  const missing = [...folders].filter((folder) => !hasReadme(folder));
  assert.equal(missing, []);
});

test('every source file is tidy', () => {
  assert.equal(files.flatMap(untidiness), []);
});

// ---- the checks can fail -------------------------------------------------------------------------------

const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['src/htb/a.ts', "import { Worker } from '../dataplane/worker.js';"],
  ['src/htb/sharing/a.ts', "import { readFileSync } from 'node:fs';"],
  ['src/htb/a.ts', "import type { ClassTree } from '../../classes/model.js';"],
  ['src/shm/a.ts', "export { Htb } from '../htb/htb.js';"],
  ['src/rings/a.ts', "import { Subject } from 'rxjs';"],
  ['src/dataplane/a.ts', "import 'convict';"],
  ['src/dataplane/a.ts', "const { Publisher } = await import('../control/publisher.js');"],
  ['src/dataplane/frame-a.ts', "import { parse } from 'yaml';"],
  ['src/dataplane/worker.ts', "import ipaddr from 'ipaddr.js';"],
  ['classes/a.ts', "import {\n  Worker,\n} from '../src/dataplane/worker.js';"],
  ['src/control/a.ts', "import { runSim } from '../cli/sim.js';"],
  ['src/sim/a.ts', "import { Command } from 'commander';"],
  ['src/cli/a.ts', "import { randomTree } from '../../test/oracle/random-tree.js';"],
];

for (const [path, text] of FORBIDDEN) {
  test(`refused in ${path}: ${text.replace(/\s+/g, ' ')}`, () => {
    assert.is(forbiddenImports({ path, text }).length, 1);
  });
}

test('allowed imports are allowed', () => {
  const allowed: readonly (readonly [string, string])[] = [
    ['src/htb/sharing/a.ts', "import { Word } from '../../shm/tree-layout.js';"],
    ['src/htb/a.ts', "import { usageError } from '../errors.js';"],
    ['src/dataplane/a.ts', "import { Htb } from '../htb/htb.js';"],
    ['src/cli/a.ts', "const { benchCore } = await import('../../bench/core.js');"],
    ['test/a.test.ts', "import { suite } from 'uvu';"],
  ];
  for (const [path, text] of allowed) assert.equal(forbiddenImports({ path, text }), []);
});

test('untidy files are found', () => {
  const untidy: readonly (readonly [string, string])[] = [
    ['src/a.ts', '\n'.repeat(LINES_MAX + 1)],
    ['src/a.ts', `// TO${'DO'}: later`],
    ['src/a.ts', `const x = y as${' any'};`],
    ['src/a.ts', `// @ts-${'ignore'}`],
    ['test/a.test.ts', `test${'.only'}('x', () => {});`],
    ['test/a.test.ts', `test${'.skip'}('x', () => {});`],
  ];
  for (const [path, text] of untidy) assert.is(untidiness({ path, text }).length, 1, text.trim());
  assert.equal(untidiness({ path: 'src/a.ts', text: `// as${' any'} reader knows\n` }), []);
});

test.run();

// ---- what is checked -----------------------------------------------------------------------------------

function forbiddenImports(file: SourceFile): string[] {
  const rule = RULES.find(({ from }) => file.path.startsWith(from));
  if (rule === undefined) return [];
  return importsOf(file.text)
    .filter((name) => !isAllowed(rule, file.path, name))
    .map((name) => `${file.path} imports ${name}`);
}

function isAllowed(rule: Rule, importer: string, name: string): boolean {
  const target = resolveImport(importer, name);
  if (target === null) return rule.packages === 'any' || rule.packages.includes(name);
  if (target.startsWith('src/cli/') && !importer.startsWith('src/cli/')) return false;
  return [rule.from, ...rule.local].some((prefix) => target.startsWith(prefix));
}

/** What a file names in import, export and dynamic import. */
function importsOf(text: string): string[] {
  const found = withoutComments(text).matchAll(/\b(?:from|import)\s*\(?\s*'([^'\n]+)'/g);
  return [...found].map((match) => match[1]!);
}

/** Path of an imported file from the package's root; null for a package or a node module. */
function resolveImport(importer: string, name: string): string | null {
  if (!name.startsWith('.')) return null;
  return posix.join(posix.dirname(importer), name).replace(/\.js$/, '.ts');
}

function untidiness({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const lines = text.split('\n').length - 1;
  if (lines > LINES_MAX) found.push(`${path} has ${lines} lines`);
  // Put together from parts, because this file is looked at too.
  const notes = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
  if (notes.test(text)) found.push(`${path} leaves a note of what is to be done`);
  if (/@ts-(ignore|nocheck|expect-error)/.test(text)) found.push(`${path} switches the type check off`);
  if (/\bas any\b/.test(withoutComments(text))) found.push(`${path} casts a type away`);
  // What a machine cannot run is left out visibly, with the reason.
  const leavesOut = /\.only\(/.test(text) || (/\.skip\(/.test(text) && !text.includes('skipped: '));
  if (path.endsWith('.test.ts') && leavesOut) found.push(`${path} leaves tests out`);
  return found;
}

/** Good enough for weir's own sources: no string in them holds the start of a comment next to an import or a cast. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** A folder of tests may be told of in the README of the folder above it. */
function hasReadme(folder: string): boolean {
  if (existsSync(join(root, folder, 'README.md'))) return true;
  return folder.startsWith('test/') && existsSync(join(root, 'test', 'README.md'));
}

function sourcesBelow(folder: string): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => ({
      path: `${folder}/${name.split(sep).join('/')}`,
      text: readFileSync(join(root, folder, name), 'utf8'),
    }));
}

/** The tests run compiled, somewhere below the folder with package.json. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above the compiled tests');
    folder = parent;
  }
  return folder;
}
