/**
 * A program that changes subscribers one row and one commit at a time, as fast as the database takes them. Its arguments:
 * file, seconds, subscribers. Prints `{"committed": …, "startNs": …}`, the latter of CLOCK_MONOTONIC, before the first commit.
 */
import { Editor } from './churn-database.js';

const [path, seconds, subscribers] = process.argv.slice(2);
const editor = new Editor(path!);
const startNs = Number(process.hrtime.bigint());
const endMs = performance.now() + Number(seconds) * 1000;
let committed = 0;
while (performance.now() < endMs) editor.change(committed++ % Number(subscribers));
editor.close();
process.stdout.write(`${JSON.stringify({ committed, startNs })}\n`);
