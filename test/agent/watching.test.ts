import assert from 'node:assert/strict';
import { openManagement } from '../../src/broker/management/open-management.ts';
import type { TestInstallation } from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { linesWith } from '../support/test-log.ts';
import {
  claimTeam,
  type CollectedEvent,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  waitUntil,
} from '../support/watched-installation.ts';

/** The size of a queue is in the statistics only some seconds after it was filled. */
function withoutBytes({ bytes, ...data }: CollectedEvent['data']): CollectedEvent['data'] {
  assert.ok(bytes === undefined || typeof bytes === 'number');
  return data;
}

describe('a watched queue', function () {
  this.timeout(180_000);
  useSharedBroker();
  let installation: TestInstallation;
  let events: CollectedEvents;
  before('start an agent', async function () {
    this.timeout(300_000);
    installation = await makeWatchedInstallation({ settings: { exemptQueues: ['queue/[^/]+/exempt'] } });
    await installation.start();
    events = await collectEvents(installation);
  });
  after('remove the installation', async () => installation.remove());

  const mailsTo = (address: string): string[] =>
    installation.taskcluster.mails.filter((mail) => mail.address === address).map(({ subject }) => subject);

  concurrentTests((it) => {
    it('is warned about once, then deleted, and its owner gets mails', async () => {
      const team = await claimTeam(installation, 'grown@example.org');
      const queue = `queue/${team.namespace}/grown`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 25);
      const warning = await events.of('queue.warning', queue);
      assert.deepEqual(withoutBytes(warning.data), {
        namespace: team.namespace,
        queue,
        messages: 25,
        warnAtMessages: 20,
        deleteAtMessages: 50,
        warnAtBytes: 2 ** 30,
        deleteAtBytes: 2 ** 31,
      });
      await waitUntil(() => mailsTo('grown@example.org').length === 1, 'a mail of the warning');
      const [mail] = installation.taskcluster.mails.filter(({ address }) => address === 'grown@example.org');
      assert.match(
        mail?.content ?? '',
        /It grew by about .* a minute\. At that rate it is deleted at about 20|not known yet/,
      );
      await team.fill(queue, 30);
      const deleted = await events.of('queue.deleted', queue);
      const limits = { deleteAtMessages: 50, deleteAtBytes: 2 ** 31 };
      assert.deepEqual(withoutBytes(deleted.data), { namespace: team.namespace, queue, messages: 55, ...limits });
      await assert.rejects((await team.connection.createChannel()).checkQueue(queue), /NOT_FOUND/);
      await waitUntil(() => mailsTo('grown@example.org').length === 2, 'a mail of the deletion');
      assert.equal(events.seen.filter(({ type, subject }) => subject === queue && type === 'queue.warning').length, 1);
    });

    it('is warned about first even if it is already past the deletion threshold', async () => {
      const team = await claimTeam(installation, 'burst@example.org');
      const queue = `queue/${team.namespace}/burst`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 60);
      await events.of('queue.deleted', queue);
      const types = events.seen.filter(({ subject }) => subject === queue).map(({ type }) => type);
      assert.deepEqual(types, ['queue.warning', 'queue.deleted']);
      await waitUntil(() => mailsTo('burst@example.org').length === 2, 'both mails');
      assert.match(mailsTo('burst@example.org')[0] ?? '', /growing too large/);
    });

    it('recovers when it is drained, and is warned about again when it grows again', async () => {
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/recovers`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 30);
      await events.of('queue.warning', queue);
      await team.channel.purgeQueue(queue);
      const recovered = await events.of('queue.recovered', queue);
      assert.deepEqual(recovered.data, { namespace: team.namespace, queue, messages: 0, bytes: 0 });
      await team.fill(queue, 30);
      await waitUntil(
        () => events.seen.filter(({ type, subject }) => type === 'queue.warning' && subject === queue).length === 2,
        'a second warning',
      );
    });

    it('without a contact is deleted with events only', async () => {
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/quiet`;
      await team.channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
      await team.fill(queue, 60);
      await events.of('queue.warning', queue);
      await events.of('queue.deleted', queue);
    });

    it('is ignored outside all namespaces, when it is exempt, and as a stream', async () => {
      const team = await claimTeam(installation);
      const admin = await (await openConnection(installation.vhost.amqpUrl)).createChannel();
      const outside = ['outside', `queue/taskcluster-unclaimed/jobs`, `queue/${installation.config.id}/v1/own`];
      for (const queue of outside) {
        await admin.assertQueue(queue);
        await team.fill(queue, 60);
      }
      const stream = `queue/${team.namespace}/stream`;
      await team.channel.assertQueue(stream, { durable: true, arguments: { 'x-queue-type': 'stream' } });
      await team.fill(stream, 60);
      const exempt = `queue/${team.namespace}/exempt`;
      const almostExempt = `queue/${team.namespace}/exempt-not`;
      for (const queue of [exempt, almostExempt]) {
        await team.channel.assertQueue(queue);
        await team.fill(queue, 60);
      }
      // A queue that was filled later has been deleted, so this one was checked.
      const control = `queue/${team.namespace}/control`;
      await team.channel.assertQueue(control);
      await team.fill(control, 60);
      for (const queue of [almostExempt, control]) await events.of('queue.deleted', queue);
      for (const queue of [...outside, exempt, stream]) {
        await admin.checkQueue(queue);
        assert.deepEqual(
          events.seen.filter(({ subject }) => subject === queue),
          [],
        );
      }
    });
  });
});

describe('a quorum queue that is filled in one go', function () {
  this.timeout(180_000);
  useSharedBroker();

  it('is warned of once, although surveys show it empty for up to five seconds more', async () => {
    const installation = await makeWatchedInstallation({
      settings: { warnAtMessages: 40, deleteAtMessages: 1000, surveyIntervalSeconds: 3 },
    });
    await installation.start();
    const events = await collectEvents(installation);
    const team = await claimTeam(installation, 'owner@example.org');
    const management = openManagement(installation.config);
    addCleanup(() => management.close());
    const listed = async (queue: string): Promise<number | undefined> =>
      (await management.listQueues(installation.config.vhost)).find(({ name }) => name === queue)?.messages;
    // When RabbitMQ publishes the totals depends on when a queue was declared: of three queues one lags long enough.
    const queues = ['a', 'b', 'c'].map((name) => `queue/${team.namespace}/${name}`);
    for (const queue of queues) {
      await team.channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
      await team.fill(queue, 55);
      await events.of('queue.warning', queue);
      await waitUntil(async () => (await listed(queue)) === 55, 'the total in a listing');
    }
    const surveys = () => linesWith(installation.log, 'survey_done').length;
    const before = surveys();
    await waitUntil(() => surveys() >= before + 2, 'two more surveys');
    const types = events.seen.filter(({ subject }) => queues.includes(subject)).map(({ type }) => type);
    assert.deepEqual(types, ['queue.warning', 'queue.warning', 'queue.warning']);
    await installation.remove();
  });
});
