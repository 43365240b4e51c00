import type { Secret } from '../../util/secret.ts';

/** After how long a connection to RabbitMQ counts as dead. */
export interface ConnectionTimeouts {
  /** Between two heartbeats; two that do not come end it. */
  readonly heartbeatSeconds: number;
  /** How long opening it may take, until RabbitMQ has let it in. */
  readonly connectTimeoutMs: number;
}

/** RabbitMQ's own proposal for heartbeats is a minute: what is cut without a word would be noticed after two or three. */
export const CONNECTION_TIMEOUTS: ConnectionTimeouts = { heartbeatSeconds: 10, connectTimeoutMs: 10_000 };

/** The URL with the heartbeat in it, unless it names one itself: amqplib takes it from nowhere else. */
export function withHeartbeat(amqpUrl: Secret, { heartbeatSeconds }: ConnectionTimeouts): string {
  const url = new URL(amqpUrl.reveal());
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(heartbeatSeconds));
  return url.href;
}
