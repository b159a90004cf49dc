/** What the accounting thread starts with. */
import { runAccountingThread } from './thread.js';

await runAccountingThread();
