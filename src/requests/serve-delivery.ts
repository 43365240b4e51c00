import { isMethodName } from '../contract/methods.ts';
import { isAgentError } from '../util/agent-errors.ts';
import type { Clock } from '../util/clock.ts';
import { type Deadline, startDeadline } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { type Answer, type AnsweredRequest, REQUESTER_GONE } from './answer.ts';
import type { Acknowledgement } from './consumer.ts';
import { deadLetterCopy } from './dead-letter.ts';
import type { Outbox } from './outbox.ts';
import type { Delivery } from './request.ts';

/** What {@link createServeDelivery} works with. */
export interface ServeDeliveryParts {
  readonly answer: (delivery: Delivery, deadline: Deadline) => Promise<AnsweredRequest>;
  readonly outbox: Pick<Outbox, 'send'>;
  readonly deadExchange: string;
  /** Whether an agent sent it to find out whether requests are answered. */
  readonly isProbe: (delivery: Delivery) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * A request was served.
   *
   * @param durationMs from the delivery until the broker confirmed what was sent
   * @param isReplied whether that was a reply
   */
  readonly onServed: (method: string, outcome: string, durationMs: number, isReplied: boolean) => void;
  /** How long an answer may take, in ms. After that it is the error `Unavailable`. */
  readonly deadlineMs: number;
  /** Whether another agent takes requests, which may reach what this one does not. */
  readonly hasOthers: () => Promise<boolean>;
}

interface Sent {
  readonly acknowledgement: Acknowledgement;
  readonly sent: 'replied' | 'dead-lettered' | 'dropped' | 'requester-gone';
  /** Why there was no reply, where the answer does not say it. */
  readonly reason?: string;
}

/**
 * Makes the function that serves one delivery: it produces the answer, sends it or a dead letter, and returns how to
 * acknowledge the delivery. A delivery is acknowledged only after the broker has confirmed what was sent: a request is
 * answered or dead-lettered, never lost. The function does not throw.
 */
export function createServeDelivery(parts: ServeDeliveryParts): (delivery: Delivery) => Promise<Acknowledgement> {
  const { answer, outbox, deadExchange, isProbe, clock, log, onServed, deadlineMs, hasOthers } = parts;

  const answerInTime = async (delivery: Delivery): Promise<AnsweredRequest> => {
    const deadline = startDeadline(deadlineMs);
    try {
      return await answer(delivery, deadline);
    } finally {
      deadline.clear();
    }
  };

  const sendDeadLetter = async (delivery: Delivery, reason: string): Promise<Sent> => {
    // Its agent has stopped or reconnected, and does not wait for the answer.
    if (isProbe(delivery)) return { acknowledgement: 'ack', sent: 'dropped' };
    const outcome = await outbox.send(deadLetterCopy(deadExchange, delivery, reason));
    // If the copy cannot be sent, the original goes: the queue's own dead-lettering needs no publishing.
    return { acknowledgement: outcome === 'confirmed' ? 'ack' : 'reject', sent: 'dead-lettered' };
  };

  const sendReply = async (delivery: Delivery, { address, node, reply }: Answer & { kind: 'reply' }): Promise<Sent> => {
    const outcome = await outbox.send({
      exchange: '',
      routingKey: address,
      content: reply.content,
      options: { ...reply.properties, persistent: false },
      node,
    });
    if (outcome === 'confirmed') return { acknowledgement: 'ack', sent: 'replied' };
    // The request was served, and no process is left to read the reply.
    if (outcome === 'requester-gone') return { acknowledgement: 'ack', sent: outcome, reason: REQUESTER_GONE };
    return await sendDeadLetter(delivery, `the reply could not be delivered to its reply_to (${outcome})`);
  };

  const send = async (delivery: Delivery, answered: Answer): Promise<Sent> => {
    switch (answered.kind) {
      case 'drop':
        return { acknowledgement: 'ack', sent: 'dropped' };
      case 'requester-gone':
        return { acknowledgement: 'ack', sent: answered.kind };
      case 'dead-letter':
        return await sendDeadLetter(delivery, answered.reason);
      case 'reply':
        return await sendReply(delivery, answered);
    }
  };

  return async (delivery) => {
    // Copies of dead letters also reach the queue for unknown methods. The queue for dead letters keeps them.
    if (delivery.exchange === deadExchange) return 'ack';
    const startedMs = clock.monotonicMs();
    try {
      const answered = await answerInTime(delivery);
      if (
        mayGoToAnother(delivery, answered, clock.monotonicMs() - startedMs) &&
        (await hasOthers().catch(() => false))
      ) {
        const durationMs = clock.monotonicMs() - startedMs;
        onServed('claim-namespace', 'given-back', durationMs, false);
        logGivenBack(log, delivery, answered, durationMs);
        return 'requeue';
      }
      const sent = await send(delivery, answered.answer);
      for (const work of answered.afterReply) work();
      // Each agent sends one every two seconds: they are no traffic.
      if (isProbe(delivery)) return sent.acknowledgement;
      const durationMs = clock.monotonicMs() - startedMs;
      // Any text can be a routing key, so unknown ones share one label.
      const method = isMethodName(answered.method) ? answered.method : 'unknown';
      const isReplied = sent.sent === 'replied';
      onServed(method, isReplied ? answered.outcome : sent.sent, durationMs, isReplied);
      logRequest(log, delivery, answered, sent, durationMs);
      return sent.acknowledgement;
    } catch (error) {
      // The reply could not be sent: another agent, or this one, serves the request again.
      if (isAgentError(error, 'Stopping') || isAgentError(error, 'BrokerUnavailable')) return 'requeue';
      log.error(
        { code: 'request_dead_lettered', err: error },
        'could not serve a request; it goes to the dead letters',
      );
      return 'reject';
    }
  };
}

