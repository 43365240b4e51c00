import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Notice, NoticeBatch, NoticeItem } from '../store/notice-records.ts';
import {
  ABANDON_AFTER_MS,
  ATTEMPT_LEASE_MS,
  contactNow,
  failNotice,
  FOLLOW_MS,
  GATHER_MS,
  startAttempt,
  WITHHELD,
} from './decide-notice.ts';

/** A notice waits this long for others about the same change to the same contact while there come more, in ms. */
export const GATHER_AT_MOST_MS = 60_000;

/** How many notices one message speaks for. */
export const MAX_GATHERED = 1_000;

/** How many of them it lists; the rest is counted. */
export const MAX_LISTED = 25;

/** Notices that are further apart are not gathered, in ms: they are abandoned together. */
const MAX_APART_MS = 60 * 60_000;

/** What to do with the notices of one listing. */
export interface SortedNotices {
  /** To send on its own, because an earlier attempt with the same text may have arrived. */
  readonly alone: readonly Notice[];
  /** Those that speak for others, after an attempt. */
  readonly batches: readonly Notice[];
  /** Those for which another one speaks, or was to speak. */
  readonly members: readonly Notice[];
  /** Those that go to one contact about one kind of change: one message for each group. */
  readonly groups: readonly (readonly Notice[])[];
}

/**
 * Sorts the notices that are due. A group waits while there come more of its kind to its contact: until none came for
 * {@link GATHER_MS}, and at most {@link GATHER_AT_MOST_MS}.
 *
 * @param listed those that are due, and those that will be within {@link GATHER_MS}
 */
export function sortNotices(listed: readonly Notice[], nowMs: number): SortedNotices {
  const due = listed.filter(({ nextAttemptMs }) => nextAttemptMs <= nowMs);
  const members = due.filter(({ batchOf }) => batchOf !== undefined);
  const batches = due.filter(({ batch }) => batch !== undefined);
  const single = due.filter(({ batch, batchOf }) => batch === undefined && batchOf === undefined);
  const [alone, free] = [single.filter(mayBeRepeated), single.filter((notice) => !mayBeRepeated(notice))];
  const growing = new Set(listed.filter((notice) => isNew(notice) && notice.nextAttemptMs > nowMs).map(keyOf));
  const groups = [...groupBy(free, keyOf)].filter(([key, group]) => {
    const firstMs = Math.min(...group.map(({ nextAttemptMs }) => nextAttemptMs));
    return !growing.has(key) || nowMs - firstMs >= GATHER_AT_MOST_MS - GATHER_MS;
  });
  return { alone, batches, members, groups: groups.map(([, group]) => group) };
}

/**
 * Adds to a group those of its kind to its contact that were withheld, because the contact had got many messages: now that
 * there is one, it is about them, too.
 *
 * @param waiting what is due later
 */
export function withWithheld(group: readonly Notice[], waiting: readonly Notice[]): readonly Notice[] {
  const [first] = group;
  if (first === undefined) return group;
  const known = new Set(group.map(({ id }) => id));
  const withheld = waiting.filter(
    (notice) =>
      notice.lastError === WITHHELD &&
      notice.batch === undefined &&
      notice.batchOf === undefined &&
      !mayBeRepeated(notice) &&
      !known.has(notice.id) &&
      keyOf(notice) === keyOf(first),
  );
  return [...group, ...withheld];
}

function mayBeRepeated({ inProgress, mayHaveArrived }: Notice): boolean {
  return inProgress || mayHaveArrived;
}

function isNew({ attempts, batchOf, batch }: Notice): boolean {
  return attempts === 0 && batchOf === undefined && batch === undefined;
}

/** What one text can be about: queues with another consequence are another message. */
function keyOf({ kind, contact, onOvergrown }: Notice): string {
  return JSON.stringify([kind, contact, onOvergrown ?? 'delete']);
}

/** Splits notices to one contact into those that one message speaks for; the first of each is the one that speaks. */
export function splitGroup(group: readonly Notice[]): (readonly [Notice, ...Notice[]])[] {
  const chunks: [Notice, ...Notice[]][] = [];
  // The youngest one speaks: it is abandoned last. All agents choose the same one.
  for (const notice of group.toSorted((a, b) => b.seenMs - a.seenMs || (a.id < b.id ? -1 : 1))) {
    const chunk = chunks.at(-1);
    const fits = chunk !== undefined && chunk.length < MAX_GATHERED && chunk[0].seenMs - notice.seenMs <= MAX_APART_MS;
    if (fits) chunk.push(notice);
    else chunks.push([notice]);
  }
  return chunks;
}

/** The notice that will speak for others, as it is written before they are claimed: no other agent uses it meanwhile. */
export function reserveLeader(leader: Notice, nowMs: number): Notice {
  return { ...leader, revision: leader.revision + 1, state: 'gathered', nextAttemptMs: nowMs + ATTEMPT_LEASE_MS };
}

/** A notice for which another one is to speak. It does so only once it lists this one. */
export function claimMember(member: Notice, leader: Notice, contact: string, nowMs: number): Notice {
  const nextAttemptMs = nowMs + ATTEMPT_LEASE_MS + FOLLOW_MS;
  return { ...member, revision: member.revision + 1, state: 'gathered', batchOf: leader.id, contact, nextAttemptMs };
}

/** The first attempt of a notice that speaks for others, as it must be written before it is made. */
export function startBatch(leader: Notice, members: readonly Notice[], contact: string, nowMs: number): Notice {
  return startAttempt({ ...leader, state: 'gathered', contact, batch: batchFor(leader, members) }, nowMs);
}

