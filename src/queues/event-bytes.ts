import type { QueueThresholds } from '../config/queue-rules.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';

/** The size of a queue for an event, where it is known. */
export function bytesOf({ bytes }: QueueAlert): { readonly bytes?: number } {
  return bytes === null ? {} : { bytes };
}

/** The thresholds in bytes for an event, where bytes are watched. */
export function byteLimitsOf({ warnAtBytes, deleteAtBytes }: QueueThresholds): {
  readonly warnAtBytes?: number;
  readonly deleteAtBytes?: number;
} {
  return warnAtBytes === null || deleteAtBytes === null ? {} : { warnAtBytes, deleteAtBytes };
}
