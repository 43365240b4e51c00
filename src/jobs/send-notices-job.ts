import type { SendNotices } from '../notices/send-notices.ts';
import type { RecurringJob } from './jobs.ts';

/** An indexed look, so often that no notice need ask for it. */
const SEND_EVERY_MS = 1_000;

/** Sends the notices that are due. */
export function sendNoticesJob(notices: Pick<SendNotices, 'sweep'>): RecurringJob {
  return { name: 'send-notices', everyMs: SEND_EVERY_MS, run: (signal) => notices.sweep(signal) };
}