function batchFor(leader: Notice, members: readonly Notice[]): NoticeBatch {
  const all = [leader, ...members];
  const parts = [...groupBy(all, ({ namespace, incarnation }) => JSON.stringify([namespace, incarnation]))].map(
    ([, notices]) => {
      const [{ namespace, incarnation }] = notices;
      return { namespace, incarnation, notices: notices.flatMap(({ id }) => (id === leader.id ? [] : [id])) };
    },
  );
  return { queues: all.length, parts, listed: all.toSorted(byUrgency).slice(0, MAX_LISTED).map(itemOf) };
}

/** Those that are deleted first, then the deepest ones. */
function byUrgency(a: Notice, b: Notice): number {
  const [one, other] = [a.forecast?.reachedMs ?? Infinity, b.forecast?.reachedMs ?? Infinity];
  if (one !== other) return one - other;
  return b.messages - a.messages || (a.queue < b.queue ? -1 : 1);
}

function itemOf(notice: Notice): NoticeItem {
  const { queue, messages, bytes, seenMs, warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = notice;
  const limits = { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes };
  const { onOvergrown, oldestMs, idleSinceMs, expiresMs, forecast, peakMessages, peakBytes } = notice;
  return {
    queue,
    messages,
    bytes,
    seenMs,
    ...limits,
    ...(onOvergrown === undefined ? {} : { onOvergrown }),
    ...(oldestMs === undefined ? {} : { oldestMs }),
    ...(idleSinceMs === undefined ? {} : { idleSinceMs }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
    ...(forecast === undefined ? {} : { forecast }),
    ...(peakMessages === undefined ? {} : { peakMessages }),
    ...(peakBytes === undefined ? {} : { peakBytes }),
  };
}

/** Whether a notice speaks for another one. */
export function speaksFor({ batch }: Notice, id: string): boolean {
  return batch?.parts.some(({ notices }) => notices.includes(id)) ?? false;
}

/** What to do with a notice that speaks for others and is due again, and the notice as it must be written first. */
export interface BatchDecision {
  readonly action: 'send' | 'fail' | 'dissolve';
  readonly notice: Notice;
}

/**
 * Decides about a notice that speaks for others and is due again. Its text stays as it is, so that Taskcluster recognizes it.
 * It is dissolved where one of its namespaces has another contact by now, or has ended: the others must not read of its
 * queues. Then each notice is decided about on its own.
 *
 * @param recordOf the record of each namespace
 */
export function decideBatch(
  notice: Notice,
  recordOf: (namespace: string) => NamespaceRecord | undefined,
  nowMs: number,
): BatchDecision {
  const isSame = (notice.batch?.parts ?? []).every(
    ({ namespace, incarnation }) => contactNow({ ...notice, incarnation }, recordOf(namespace)) === notice.contact,
  );
  if (!isSame) return { action: 'dissolve', notice: dissolveBatch(notice, nowMs) };
  if (nowMs >= notice.seenMs + ABANDON_AFTER_MS) {
    return { action: 'fail', notice: failNotice(notice, notice.lastError ?? 'NoAnswer', nowMs) };
  }
  return { action: 'send', notice: startAttempt(notice, nowMs) };
}

function dissolveBatch(leader: Notice, nowMs: number): Notice {
  const { batch: _, ...notice } = leader;
  const attempt = { inProgress: false, mayHaveArrived: false, nextAttemptMs: nowMs };
  return { ...notice, ...attempt, revision: notice.revision + 1, state: 'waiting' };
}

/**
 * What to do with a notice for which another one was to speak, when it is due.
 * - `settle`: that one is settled, and with it this one.
 * - `wait`: that one will be sent again.
 * - `fence`: that one does not list it yet: its agent has died, or must not list it any more. Raise its revision first.
 * - `free`: that one does not speak for it, and never will.
 */
export function decideMember(
  member: Notice,
  leader: Notice | undefined,
  nowMs: number,
): { readonly action: 'settle' | 'wait' | 'free'; readonly notice: Notice } | { readonly action: 'fence' } {
  if (leader !== undefined && speaksFor(leader, member.id)) {
    if (leader.settledMs !== null) return { action: 'settle', notice: settleMember(member, leader, nowMs) };
    const dueMs = Math.max(leader.nextAttemptMs, nowMs) + FOLLOW_MS;
    return { action: 'wait', notice: { ...member, revision: member.revision + 1, nextAttemptMs: dueMs } };
  }
  if (leader !== undefined && isReserved(leader)) return { action: 'fence' };
  return { action: 'free', notice: freeMember(member, nowMs) };
}

/** Whether it may still be written with a list: any other write ends the reservation. */
function isReserved({ state, batch, batchOf, inProgress }: Notice): boolean {
  return state === 'gathered' && batch === undefined && batchOf === undefined && !inProgress;
}

/** A notice for which no other one speaks any more. */
export function freeMember(claimed: Notice, nowMs: number): Notice {
  const { batchOf: _, ...member } = claimed;
  return { ...member, revision: member.revision + 1, state: 'waiting', nextAttemptMs: nowMs };
}

/** A notice after the one that speaks for it was settled. */
export function settleMember(member: Notice, { state, attempts, lastError }: Notice, nowMs: number): Notice {
  return { ...member, revision: member.revision + 1, state, attempts, lastError, settledMs: nowMs };
}

function groupBy<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, [Item, ...Item[]]> {
  const groups = new Map<string, [Item, ...Item[]]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}
