import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { openRpc } from '../src/client/rpc.ts';
import { contractNames } from '../src/contract/names.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const NAMESPACE = 'taskcluster-team-a-watched';
const QUEUE = `queue/${NAMESPACE}/jobs`;
const EXCHANGE = `exchange/${NAMESPACE}/jobs`;
const CONTACT = 'team-a@example.com';

const LOOK_EVERY_MS = 100;

/** So many messages are published at once while a queue is filled. */
const PORTION = 50;
const PORTION_EVERY_MS = 50;

/** An agent event, as far as it is shown. */
interface Shown {
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly messages?: number };
}

/**
 * What becomes of a queue that nobody reads, as it happens: warning, mail, deletion. Every step checks what it says.
 *
 * @throws Error when one does not do it.
 */
export async function walkThroughWatching(
  installation: LocalInstallation,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  const { taskcluster, config } = installation;
  const { warnAtMessages, deleteAtMessages } = config;
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };
  const untilMail = async (number: number, tell: (line: string) => void): Promise<void> => {
    const mine = () => taskcluster.mails.filter(({ address }) => address === CONTACT);
    while (mine().length < number) await sleep(LOOK_EVERY_MS, undefined, { signal });
    tell(`mail to ${CONTACT}: ${mine()[number - 1]?.subject ?? ''}`);
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
    /** Publishes a portion at a time until an event of this type comes. */
    const fillUntil = async (type: string): Promise<Shown> => {
      const enough = new AbortController();
      const seen = nextEvent(type).finally(() => enough.abort());
      while (!enough.signal.aborted && published < 2 * deleteAtMessages) {
        for (let sent = 0; sent < PORTION; sent += 1) channel.publish(EXCHANGE, '', Buffer.from(String(published)));
        published += PORTION;
        await channel.waitForConfirms();
        await sleep(PORTION_EVERY_MS, undefined, { signal });
      }
      return await seen;
    };

    await steps.run(`Fill a queue that nobody reads; owners are warned at ${warnAtMessages} messages`, async (tell) => {
      const { data } = await fillUntil('queue.warning');
      tell(`event queue.warning: ${QUEUE} held ${data.messages} messages`);
      await untilMail(1, tell);
    });
    await steps.run(`Fill it on; queues are deleted at ${deleteAtMessages} messages`, async (tell) => {
      const { data } = await fillUntil('queue.deleted');
      tell(`event queue.deleted: it held ${data.messages} messages`);
      await untilMail(2, tell);
      const looking = await connection.createChannel();
      looking.on('error', () => undefined);
      await assert.rejects(looking.checkQueue(QUEUE), /NOT_FOUND/);
      tell('the queue is gone, and its exchange is still there');
      await (await connection.createChannel()).checkExchange(EXCHANGE);
    });
    await rpc.request('release-namespace', { namespace: NAMESPACE }, signal);
  } finally {
    for (const connection of connections) await connection.close().catch(() => undefined);
  }
}

/** Listens to the events about the queue with the credentials of the namespace, as its owner may. */
async function readEvents(channel: Channel, agentId: string): Promise<(type: string) => Promise<Shown>> {
  const own = `queue/${NAMESPACE}/events`;
  await channel.assertQueue(own, { exclusive: true });
  await channel.bindQueue(own, contractNames(agentId).eventsExchange, 'queue.#');
  const seen: Shown[] = [];
  const listeners = new Set<() => void>();
  await channel.consume(
    own,
    (message) => {
      if (message === null) return;
      const event = JSON.parse(message.content.toString()) as Shown;
      if (event.subject === QUEUE) seen.push(event);
      for (const listener of listeners) listener();
    },
    { noAck: true },
  );
  return (type) =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = seen.find((event) => event.type === type);
        if (found === undefined) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
    });
}
