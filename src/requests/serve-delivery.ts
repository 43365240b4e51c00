import type { Clock } from '../util/clock.ts';
import { isMethodName } from '../contract/methods.ts';
import { isAgentError } from '../util/agent-errors.ts';
import { startDeadline } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import type { Answered } from './answer.ts';
import type { Verdict } from './consumer.ts';
import { deadLetterCopy } from './dead-letter.ts';
import type { Delivered, Outbox } from './outbox.ts';
import type { Delivery } from './request.ts';

/** Counts what became of requests. */
export interface RequestCounters {
  /** @param durationMs from the delivery until the broker has confirmed what was sent */
  count(method: string, outcome: string, durationMs: number): void;
}

/** What {@link createServeDelivery} works with. */
export interface ServeDeliveryParts {
  readonly answer: (delivery: Delivery, signal: AbortSignal) => Promise<Answered>;
  readonly outbox: Pick<Outbox, 'send'>;
  readonly deadExchange: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: RequestCounters;
  /** The time in which a request is answered, `Unavailable` at the latest, in ms. */
  readonly deadlineMs: number;
}

/**
 * Makes the function that serves one delivery to its end: answer, send the answer or a dead letter, and say what to do
 * with the delivery. It is acknowledged only when the broker has confirmed what was sent: a request is answered or
 * dead-lettered, never lost. It does not throw.
 */
export function createServeDelivery(parts: ServeDeliveryParts): (delivery: Delivery) => Promise<Verdict> {
  const { answer, outbox, deadExchange, clock, log, counters } = parts;

  const deadLetter = async (delivery: Delivery, reason: string): Promise<Verdict> => {
    const delivered = await outbox.send(deadLetterCopy(deadExchange, delivery, reason));
    // Where the copy cannot go the original can: the queue's own dead-lettering needs no publishing.
    return delivered === 'confirmed' ? 'ack' : 'reject';
  };

  const carryOut = async (delivery: Delivery, answered: Answered): Promise<{ verdict: Verdict; sent: string }> => {
    const { answer: what } = answered;
    switch (what.kind) {
      case 'drop':
        return { verdict: 'ack', sent: 'dropped' };
      case 'dead-letter':
        return { verdict: await deadLetter(delivery, what.reason), sent: 'dead-lettered' };
      case 'reply': {
        const { address, reply } = what;
        const delivered: Delivered = await outbox.send({
          exchange: '',
          routingKey: address.address,
          content: reply.content,
          // A live direct reply-to address is delivered and returned as well, so that there it would tell nothing.
          options: { ...reply.properties, mandatory: address.kind === 'queue', persistent: address.kind === 'queue' },
        });
        if (delivered === 'confirmed') return { verdict: 'ack', sent: 'replied' };
        const reason = `the reply could not be delivered to its reply_to (${delivered})`;
        return { verdict: await deadLetter(delivery, reason), sent: 'dead-lettered' };
      }
    }
  };

  const answerInTime = async (delivery: Delivery): Promise<Answered> => {
    const deadline = startDeadline(parts.deadlineMs);
    try {
      return await answer(delivery, deadline.signal);
    } finally {
      deadline.clear();
    }
  };

  return async (delivery) => {
    // The copies of dead letters pass by where unknown methods are answered; another queue keeps them.
    if (delivery.exchange === deadExchange) return 'ack';
    const startedMs = clock.monotonicMs();
    try {
      const answered = await answerInTime(delivery);
      const { verdict, sent } = await carryOut(delivery, answered);
      for (const work of answered.afterReply ?? []) work();
      // Any text may be a routing key, and each one that is counted by its name stays in memory.
      const method = isMethodName(answered.method) ? answered.method : 'unknown';
      const durationMs = clock.monotonicMs() - startedMs;
      counters.count(method, sent === 'replied' ? answered.outcome : sent, durationMs);
      tell(log, delivery, answered, sent, durationMs);
      return verdict;
    } catch (error) {
      if (isAgentError(error, 'Stopping')) return 'requeue';
      log.error(
        { code: 'request_dead_lettered', err: error },
        'could not serve a request; it goes to the dead letters',
      );
      return 'reject';
    }
  };
}

/** One line a request. */
function tell(log: Log, delivery: Delivery, answered: Answered, sent: string, durationMs: number): void {
  const line = {
    method: answered.method.slice(0, 64),
    namespace: answered.namespace,
    clientId: answered.clientId,
    userId: delivery.properties.userId as unknown,
    correlationId: delivery.properties.correlationId as unknown,
    outcome: answered.outcome,
    sent,
    durationMs: Math.round(durationMs * 10) / 10,
    ...(delivery.redelivered ? { redelivered: true } : {}),
    ...(answered.answer.kind === 'reply' ? {} : { reason: answered.answer.reason }),
  };
  if (answered.cause === undefined) log.info({ code: 'request_served', ...line }, 'request');
  else log.error({ code: 'request_failed', ...line, err: answered.cause }, 'request');
}
