import type { DeletionReason, NamespaceRecord } from '../../store/namespace-record.ts';
import { withBlock } from './deletion-block.ts';
import { deletionStartsMs, type Intervals } from '../timing.ts';

/** What a deletion depends on besides the record. */
export interface DeletionContext {
  readonly nowMs: number;
  readonly intervals: Intervals;
  /** How long before `expires` the expiry is announced, in ms. */
  readonly announceBeforeMs: number;
}

/**
 * What to do about the expiry and deletion of a namespace:
 * - `announce`: write this record, then announce the expiry;
 * - `begin`: write this record, announce the expiry unless that was done, and delete;
 * - `delete`: go on with the deletion;
 * - `wait`: nothing.
 */
export type DeletionDecision =
  | { readonly action: 'announce'; readonly record: NamespaceRecord }
  | { readonly action: 'begin'; readonly record: NamespaceRecord; readonly isAnnounced: boolean }
  | { readonly action: 'delete' }
  | { readonly action: 'wait' };

/**
 * The agent that served a release deletes the namespace right after the reply, which may travel over a connection that
 * the deletion closes. Other agents take the deletion over after this many ms, in case that agent died.
 */
export const RELEASE_TAKEOVER_MS = 1_000;

/** Decides about the expiry and deletion of a namespace, from the record alone. */
export function decideDeletion(
  record: NamespaceRecord,
  { nowMs, intervals, announceBeforeMs }: DeletionContext,
): DeletionDecision {
  if (record.state === 'deleted') return { action: 'wait' };
  if (record.state === 'expiring') {
    const mayDelete = record.deletionReason !== 'released' || record.expiresMs + RELEASE_TAKEOVER_MS <= nowMs;
    return { action: mayDelete ? 'delete' : 'wait' };
  }
  const isAnnounced = record.expiryAnnouncedForMs === record.expiresMs;
  if (deletionStartsMs(record.expiresMs, intervals) <= nowMs) {
    return { action: 'begin', record: afterDeletionStart(record, 'expired', nowMs), isAnnounced };
  }
  if (isAnnounced || record.expiresMs - announceBeforeMs > nowMs) return { action: 'wait' };
  return {
    action: 'announce',
    record: { ...record, revision: record.revision + 1, expiryAnnouncedForMs: record.expiresMs },
  };
}

/** The next revision of a record whose deletion begins now. */
export function afterDeletionStart(
  record: NamespaceRecord,
  deletionReason: DeletionReason,
  nowMs: number,
): NamespaceRecord {
  const expiresMs = Math.min(record.expiresMs, nowMs);
  return {
    ...record,
    revision: record.revision + 1,
    state: 'expiring',
    deletionReason,
    expiresMs,
    expiryAnnouncedForMs: expiresMs,
    recheckAtMs: null,
  };
}

/** The tombstone of a namespace whose deletion was complete at `nowMs`. */
export function toTombstone(record: NamespaceRecord, nowMs: number): NamespaceRecord {
  return { ...withBlock(record, undefined), state: 'deleted', deletedAtMs: nowMs, contact: null };
}
