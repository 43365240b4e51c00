import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import { WITHHELD } from './decide-notice.ts';
import type { NoticeMessage, Notifier } from './notifier.ts';

/** How many messages an agent sends to one contact within {@link LIMIT_WINDOW_MS}; further ones are gathered meanwhile. */
export const MAX_MESSAGES = 30;

/** In ms. Taskcluster limits mails over the same time, and nothing else. */
export const LIMIT_WINDOW_MS = 10 * 60_000;

/** How many contacts are remembered. */
const MAX_CONTACTS = 10_000;

/**
 * A notifier that sends at most {@link MAX_MESSAGES} to one contact within {@link LIMIT_WINDOW_MS}: no owner has confirmed
 * that it is the right one. It remembers what this agent has sent since its start.
 */
export function limitMessages(notifier: Notifier, clock: Pick<Clock, 'monotonicMs'>): Notifier {
  const isRecent = (sentMs: number): boolean => clock.monotonicMs() - sentMs < LIMIT_WINDOW_MS;
  const sent = new BoundedMap<string, readonly number[]>({
    maxSize: MAX_CONTACTS,
    isExpired: (times) => !times.some(isRecent),
  });
  const recent = (contact: string): number[] => (sent.get(contact) ?? []).filter(isRecent);
  return {
    isLimited: (contact) => recent(contact).length >= MAX_MESSAGES,
    async send(message, signal) {
      const contact = contactOf(message);
      const times = recent(contact);
      if (times.length >= MAX_MESSAGES) return { is: 'limited', code: WITHHELD };
      // It counts while it is sent: others may be sent at the same time.
      const nowMs = clock.monotonicMs();
      sent.set(contact, [...times, nowMs]);
      const outcome = await notifier.send(message, signal);
      const hasArrived = outcome.is === 'sent' || (outcome.is === 'unavailable' && outcome.mayHaveArrived);
      if (!hasArrived) sent.set(contact, without(recent(contact), nowMs));
      return outcome;
    },
  };
}

/** The contact that a message goes to. */
function contactOf(message: NoticeMessage): string {
  switch (message.medium) {
    case 'mail':
      return message.address;
    case 'matrix':
      return `matrix:${message.roomId}`;
    case 'slack':
      return `slack:${message.channelId}`;
  }
}

/** Without one of these instants. */
function without(times: readonly number[], time: number): number[] {
  const index = times.indexOf(time);
  return index === -1 ? [...times] : times.toSpliced(index, 1);
}
