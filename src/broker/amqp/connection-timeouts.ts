import type { Secret } from '../../util/secret.ts';

/** After how long a connection to RabbitMQ counts as lost. */
export interface ConnectionTimeouts {
  /** The pause between two heartbeats; two that are missing close the connection. */
  readonly heartbeatSeconds: number;
  /** How long opening may take, login included. */
  readonly connectTimeoutMs: number;
}

/** RabbitMQ proposes a heartbeat of a minute: a cut without a packet would be detected after two or three minutes. */
export const CONNECTION_TIMEOUTS: ConnectionTimeouts = { heartbeatSeconds: 10, connectTimeoutMs: 10_000 };

/** The URL with the heartbeat, unless it has one: amqplib reads the heartbeat from the URL only. */
export function withHeartbeat(amqpUrl: Secret, { heartbeatSeconds }: ConnectionTimeouts): string {
  const url = new URL(amqpUrl.reveal());
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(heartbeatSeconds));
  return url.href;
}
