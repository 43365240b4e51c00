import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { openRpc } from '../src/client/rpc.ts';
import { contractNames } from '../src/contract/names.ts';
import { watchQueue } from './demo-status.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const NAMESPACE = 'taskcluster-team-a-watched';
const QUEUE = `queue/${NAMESPACE}/jobs`;
const EXCHANGE = `exchange/${NAMESPACE}/jobs`;
const CONTACT = 'team-a@example.com';

const POLL_EVERY_MS = 100;

/** How many messages are published together while a queue is filled. */
const BATCH_SIZE = 50;
const BATCH_EVERY_MS = 50;

/** How often one message is published while its owner watches. */
const TRICKLE_EVERY_MS = 40;

/** The fields of an agent event that the demo prints. */
interface ShownEvent {
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly messages?: number };
}

/**
 * Shows what happens to a queue without a consumer: warning, mail, deletion. Each step checks its outcome.
 *
 * @throws Error when a step fails
 */
export async function demoQueues(installation: LocalInstallation, steps: Steps, signal: AbortSignal): Promise<void> {
  const { taskcluster, config } = installation;
  const { warnAtMessages, deleteAtMessages } = config;
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };
  const untilMail = async (number: number, print: (line: string) => void): Promise<void> => {
    const mine = () => taskcluster.mails.filter(({ address }) => address === CONTACT);
    while (mine().length < number) await sleep(POLL_EVERY_MS, undefined, { signal });
    print(`mail to ${CONTACT}: ${mine()[number - 1]?.subject ?? ''}`);
  };
  try {
    const rpc = await openRpc(await open(installation.claimantUrl), {
      credentials: taskcluster.credentials('team-a/service'),
    });
    const claim = await rpc.request('claim-namespace', { namespace: NAMESPACE, contact: CONTACT }, signal);
    const connection = await open(claim.connectionString);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(QUEUE);
    await channel.assertExchange(EXCHANGE, 'fanout');
    await channel.bindQueue(QUEUE, EXCHANGE, '');
    const nextEvent = await readEvents(await connection.createChannel(), config.id);
    let published = 0;
    /** Publishes one batch after the other until an event of this type arrives. */
    const fillUntil = async (type: string): Promise<ShownEvent> => {
      const enough = new AbortController();
      const seen = nextEvent(type).finally(() => enough.abort());
      while (!enough.signal.aborted && published < 2 * deleteAtMessages) {
        for (let sent = 0; sent < BATCH_SIZE; sent += 1) channel.publish(EXCHANGE, '', Buffer.from(String(published)));
        published += BATCH_SIZE;
        await channel.waitForConfirms();
        await sleep(BATCH_EVERY_MS, undefined, { signal });
      }
      return await seen;
    };

    await steps.run(`Watch a queue grow: pulse-agent status ${NAMESPACE} --watch`, async (print) => {
      const { clientId, accessToken } = taskcluster.credentials('team-a/service');
      const environment = {
        PULSE_AGENT_URL: installation.claimantUrl,
        TASKCLUSTER_CLIENT_ID: clientId,
        TASKCLUSTER_ACCESS_TOKEN: accessToken,
      };
      // Growth is known after ten seconds, and the warning is for the next step.
      const trickle = setInterval(() => {
        if (published < 0.8 * warnAtMessages) channel.publish(EXCHANGE, '', Buffer.from(String(published++)));
      }, TRICKLE_EVERY_MS);
      try {
        await watchQueue({ namespace: NAMESPACE, queue: QUEUE, environment }, hasForecast, print, signal);
      } finally {
        clearInterval(trickle);
      }
    });
    await steps.run(`Fill it faster; its owner is warned at ${warnAtMessages} messages`, async (print) => {
      const { data } = await fillUntil('queue.warning');
      print(`event queue.warning: ${QUEUE} held ${data.messages} messages`);
      await untilMail(1, print);
    });
    await steps.run(`Fill it further; it is deleted at ${deleteAtMessages} messages`, async (print) => {
      const { data } = await fillUntil('queue.deleted');
      print(`event queue.deleted: it held ${data.messages} messages`);
      await untilMail(2, print);
      const checking = await connection.createChannel();
      checking.on('error', () => undefined);
      await assert.rejects(checking.checkQueue(QUEUE), /NOT_FOUND/);
      print('the queue was deleted, and its exchange still exists');
      await (await connection.createChannel()).checkExchange(EXCHANGE);
    });
    await rpc.request('release-namespace', { namespace: NAMESPACE }, signal);
  } finally {
    for (const connection of connections) await connection.close().catch(() => undefined);
  }
}

/** Whether a row of the status says when the queue reaches its next threshold. */
function hasForecast(row: string): boolean {
  return / {2}in [0-9]/.test(row);
}

/** Consumes the events about the queue with the credentials of the namespace, as its owner may. */
async function readEvents(channel: Channel, agentId: string): Promise<(type: string) => Promise<ShownEvent>> {
  const own = `queue/${NAMESPACE}/events`;
  await channel.assertQueue(own, { exclusive: true });
  await channel.bindQueue(own, contractNames(agentId).eventsExchange, 'queue.#');
  const seen: ShownEvent[] = [];
  const listeners = new Set<() => void>();
  await channel.consume(
    own,
    (message) => {
      if (message === null) return;
      const event = JSON.parse(message.content.toString()) as ShownEvent;
      if (event.subject === QUEUE) seen.push(event);
      for (const listener of listeners) listener();
    },
    { noAck: true },
  );
  return (type) =>
    new Promise((resolve) => {
      const check = (): void => {
        const found = seen.find((event) => event.type === type);
        if (found === undefined) return;
        listeners.delete(check);
        resolve(found);
      };
      listeners.add(check);
      check();
    });
}
