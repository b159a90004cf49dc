/** The documents that the API's `/reload`, `/classes/plan` and `/classes/apply` answer with. */
import { differenceDocument, formatDifference } from '../../classes/difference.js';
import type { FeedPlan, FeedResult } from './class-feed.js';

/** `epoch` is the one in force. */
export function planReport(plan: FeedPlan, epoch: number, asText: boolean): object {
  const { difference, refusal, nextExpiryMs, warnings } = plan;
  const what = asText ? { text: formatDifference(difference) } : differenceDocument(difference);
  return { epoch, ...what, refusal, nextExpiryMs, warnings };
}

/** The same once it has been done. */
export function applyReport(result: FeedResult, asText: boolean): object {
  return planReport(result, result.summary.epoch, asText);
}

/** Counts only. */
export function reloadReport({ summary, warnings }: FeedResult): object {
  return { ...summary, warnings };
}