/** A client waits 15 s: the other agent needs its share of them. In ms. */
const GIVE_BACK_WITHIN_MS = 6_000;

/**
 * Whether a claim failed because this agent does not reach RabbitMQ's management API, or lacks a secret. A claim may be
 * served again at any time. It is given back once: where no agent can serve it, the second one says so.
 */
function mayGoToAnother({ redelivered }: Delivery, { method, cause }: AnsweredRequest, elapsedMs: number): boolean {
  if (redelivered || method !== 'claim-namespace' || elapsedMs > GIVE_BACK_WITHIN_MS) return false;
  return (['BrokerUnavailable', 'BrokerRefused', 'SecretMissing'] as const).some((code) => isAgentError(cause, code));
}

function logGivenBack(log: Log, delivery: Delivery, answered: AnsweredRequest, durationMs: number): void {
  const { namespace, clientId, cause } = answered;
  const correlationId = textOf(delivery.properties.correlationId);
  log.warn(
    { code: 'request_given_back', namespace, clientId, correlationId, durationMs: Math.round(durationMs), err: cause },
    'left a first claim to another agent',
  );
}

/** What the line of a request says: never a body, a header or an error. */
interface RequestLine {
  readonly method: string;
  readonly namespace: string | undefined;
  readonly clientId: string | undefined;
  readonly userId: string | undefined;
  readonly correlationId: string | undefined;
  readonly outcome: string;
  readonly sent: string;
  readonly durationMs: number;
  readonly redelivered?: true;
  readonly reason?: string;
}

/** One line for each request. */
function logRequest(
  log: Log,
  delivery: Delivery,
  answered: AnsweredRequest,
  { sent, reason }: Sent,
  durationMs: number,
): void {
  const line: RequestLine = {
    method: answered.method.slice(0, 64),
    namespace: answered.namespace,
    clientId: answered.clientId,
    userId: textOf(delivery.properties.userId),
    correlationId: textOf(delivery.properties.correlationId),
    outcome: answered.outcome,
    sent,
    durationMs: Math.round(durationMs * 10) / 10,
    ...(delivery.redelivered ? { redelivered: true } : {}),
    ...(answered.answer.kind === 'reply' ? {} : { reason: answered.answer.reason }),
    ...(reason === undefined ? {} : { reason }),
  };
  if (answered.cause === undefined) log.info({ code: 'request_served', ...line }, 'request');
  else log.error({ code: 'request_failed', ...line, err: answered.cause }, 'request');
}

function textOf(property: unknown): string | undefined {
  return typeof property === 'string' ? property : undefined;
}
