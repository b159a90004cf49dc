/**
 * Another program at the user database: gives subscribers another plan, one row and one commit at a time, at a steady rate.
 * Its arguments: file, changes a second, seconds, and the ids. Prints `{"committed", "seconds"}`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';

const [path, rate, seconds, idsText] = process.argv.slice(2);
const ids = idsText!.split(',');
const changes = Number(rate) * Number(seconds);
const database = new Database(path!);
const change = database.prepare(
  "UPDATE subscribers SET plan = CASE plan WHEN 'small' THEN 'large' ELSE 'small' END WHERE id = ?",
);
const startMs = performance.now();
let committed = 0;
while (committed < changes) {
  const due = Math.min(changes, ((performance.now() - startMs) * Number(rate)) / 1000);
  while (committed < due) committed += change.run(ids[committed % ids.length]).changes;
  await sleep(1);
}
const elapsed = (performance.now() - startMs) / 1000;
database.close();
process.stdout.write(`${JSON.stringify({ committed, seconds: elapsed })}\n`);
