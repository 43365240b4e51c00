import { randomUUID } from 'node:crypto';
import type { Channel, ConfirmChannel } from 'amqplib';
import { DIRECT_REPLY_TO } from '../src/contract/names.ts';
import { signRequest } from '../src/contract/signature.ts';
import { bookClaim, type RunContext } from './run-context.ts';
import { keepConnection } from './kept-connection.ts';
import type { SecretScan } from './secret-scan.ts';
import { Violation } from './violation.ts';
import { HOLDER, PREFIX } from './settings.ts';
import { pause } from './pause.ts';

const EVERY_MS = 250;

/** The namespaces that the probe claims in turn. */
const NAMESPACES = Array.from({ length: 8 }, (_, index) => `${PREFIX}probe-${index}`);

/** A request without an answer is lost after this time, in ms: an agent that has it may stand still for most of it. */
export const LOST_AFTER_MS = 150_000;

/** Claims without the library: every request that RabbitMQ confirms is answered or dead-lettered. */
export interface Probe {
  /** Sends until `sending` aborts, and takes answers until `signal` aborts. */
  run(signal: AbortSignal, sending: AbortSignal): Promise<void>;
  /** Reads the dead letters until the signal aborts. */
  readDeadLetters(signal: AbortSignal): Promise<void>;
  /** How many confirmed requests have neither an answer nor a dead letter. */
  open(): number;
  /** The first request that is open for too long, at this instant. */
  lost(nowMs: number): string | undefined;
}

interface OpenRequest {
  readonly namespace: string;
  readonly sentMs: number;
  isConfirmed: boolean;
}

export function createProbe(context: RunContext, scan: SecretScan): Probe {
  const { world, figures, report } = context;
  const requests = new Map<string, OpenRequest>();
  const lost = (nowMs: number): string | undefined =>
    [...requests].find(([, { isConfirmed, sentMs }]) => isConfirmed && nowMs - sentMs > LOST_AFTER_MS)?.[0];

  const answered = (correlationId: string, type: string, content: Buffer): void => {
    if (!requests.delete(correlationId)) return;
    const body = JSON.parse(content.toString()) as Record<string, string>;
    if (type === 'result') {
      const { namespace = '', connectionString = '', reclaimAt = '' } = body;
      bookClaim(context, { namespace, connectionString, reclaimAt });
    } else {
      figures.count(`probe: answered ${body['code']}`);
      scan.check(content.toString(), 'An error');
    }
  };

  const send = (channel: ConfirmChannel, namespace: string): void => {
    const correlationId = randomUUID();
    const body = Buffer.from(JSON.stringify({ namespace, expires: new Date(Date.now() + 600_000).toISOString() }));
    const headers = signRequest({
      method: 'claim-namespace',
      body,
      replyTo: DIRECT_REPLY_TO,
      correlationId,
      audience: world.audience,
      credentials: world.taskcluster.credentials(HOLDER),
    });
    const request = { namespace, sentMs: Date.now(), isConfirmed: false };
    requests.set(correlationId, request);
    figures.count('probe: requests');
    const properties = { contentType: 'application/json', replyTo: DIRECT_REPLY_TO, correlationId, headers };
    channel.publish(world.names.rpcExchange, 'claim-namespace', body, properties, (refusal: unknown) => {
      if (refusal) requests.delete(correlationId);
      else request.isConfirmed = true;
    });
  };

  return {
    lost,
    open: () => [...requests.values()].filter(({ isConfirmed }) => isConfirmed).length,
    async run(signal, sending) {
      let next = 0;
      await keepConnection(
        world.claimantUrl,
        async (connection) => {
          const channel = await connection.createConfirmChannel();
          const closed = new AbortController();
          channel.on('error', () => undefined);
          channel.once('close', () => {
            closed.abort();
            // An answer has no way any more: it is not known whether there was one.
            figures.count('probe: requests cut off with their connection', requests.size);
            requests.clear();
          });
          await channel.consume(
            DIRECT_REPLY_TO,
            (message) => {
              if (message === null) return;
              const { correlationId, type } = message.properties as { correlationId: string; type: string };
              answered(correlationId, type, message.content);
            },
            { noAck: true },
          );
          void (async () => {
            while (!closed.signal.aborted && !signal.aborted) {
              if (!sending.aborted) send(channel, NAMESPACES[(next += 1) % NAMESPACES.length] as string);
              await pause(EVERY_MS, signal);
              const found = lost(Date.now());
              if (found === undefined) continue;
              report(
                new Violation('requests', `The request ${found} was neither answered nor dead-lettered.`, [found]),
              );
            }
          })();
        },
        signal,
      );
    },
    async readDeadLetters(signal) {
      await keepConnection(
        world.adminRequestUrl,
        async (connection) => {
          const channel: Channel = await connection.createChannel();
          await channel.consume(world.names.deadQueue, (message) => {
            if (message === null) return;
            const { correlationId } = message.properties as { correlationId?: string };
            if (correlationId !== undefined) requests.delete(correlationId);
            const reason = String(message.properties.headers?.['x-pulse-agent-reason'] ?? 'by RabbitMQ');
            figures.count(`dead letters: ${reason.slice(0, 60)}`);
            channel.ack(message);
          });
        },
        signal,
      );
    },
  };
}
