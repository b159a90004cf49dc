/** Opens a spool, writes something into it, says so, and keeps it until it is killed. */
import { Spool } from '../../src/accounting/spool.js';
import { amountsOf } from './parts.js';

const FROM_MS = Date.UTC(2026, 0, 31, 12);
const spool = new Spool({
  path: process.argv[2]!,
  intervalMs: 60_000,
  bytesMax: 2 ** 30,
  warn: console.error,
});
const span = { fromMs: FROM_MS, untilMs: FROM_MS + 1000, nextMs: FROM_MS + 1000 };
spool.record({ run: 'holder', number: 1, span, amounts: amountsOf({ held: [1, 1, 0, 0] }) });
process.send!('ready');
// The channel to the parent keeps this alive, and ends it with the parent.
process.on('disconnect', () => process.exit(0));
