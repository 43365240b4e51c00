import type { EndReason, NamespaceRecord } from '../../store/namespace-record.ts';
import { deletionStartsMs, type Intervals } from '../timing.ts';

/** What the end of a namespace depends on besides the record. */
export interface DeletionContext {
  readonly nowMs: number;
  readonly intervals: Intervals;
  /** How long before its end it is told of, in ms. */
  readonly noticeMs: number;
}

/**
 * What to do about the end of a namespace:
 * - `textOf`: write this record, then tell that it is about to end;
 * - `begin`: write this record, tell unless that was done, and delete;
 * - `delete`: go on with the deletion;
 * - `wait`: nothing.
 */
export type DeletionDecision =
  | { readonly action: 'tell'; readonly record: NamespaceRecord }
  | { readonly action: 'begin'; readonly record: NamespaceRecord; readonly isTold: boolean }
  | { readonly action: 'delete' }
  | { readonly action: 'wait' };

/**
 * Who releases a namespace deletes it right after the reply, which may travel over a connection that the deletion closes.
 * If that agent died, others take it up after so long, in ms.
 */
export const RELEASER_FIRST_MS = 1_000;

/** Decides about the end of a namespace from the record alone. */
export function decideDeletion(
  record: NamespaceRecord,
  { nowMs, intervals, noticeMs }: DeletionContext,
): DeletionDecision {
  if (record.state === 'deleted') return { action: 'wait' };
  if (record.state === 'expiring') {
    const mayDelete = record.endReason !== 'released' || record.expiresMs + RELEASER_FIRST_MS <= nowMs;
    return { action: mayDelete ? 'delete' : 'wait' };
  }
  const isTold = record.expiryNotifiedForMs === record.expiresMs;
  if (deletionStartsMs(record.expiresMs, intervals) <= nowMs) {
    return { action: 'begin', record: afterDeletionStart(record, 'expired', nowMs), isTold };
  }
  if (isTold || record.expiresMs - noticeMs > nowMs) return { action: 'wait' };
  return {
    action: 'tell',
    record: { ...record, revision: record.revision + 1, expiryNotifiedForMs: record.expiresMs },
  };
}

/** The next revision of a record whose deletion begins now. */
export function afterDeletionStart(record: NamespaceRecord, endReason: EndReason, nowMs: number): NamespaceRecord {
  const expiresMs = Math.min(record.expiresMs, nowMs);
  return {
    ...record,
    revision: record.revision + 1,
    state: 'expiring',
    endReason,
    expiresMs,
    expiryNotifiedForMs: expiresMs,
    recheckAtMs: null,
  };
}

/** The tombstone of a namespace of which nothing is left at `nowMs`. */
export function tombstoneOf(record: NamespaceRecord, nowMs: number): NamespaceRecord {
  return { ...record, revision: record.revision + 1, state: 'deleted', deletedAtMs: nowMs, contact: null };
}
