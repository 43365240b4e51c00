import { once } from 'node:events';
import type { ChannelModel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib';
import type { FileSettings } from '../../src/config/settings.ts';
import { type InstallationOptions, makeInstallation, TEAM, teamNamespace, type TestInstallation } from './agent.ts';
import { manage, openConnection } from './broker.ts';
import { createCondition } from './condition.ts';

/** Thresholds that a test reaches with a few messages. */
export const LOW_THRESHOLDS: Partial<FileSettings> = {
  warnAtMessages: 20,
  deleteAtMessages: 50,
  surveyIntervalSeconds: 2,
};

/** The Taskcluster client with which such an installation sends mails. */
export const NOTIFIER = { clientId: 'pulse-agent/notifier', accessToken: 'test-notifier-0000000000000000' };

export { waitUntil } from './wait-until.ts';

/** An agent event as it was published. */
export interface CollectedEvent {
  readonly type: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The agent events of an installation, from when {@link collectEvents} was called. */
export interface CollectedEvents {
  readonly seen: readonly CollectedEvent[];
  /** The first event of this type about this subject, now or later. */
  of(type: string, subject: string): Promise<CollectedEvent>;
}

/** Makes an installation with low thresholds, whose agent may send mails. */
export async function makeWatchedInstallation(options: InstallationOptions = {}): Promise<TestInstallation> {
  const installation = await makeInstallation({
    ...options,
    settings: { ...LOW_THRESHOLDS, ...options.settings },
    environment: {
      TASKCLUSTER_CLIENT_ID: NOTIFIER.clientId,
      TASKCLUSTER_ACCESS_TOKEN: NOTIFIER.accessToken,
      ...options.environment,
    },
  });
  installation.taskcluster.setClient({ ...NOTIFIER, scopes: ['notify:email:*'] });
  return installation;
}

/** Collects agent events, as an operator would. An agent must have declared the topology. */
export async function collectEvents({ vhost, names }: TestInstallation): Promise<CollectedEvents> {
  const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, names.eventsExchange, '#');
  const seen: CollectedEvent[] = [];
  const condition = createCondition();
  const take = (message: ConsumeMessage | null): void => {
    if (message === null) return;
    const { type, subject, data } = JSON.parse(message.content.toString()) as CollectedEvent;
    seen.push({ type, subject, data });
    condition.notify();
  };
  await channel.consume(queue, take, { noAck: true });
  return {
    seen,
    of: (type, subject) =>
      condition.wait(() => seen.find((event) => event.type === type && event.subject === subject), {
        failure: () => {
          const types = seen.map((event) => `${event.type} ${event.subject}`);
          return `No ${type} of ${subject} arrived. Seen: ${types.join(', ') || 'nothing'}`;
        },
      }),
  };
}

/** A claimed namespace and a connection with its credentials. */
export interface Team {
  readonly namespace: string;
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  /** Publishes this many messages to any queue, and waits until the broker has them. */
  fill(queue: string, messages: number, bytes?: number, options?: Options.Publish): Promise<void>;
}

/** Claims a namespace and connects with its credentials. */
export async function claimTeam(installation: TestInstallation, contact?: string): Promise<Team> {
  const namespace = teamNamespace();
  const rpc = await installation.rpc(TEAM);
  const asked = { namespace, ...(contact === undefined ? {} : { contact }) };
  const { connectionString } = await rpc.request('claim-namespace', asked);
  const connection = await openConnection(connectionString);
  // The administrator publishes: a claimed account may not use the default exchange.
  const filler = await (await openConnection(installation.vhost.amqpUrl)).createConfirmChannel();
  return {
    namespace,
    connection,
    channel: await connection.createConfirmChannel(),
    async fill(queue, messages, bytes = 10, publishing = {}) {
      const content = Buffer.alloc(bytes);
      for (let sent = 0; sent < messages; sent += 1) {
        if (!filler.sendToQueue(queue, content, publishing)) await once(filler, 'drain');
      }
      await filler.waitForConfirms();
    },
  };
}

/** Whether the broker has this queue. */
export async function queueExists({ broker, config }: TestInstallation, queue: string): Promise<boolean> {
  const path = `/queues/${encodeURIComponent(config.vhost)}/${encodeURIComponent(queue)}`;
  return (await manage(broker, 'GET', path, undefined, [404])).status === 200;
}
