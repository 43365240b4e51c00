import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { newNotice } from '../../src/notices/decide-notice.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import type { Store } from '../../src/store/store.ts';
import {
  type InstallationOptions,
  makeInstallation,
  TEAM,
  teamNamespace,
  type TestInstallation,
} from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import { unique } from '../support/folders.ts';
import { linesWith } from '../support/test-log.ts';

const CLIENT = { clientId: 'pulse-agent', accessToken: randomBytes(20).toString('hex') };
const WITH_CLIENT = {
  environment: { TASKCLUSTER_CLIENT_ID: CLIENT.clientId, TASKCLUSTER_ACCESS_TOKEN: CLIENT.accessToken },
};
const CONTACT = 'the.owner@example.org';
const ROOM = '!secretRoom:example.org';
const CHANNEL = 'C0SECRET';

interface Scene {
  readonly installation: TestInstallation;
  readonly store: Store;
  /** The agent events of the types `notice.…` so far. */
  readonly events: { data: Record<string, unknown> }[];
  /** Resolves at the first of them. */
  readonly firstEvent: Promise<unknown>;
  /** Adds a notice to the owner of a namespace; its contact is {@link CONTACT} when none is given. */
  add(contact?: string): Promise<Notice>;
}

async function start(options: InstallationOptions, scopes: string[]): Promise<Scene> {
  const installation = await makeInstallation(options);
  installation.taskcluster.setClient({ ...CLIENT, scopes });
  const opened: Store[] = [];
  await installation.start({
    wrapStore(store) {
      opened.push(store);
      return store;
    },
  });
  const [store] = opened;
  assert.ok(store !== undefined);
  const channel = await (await openConnection(installation.vhost.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, installation.names.eventsExchange, 'notice.#');
  const events: Scene['events'] = [];
  const firstEvent = new Promise<unknown>((resolve, reject) => {
    const consume = (message: { content: Buffer } | null): void => {
      if (message === null) return;
      events.push(JSON.parse(message.content.toString()));
      resolve(message);
    };
    channel.consume(queue, consume, { noAck: true }).catch(reject);
  });
  const rpc = await installation.rpc(TEAM);
  return {
    installation,
    store,
    events,
    firstEvent,
    async add(asked = CONTACT) {
      const namespace = teamNamespace();
      await rpc.request('claim-namespace', { namespace, contact: asked });
      const record = await store.namespaces.get(namespace);
      assert.ok(record?.contact === asked);
      const { incarnation, contact } = record;
      const about = { messages: 4100, warnAtMessages: 4000, deleteAtMessages: 8000, seenMs: Date.now() };
      const queueName = `queue/${namespace}/jobs`;
      const id = unique('notice');
      return await store.notices.add(
        newNotice({ id, kind: 'queue-warning', namespace, incarnation, queue: queueName, contact, ...about }),
      );
    },
  };
}

/** Asserts that logs and events contain neither the address nor a secret. */
function assertDiscreet({ installation, events }: Scene): void {
  for (const text of [installation.log.join(''), JSON.stringify(events)]) {
    for (const secret of [CONTACT, ROOM, CHANNEL, CLIENT.accessToken, 'mac='])
      assert.ok(!text.includes(secret), secret);
  }
}

describe('notices to owners', () => {
  useSharedBroker();

  it('are sent soon, and logged without the address', async () => {
    const scene = await start(WITH_CLIENT, ['notify:email:*']);
    const { id, queue } = await scene.add();
    await scene.installation.logged('notice_sent', { notice: id });
    const [mail, ...rest] = scene.installation.taskcluster.mails;
    assert.equal(rest.length, 0);
    assert.equal(mail?.address, CONTACT);
    assert.ok(mail.content.includes(`\`${queue}\``));
    assertDiscreet(scene);
  });

  it('go to a Matrix room and to a Slack channel, each with its own scope', async () => {
    const scene = await start(WITH_CLIENT, ['notify:email:*', 'notify:slack-channel:*']);
    const { installation, store } = scene;
    const toChannel = await scene.add(`slack:${CHANNEL}`);
    await installation.logged('notice_sent', { notice: toChannel.id });
    const [message] = installation.taskcluster.slackPosts;
    assert.equal(message?.channelId, CHANNEL);
    assert.ok(message.text.includes(`\`${toChannel.queue}\``), message.text);
    const toRoom = await scene.add(`matrix:${ROOM}`);
    await installation.logged('notice_delayed', { notice: toRoom.id, error: 'InsufficientScopes' });
    installation.taskcluster.setClient({ ...CLIENT, scopes: [`notify:matrix-room:${ROOM}`] });
    await makeDue(store, toRoom.id);
    await installation.logged('notice_sent', { notice: toRoom.id });
    const [post] = installation.taskcluster.matrixPosts;
    assert.deepEqual([post?.roomId, post?.msgtype], [ROOM, 'm.notice']);
    assert.ok(post?.formattedBody?.includes(`<code>${toRoom.queue}</code>`), post?.formattedBody);
    assert.equal(installation.taskcluster.mails.length, 0);
    assertDiscreet(scene);
  });

  it('wait while the client lacks the scope, and are sent once it has it', async () => {
    const scene = await start(WITH_CLIENT, []);
    const notice = await scene.add();
    await scene.installation.logged('notice_delayed', { notice: notice.id, error: 'InsufficientScopes' });
    const { store, installation } = scene;
    installation.taskcluster.setClient({ ...CLIENT, scopes: [`notify:email:${CONTACT}`] });
    await makeDue(store, notice.id);
    await installation.logged('notice_sent', { notice: notice.id });
    assertDiscreet(scene);
  });

  it('cause an event when they are refused permanently', async () => {
    const scene = await start(WITH_CLIENT, ['notify:email:*']);
    scene.installation.taskcluster.behave(
      { mode: 'wrong', status: 400, body: JSON.stringify({ code: 'DenylistedAddress', message: `${CONTACT} is` }) },
      'notify',
    );
    const { id, namespace, queue } = await scene.add();
    await scene.installation.logged('notice_failed', { notice: id });
    await assertEvent(scene, { namespace, queue, notice: 'queue-warning', attempts: 1, error: 'DenylistedAddress' });
    assertDiscreet(scene);
  });

  it('fail without a Taskcluster client: the agent logs it at its start and for each notice', async () => {
    const scene = await start({}, []);
    const { installation } = scene;
    await installation.logged('risky_choice', { choice: 'no-notices', msg: /Set TASKCLUSTER_CLIENT_ID/ });
    const { id, namespace, queue } = await scene.add();
    await installation.logged('notice_failed', { notice: id });
    await assertEvent(scene, { namespace, queue, notice: 'queue-warning', attempts: 1, error: 'NotConfigured' });
    assert.equal(linesWith(installation.log, 'risky_choice', { choice: 'no-notices' }).length, 1);
  });
});

/** Lets the next attempt be due, which is due in 10 minutes. */
async function makeDue(store: Store, id: string): Promise<void> {
  const waiting = await store.notices.get(id);
  assert.ok(waiting !== undefined && waiting.nextAttemptMs > Date.now() + 500_000);
  const due = { ...waiting, revision: waiting.revision + 1, nextAttemptMs: Date.now() };
  assert.ok(await store.notices.replace(due, waiting.revision));
}

async function assertEvent({ events, firstEvent }: Scene, data: Record<string, unknown>): Promise<void> {
  await firstEvent;
  assert.deepEqual(
    events.map((event) => event.data),
    [data],
  );
}
