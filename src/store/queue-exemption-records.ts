import type { VersionedCollection } from './versioned-collection.ts';

/** A queue that an operator wants to stay for a while: agents do not delete it, and nothing that would delete it. */
export interface QueueExemption {
  /** The queue's whole name. */
  readonly queue: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  readonly namespace: string;
  /** Until when it holds, in ms since the epoch; 0: an operator ended it. */
  readonly untilMs: number;
  /** What the operator gave as the reason; null: nothing. */
  readonly reason: string | null;
  /** The `untilMs` that the latest `queue.exempted` event has; 0: there was none. */
  readonly announcedUntilMs: number;
}

/** Which exemptions to list. */
export interface ExemptionPage {
  /** Only those after the exemption of this queue. */
  readonly after?: string;
  /** The most exemptions to return. */
  readonly limit: number;
}

/** The exemptions, by queue. The same failures as `NamespaceStore`. */
export interface QueueExemptionStore extends VersionedCollection<QueueExemption> {
  /** In an order of the adapter's own, in which each name has one place. */
  list(options: ExemptionPage): Promise<QueueExemption[]>;
}

/** Whether an exemption holds at an instant, in ms since the epoch. */
export function isInForce({ untilMs }: Pick<QueueExemption, 'untilMs'>, nowMs: number): boolean {
  return nowMs < untilMs;
}

/** The exemptions that hold at an instant, in ms since the epoch, by queue. */
export function exemptionsInForce(exemptions: readonly QueueExemption[], nowMs: number): Map<string, QueueExemption> {
  return new Map(exemptions.filter((one) => isInForce(one, nowMs)).map((one) => [one.queue, one]));
}
