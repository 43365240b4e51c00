import type { AgentContext } from '../context.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Notice } from '../store/notice-records.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import { ATTEMPT_LEASE_MS } from './decide-notice.ts';
import {
  claimMember,
  decideBatch,
  decideMember,
  freeMember,
  reserveLeader,
  speaksFor,
  startBatch,
} from './gather-notices.ts';
import { forEachMember, type NoticeAttempts, SEND_CONCURRENCY } from './notice-attempts.ts';

interface BatchSenderParts {
  readonly store: Pick<AgentContext['store'], 'notices' | 'namespaces'>;
  readonly clock: AgentContext['clock'];
  readonly attempts: NoticeAttempts;
}

/** The sending of messages about several queues. */
export interface BatchSender {
  /** Sends one message for several notices to one contact, whose turn it is. */
  send(group: readonly [Notice, ...Notice[]], contact: string, signal: AbortSignal): Promise<void>;
  /** Sends a message again. */
  resume(batch: Notice, signal: AbortSignal): Promise<void>;
  /** Decides about notices for which others were to speak. */
  decide(members: readonly Notice[]): Promise<void>;
}

/**
 * One notice speaks for the others. It is reserved, the others are claimed for it, then it is written with the list of those
 * that were, and sent. It speaks for a notice where both records say so. An agent that finds a claimed notice which is not
 * listed raises the revision of the one that was to speak before it frees the other: the agent that claimed it can no longer
 * write its list then, however long it was suspended.
 */
export function createBatchSender({ store, clock, attempts }: BatchSenderParts): BatchSender {
  const { notices, namespaces } = store;

  const fence = async (leader: Notice): Promise<boolean> =>
    await notices.replace({ ...leader, revision: leader.revision + 1 }, leader.revision);

  /** The notices that were claimed for another one, as they are written. */
  const claim = async (members: readonly Notice[], leader: Notice, contact: string): Promise<Notice[]> => {
    const claimed: Notice[] = [];
    // The rest is gathered next: the list must be written before the reservation ends.
    const untilMs = clock.monotonicMs() + ATTEMPT_LEASE_MS / 2;
    await forEachConcurrently(members, SEND_CONCURRENCY, async (member) => {
      if (clock.monotonicMs() > untilMs) return;
      const next = claimMember(member, leader, contact, clock.nowMs());
      if (await notices.replace(next, member.revision)) claimed.push(next);
    });
    return claimed;
  };

  /** Those of a message that was dissolved: otherwise each would be found when it is due. */
  const freeMembers = async (batch: Notice): Promise<void> => {
    await forEachMember(notices, batch, (member) =>
      notices.replace(freeMember(member, clock.nowMs()), member.revision),
    );
  };

  const decideOne = async (member: Notice, leader: Notice | undefined, fenced: Set<string>): Promise<void> => {
    const isFenced = leader === undefined || (fenced.has(leader.id) && !speaksFor(leader, member.id));
    const decision = decideMember(member, isFenced ? undefined : leader, clock.nowMs());
    switch (decision.action) {
      case 'fence':
        // Where another agent has written it meanwhile, the next sweep decides by that.
        if (leader === undefined || !(await fence(leader))) return;
        fenced.add(leader.id);
        await notices.replace(freeMember(member, clock.nowMs()), member.revision);
        return;
      case 'settle':
        await attempts.conclude(decision.notice, member);
        return;
      case 'wait':
      case 'free':
        await notices.replace(decision.notice, member.revision);
    }
  };

  return {
    async send([first, ...others], contact, signal) {
      const leader = reserveLeader(first, clock.nowMs());
      if (!(await notices.replace(leader, first.revision))) return;
      const members = await claim(others, leader, contact);
      signal.throwIfAborted();
      const started = startBatch(leader, members, contact, clock.nowMs());
      if (await notices.replace(started, leader.revision)) await attempts.make(started, signal);
    },
    async resume(batch, signal) {
      const records = new Map<string, NamespaceRecord | undefined>();
      for (const { namespace } of batch.batch?.parts ?? []) records.set(namespace, await namespaces.get(namespace));
      const { action, notice } = decideBatch(batch, (namespace) => records.get(namespace), clock.nowMs());
      if (action === 'fail') {
        if (await attempts.conclude(notice, batch)) await attempts.settleMembers(notice);
        return;
      }
      if (!(await attempts.write(notice, batch))) return;
      if (action === 'send') await attempts.make(notice, signal);
      else await freeMembers(batch);
    },
    async decide(members) {
      const fenced = new Set<string>();
      // As of one moment: what is written depends on its revision.
      const leaders = new Map<string, Promise<Notice | undefined>>();
      await forEachConcurrently(members, SEND_CONCURRENCY, async (member) => {
        if (member.batchOf === undefined) return;
        const leader = leaders.get(member.batchOf) ?? notices.get(member.batchOf);
        leaders.set(member.batchOf, leader);
        await decideOne(member, await leader, fenced);
      });
    },
  };
}
