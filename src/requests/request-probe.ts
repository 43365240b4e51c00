import type { ChannelModel, ConfirmChannel, MessageProperties } from 'amqplib';
import { closeConnection } from '../broker/amqp/connection.ts';
import { openRecoveringConnection, type RecoveringConnectionOptions } from '../broker/amqp/recovering-connection.ts';
import { DIRECT_REPLY_TO } from '../contract/names.ts';
import { REQUEST_CONTENT_TYPE } from '../contract/signature.ts';
import type { Clock } from '../util/clock.ts';
import { waitAtMost } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { NACKED } from './outgoing.ts';
import { checkRoundTrip, PROBE_EVERY_MS, PROBE_PATIENCE_MS, type RoundTripCheck } from './round-trip.ts';

/** How long a stop waits for the last answer, in ms. */
const LAST_ANSWER_MS = 500;

/** The correlation ids of probes begin with this. */
const CORRELATION_PREFIX = 'probe/';

/** A probe that is lost is followed by another one after this, in ms. The connection is opened again then. */
const GIVE_UP_MS = 2 * PROBE_PATIENCE_MS;

/** Sends requests of an agent to itself, as a client does: which agent answers does not matter. */
export interface RequestProbe {
  check(): RoundTripCheck;
  /** The broker has delivered a request to this agent. */
  recordTaken(): void;
  /** The broker has confirmed a reply of this agent. */
  recordReplied(): void;
  /** Sends no more, and waits a moment for the last answer, so that none is left in the queue. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

interface RequestProbeOptions extends RecoveringConnectionOptions {
  readonly rpcExchange: string;
  /** The RabbitMQ user of the agent: RabbitMQ lets no other user name it as the sender of a message. */
  readonly agentUser: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  /** Whether this agent takes requests. Otherwise a probe could stay in the queue until it is dead-lettered. */
  readonly isConsuming: () => boolean;
  /** A probe was answered after this many ms. */
  readonly onAnswered: (durationMs: number) => void;
  /** The connection was opened, or opened again. */
  readonly onConnected: (opened: ChannelModel) => void;
}

interface Probe {
  readonly correlationId: string;
  readonly sentMs: number;
}

/**
 * Starts to probe over a connection of its own. A probe is a `ping`, which agents of every version answer, and which needs no
 * right that the agent does not have for its replies.
 */
export async function startRequestProbe(options: RequestProbeOptions): Promise<RequestProbe> {
  const { rpcExchange, agentUser, clock, log, isConsuming, onAnswered, onConnected } = options;
  const { connection, sockets } = await openRecoveringConnection(options);
  let channel: ConfirmChannel | undefined;
  let model: ChannelModel | undefined;
  let sent: Probe | undefined;
  let probes = 0;
  let waitingSinceMs: number | undefined;
  let isAccepted = false;
  let isRefused = false;
  let answeredMs: number | undefined;
  let wasAnswered = false;
  let takenMs: number | undefined;
  let repliedMs: number | undefined;
  let onLastAnswer: (() => void) | undefined;

  /** Late answers count too: they show that requests are answered now. */
  const onReply = ({ correlationId }: Pick<MessageProperties, 'correlationId'>): void => {
    answeredMs = clock.monotonicMs();
    wasAnswered = true;
    waitingSinceMs = undefined;
    if (sent === undefined || sent.correlationId !== correlationId) return;
    onAnswered(answeredMs - sent.sentMs);
    sent = undefined;
    onLastAnswer?.();
  };
  const open = async (opened: ChannelModel): Promise<void> => {
    model = opened;
    onConnected(opened);
    try {
      const made = await opened.createConfirmChannel();
      made.on('error', (error: Error) =>
        log.warn({ code: 'probe_channel_error', err: error }, 'error on a probe channel'),
      );
      made.on('close', () => void opened.close().catch(() => undefined));
      await made.consume(DIRECT_REPLY_TO, (message) => message !== null && onReply(message.properties), {
        noAck: true,
      });
      sent = undefined;
      channel = made;
      tick();
    } catch (error) {
      log.warn({ code: 'probe_channel_error', err: error }, 'could not open a probe channel; will retry');
      void opened.close().catch(() => undefined);
    }
  };
  const send = (through: ConfirmChannel): void => {
    probes += 1;
    const probe: Probe = { correlationId: `${CORRELATION_PREFIX}${probes}`, sentMs: clock.monotonicMs() };
    sent = probe;
    waitingSinceMs ??= probe.sentMs;
    isAccepted = false;
    isRefused = false;
    try {
      through.publish(
        rpcExchange,
        'ping',
        Buffer.from('{}'),
        {
          replyTo: DIRECT_REPLY_TO,
          correlationId: probe.correlationId,
          contentType: REQUEST_CONTENT_TYPE,
          userId: agentUser,
          persistent: false,
        },
        // A nack means that the queue is full, or has no leader.
        (error: Error | null) => {
          if (sent !== probe || (error !== null && error.message !== NACKED)) return;
          isAccepted = true;
          isRefused = error !== null;
        },
      );
    } catch {
      // The channel is closing.
      sent = undefined;
    }
  };
  const tick = (): void => {
    const nowMs = clock.monotonicMs();
    if (!isConsuming()) {
      // Another part says so. When it takes requests again, that has to be proved again.
      waitingSinceMs = undefined;
      answeredMs = undefined;
      sent = undefined;
      return;
    }
    waitingSinceMs ??= channel === undefined ? nowMs : undefined;
    if (channel === undefined) return;
    if (sent === undefined) return send(channel);
    if (nowMs - sent.sentMs < GIVE_UP_MS) return;
    if (isAccepted && !isRefused) return send(channel);
    // Nothing is confirmed on it any more; or, where the queue had no leader, RabbitMQ 3.10 refuses everything on it.
    channel = undefined;
    void model?.close().catch(() => undefined);
  };

  connection.on('error', (error: Error) =>
    log.warn({ code: 'probe_channel_error', err: error }, 'error on the probe connection'),
  );
  connection.on('disconnect', () => {
    channel = undefined;
    model = undefined;
    sent = undefined;
  });
  connection.on('connect', (opened: ChannelModel) => void open(opened));
  await connection.waitForConnect();
  const timer = setInterval(tick, PROBE_EVERY_MS).unref();

  return {
    check: () =>
      checkRoundTrip({ waitingSinceMs, isAccepted, answeredMs, wasAnswered, takenMs, repliedMs }, clock.monotonicMs()),
    recordTaken: () => void (takenMs = clock.monotonicMs()),
    recordReplied: () => void (repliedMs = clock.monotonicMs()),
    async stop() {
      clearInterval(timer);
      if (sent === undefined) return;
      await waitAtMost(LAST_ANSWER_MS, new Promise<void>((resolve) => void (onLastAnswer = resolve)));
    },
    async close() {
      clearInterval(timer);
      await closeConnection(connection, sockets);
    },
  };
}

/** Whether a message is a probe of an agent of this RabbitMQ user. */
export function isProbe(
  { routingKey, properties }: { readonly routingKey: string; readonly properties: Partial<MessageProperties> },
  agentUser: string,
): boolean {
  const { userId, correlationId } = properties as { userId?: unknown; correlationId?: unknown };
  return (
    routingKey === 'ping' &&
    userId === agentUser &&
    typeof correlationId === 'string' &&
    correlationId.startsWith(CORRELATION_PREFIX)
  );
}
