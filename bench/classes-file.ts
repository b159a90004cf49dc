/** A process that does nothing but bring the classes of one file into force, so that its peak of memory is theirs. */
import { statSync } from 'node:fs';
import { openSource } from '../classes/source/open.js';
import type { FileFigures } from './classes.js';
import { ClassesRig } from './classes-rig.js';

const path = process.argv[2]!;
const startMs = performance.now();
const source = openSource({ url: `file:${path}`, queries: {} });
const { tree, errors } = await source.load(Date.now());
if (tree === null) throw new Error(errors[0]);
new ClassesRig().publish(tree);
const seconds = Math.round(performance.now() - startMs) / 1000;
await source.close();
const figures: FileFigures = {
  classes: tree.classes.length,
  fileBytes: statSync(path).size,
  seconds,
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
