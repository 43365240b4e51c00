import assert from 'node:assert/strict';
import type { ClaimedLimits } from '../../src/contract/queue-limits-field.ts';
import { TEAM, type TestInstallation } from '../support/agent.ts';
import { createManagement } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import type { Agent } from '../../src/agent/agent.ts';
import { manage, useSharedBroker } from '../support/broker.ts';
import { readPage } from '../support/operator-api.ts';
import {
  claimTeam,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  queueExists,
  waitUntil,
} from '../support/watched-installation.ts';

const TOKEN = 'the-token-of-operators-0123456789';

describe('queues with rules of their own', function () {
  this.timeout(240_000);
  useSharedBroker();
  let installation: TestInstallation;
  let events: CollectedEvents;
  let agent: Agent;
  before('start an agent', async function () {
    this.timeout(300_000);
    installation = await makeWatchedInstallation({
      environment: { PULSE_AGENT_OPERATOR_TOKEN: TOKEN },
      settings: {
        httpPort: 0,
        queues: [
          { match: 'queue/[^/]+/generous.*', warnAtMessages: 100, deleteAtMessages: 200 },
          { match: 'queue/[^/]+/purged.*', onOvergrown: 'purge' },
          { match: 'queue/[^/]+/left', onOvergrown: 'leave' },
          { match: 'queue/[^/]+/idle.*', idleExpirySeconds: 3 },
          { match: 'queue/[^/]+/raised.*', ownersMayRaiseTo: { deleteAtMessages: 200 } },
        ],
      },
    });
    agent = await installation.start();
    events = await collectEvents(installation);
  });
  after('remove the installation', async () => installation.remove());

  it('are warned of and deleted by the thresholds of the rule', async () => {
    const team = await claimTeam(installation, 'owner@example.org');
    const { namespace } = team;
    const [generous, ordinary] = [`queue/${namespace}/generous`, `queue/${namespace}/ordinary`];
    for (const queue of [generous, ordinary]) {
      await team.channel.assertQueue(queue);
      await team.fill(queue, 60);
    }
    // Filled later, and gone: a survey has seen the other one, too.
    await events.of('queue.deleted', ordinary);
    assert.equal(await queueExists(installation, generous), true);
    assert.equal(
      events.seen.some(({ subject }) => subject === generous),
      false,
    );
    await team.fill(generous, 60);
    const warning = await events.of('queue.warning', generous);
    assert.deepEqual(
      [warning.data['messages'], warning.data['warnAtMessages'], warning.data['deleteAtMessages']],
      [120, 100, 200],
    );
    await team.fill(generous, 100);
    const deleted = await events.of('queue.deleted', generous);
    assert.deepEqual([deleted.data['messages'], deleted.data['deleteAtMessages']], [220, 200]);
    assert.equal(await queueExists(installation, generous), false);
  });

  const mailsTo = (address: string) => installation.taskcluster.mails.filter((mail) => mail.address === address);

  for (const type of ['classic', 'quorum']) {
    it(`are purged where the rule says so, and the owner hears what was lost (${type})`, async () => {
      const contact = `purged-${type}@example.org`;
      const team = await claimTeam(installation, contact);
      const { namespace } = team;
      const queue = `queue/${namespace}/purged-${type}`;
      await team.channel.assertQueue(queue, { arguments: { 'x-queue-type': type } });
      await team.fill(queue, 60, 10, { timestamp: 1_795_521_600 });
      const warning = await events.of('queue.warning', queue);
      assert.equal(warning.data['onOvergrown'], 'purge');
      const { data } = await events.of('queue.purged', queue);
      const { oldest, bytes: _, deleteAtBytes: __, ...rest } = data;
      assert.deepEqual(rest, { namespace, queue, messages: 60, deleteAtMessages: 50 });
      // RabbitMQ knows it of classic queues, some seconds later.
      if (type === 'quorum' || oldest !== undefined) {
        assert.equal(oldest, type === 'quorum' ? undefined : '2026-11-24T12:00:00.000Z');
      }
      assert.equal(await queueExists(installation, queue), true);
      assert.equal((await team.channel.checkQueue(queue)).messageCount, 0);
      await waitUntil(() => mailsTo(contact).length === 2, 'a mail of the purge');
      assert.match(mailsTo(contact)[0]?.content ?? '', /purged of all its ready messages/);
      assert.match(mailsTo(contact)[1]?.content ?? '', /held \*\*60 ready messages\*\*/);
    });
  }

  it('are not purged for what consumers hold', async () => {
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/purged-held`;
    await team.channel.assertQueue(queue);
    await team.channel.prefetch(45);
    await team.channel.consume(queue, () => undefined);
    await team.fill(queue, 60);
    await events.of('queue.warning', queue);
    await team.fill(queue, 40);
    const purged = await events.of('queue.purged', queue);
    assert.equal(purged.data['messages'], 55);
  });

  it('stay where the rule says so, which is reported once', async () => {
    const contact = 'left@example.org';
    const team = await claimTeam(installation, contact);
    const { namespace } = team;
    const queue = `queue/${namespace}/left`;
    await team.channel.assertQueue(queue);
    await team.fill(queue, 60);
    const { data } = await events.of('queue.left', queue);
    assert.deepEqual([data['namespace'], data['messages'], data['deleteAtMessages']], [namespace, 60, 50]);
    await waitUntil(() => mailsTo(contact).length === 2, 'a mail that it stays');
    await team.fill(queue, 10);
    await team.channel.purgeQueue(queue);
    await events.of('queue.recovered', queue);
    assert.equal(events.seen.filter((event) => event.type === 'queue.left' && event.subject === queue).length, 1);
    assert.equal(await queueExists(installation, queue), true);
  });

  it('are purged only by an account that may read them', async () => {
    const { broker, config, vhost } = installation;
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/of-rights`;
    await team.channel.assertQueue(queue);
    const user = `${config.id}-purger`;
    await manage(broker, 'PUT', `/users/${user}`, { password: 'purger', tags: 'administrator' });
    const url = new URL(vhost.managementUrl).origin;
    const management = createManagement({ url, username: user, password: new Secret('purger'), timeoutMs: 30_000 });
    const grant = (read: string) =>
      management.putPermissions(config.vhost, user, { configure: '^queue/taskcluster-.*', write: '', read });
    try {
      await grant('');
      await assert.rejects(management.purgeQueue(config.vhost, queue), { code: 'BrokerRefused' });
      await grant('^queue/taskcluster-.*');
      await waitUntil(
        () => management.purgeQueue(config.vhost, queue).catch(() => false),
        'a purge with the right to read',
      );
      assert.equal(await management.purgeQueue(config.vhost, `${queue}-missing`), false);
    } finally {
      await management.deleteUser(user);
      management.close();
    }
  });

  it('may hold what a claim asked for, within what the rule allows', async () => {
    const team = await claimTeam(installation);
    const { namespace } = team;
    const [raised, ordinary] = [`queue/${namespace}/raised`, `queue/${namespace}/ordinary`];
    const rpc = await installation.rpc(TEAM);
    const claim = (queueLimits?: ClaimedLimits | null) =>
      rpc.request('claim-namespace', { namespace, ...(queueLimits === undefined ? {} : { queueLimits }) });
    await claim({ warnAtMessages: 100, deleteAtMessages: 200 });
    // A claim without them keeps them.
    await claim();
    await assert.rejects(claim({ deleteAtMessages: 201 }), {
      code: 'InputError',
      message: `The field queueLimits.deleteAtMessages must be from 50 to 200 for ${namespace}: change it, or ask the operators of this broker for more.`,
    });
    await assert.rejects(
      claim({ deleteAtMessages: 100, warnAtMessages: 100 }),
      /must be at least 20 and less than delete/,
    );
    await assert.rejects(rpc.request('claim-namespace', { namespace, queueLimits: { colour: 1 } } as never), /colour/);
    for (const queue of [raised, ordinary]) {
      await team.channel.assertQueue(queue);
      await team.fill(queue, 60);
    }
    await events.of('queue.deleted', ordinary);
    assert.equal(await queueExists(installation, raised), true);
    const described = await rpc.request('describe-namespace', { namespace });
    assert.deepEqual(described.queueLimits, { warnAtMessages: 100, deleteAtMessages: 200 });
    const queue = described.queues?.find((one) => one.queue === raised);
    assert.equal(queue?.rule, 'queues.4');
    assert.deepEqual([queue?.limits?.warnAtMessages, queue?.limits?.deleteAtMessages], [100, 200]);
    assert.equal(queue?.state, 'watched');
    await team.fill(raised, 50);
    const warning = await events.of('queue.warning', raised);
    assert.deepEqual([warning.data['warnAtMessages'], warning.data['deleteAtMessages']], [100, 200]);
    // Operators see the same limits as the owner.
    await waitUntil(async () => {
      const { items } = await readPage(agent, TOKEN, 'queues', { namespace, state: 'warned' });
      return items.some((row) => row.queue === raised && row.next?.at === 200);
    }, 'the threshold on the page for operators');
    const shown = await readPage(agent, TOKEN, 'queueHistory', { queue: raised });
    assert.deepEqual(shown.limits, queue?.limits);
    // Without them, the rule holds again.
    await claim(null);
    assert.equal((await rpc.request('describe-namespace', { namespace })).queueLimits, undefined);
    const deleted = await events.of('queue.deleted', raised);
    assert.equal(deleted.data['deleteAtMessages'], 50);
  });

  it('expire when they are unused for as long as the rule says, after a notice and as long again', async () => {
    const contact = 'idle@example.org';
    const team = await claimTeam(installation, contact);
    const { namespace } = team;
    const [idle, used] = [`queue/${namespace}/idle`, `queue/${namespace}/idle-used`];
    const exclusive = `queue/${namespace}/idle-exclusive`;
    await team.channel.assertQueue(exclusive, { exclusive: true });
    for (const queue of [idle, used]) {
      await team.channel.assertQueue(queue);
      await team.fill(queue, 3);
    }
    const { data } = await events.of('queue.idle', idle);
    assert.equal(data['messages'], 3);
    await events.of('queue.idle', used);
    assert.equal(await queueExists(installation, idle), true);
    await team.channel.consume(used, () => undefined);
    const expired = await events.of('queue.expired', idle);
    assert.deepEqual([expired.data['messages'], expired.data['idleSince'] === data['idleSince']], [3, true]);
    assert.ok(Date.now() >= Date.parse(String(data['expires'])));
    assert.equal(await queueExists(installation, idle), false);
    await waitUntil(() => mailsTo(contact).some(({ subject }) => subject.includes('idle queue was deleted')), 'a mail');
    assert.equal(await queueExists(installation, used), true);
    // One that is idle later expires, too, and the one with a consumer still does not.
    const later = `queue/${namespace}/idle-later`;
    await team.channel.assertQueue(later);
    await events.of('queue.expired', later);
    assert.equal(await queueExists(installation, used), true);
    const ofExclusive = events.seen.filter(({ subject }) => subject === exclusive);
    assert.deepEqual([await queueExists(installation, exclusive), ofExclusive], [true, []]);
  });
});
