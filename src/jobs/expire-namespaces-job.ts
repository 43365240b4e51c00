import type { Expiry } from '../namespaces/deletion/expire.ts';
import type { RecurringJob } from './jobs.ts';

const EXPIRE_EVERY_MS = 1_000;

/** The notice comes at most this part of its time late. */
const NOTICE_PARTS = 60;
const MOST_OFTEN_MS = 1_000;
const LEAST_OFTEN_MS = 60_000;

/** Deletes what has expired or was released, and what others began to delete. */
export function expireNamespacesJob(expiry: Pick<Expiry, 'sweep'>): RecurringJob {
  return { name: 'expire-namespaces', everyMs: EXPIRE_EVERY_MS, run: (signal) => expiry.sweep(signal) };
}

/** Tells of what expires soon. */
export function announceExpiryJob(expiry: Pick<Expiry, 'tell'>, noticeMs: number): RecurringJob {
  const everyMs = Math.min(Math.max(noticeMs / NOTICE_PARTS, MOST_OFTEN_MS), LEAST_OFTEN_MS);
  return { name: 'tell-expiring', everyMs, run: (signal) => expiry.tell(signal) };
}
