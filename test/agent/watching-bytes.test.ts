import assert from 'node:assert/strict';
import type { TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import {
  claimTeam,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  queueExists,
  waitUntil,
} from '../support/watched-installation.ts';

const MB = 1_000_000;

describe('a queue with few large messages', function () {
  this.timeout(240_000);
  useSharedBroker();
  let installation: TestInstallation;
  let events: CollectedEvents;
  before('start an agent', async function () {
    this.timeout(300_000);
    const settings = { warnAtBytes: 2 * MB, deleteAtBytes: 5 * MB, warnAtMessages: 1000, deleteAtMessages: 2000 };
    installation = await makeWatchedInstallation({ settings });
    await installation.start();
    events = await collectEvents(installation);
  });
  after('remove the installation', async () => installation.remove());

  const mailsTo = (address: string) => installation.taskcluster.mails.filter((mail) => mail.address === address);

  concurrentTests((it) => {
    for (const type of ['classic', 'quorum']) {
      it(`is warned about, then deleted, and its owner gets mails (${type})`, async () => {
        const contact = `${type}@example.org`;
        const team = await claimTeam(installation, contact);
        const { namespace } = team;
        const queue = `queue/${namespace}/large`;
        await team.channel.assertQueue(queue, { arguments: { 'x-queue-type': type } });
        await team.fill(queue, 3, MB);
        const warning = await events.of('queue.warning', queue);
        const thresholds = { warnAtMessages: 1000, deleteAtMessages: 2000, warnAtBytes: 2 * MB, deleteAtBytes: 5 * MB };
        assert.deepEqual(warning.data, { namespace, queue, messages: 3, bytes: 3 * MB, ...thresholds });
        await waitUntil(() => mailsTo(contact).length === 1, 'a mail of the warning');
        assert.match(
          mailsTo(contact)[0]?.content ?? '',
          /3 messages\*\* of 2\.8 MiB altogether .* 1,000 messages or 1\.9 MiB/,
        );
        assert.equal(await queueExists(installation, queue), true);
        await team.fill(queue, 3, MB);
        const deleted = await events.of('queue.deleted', queue);
        const limits = { deleteAtMessages: 2000, deleteAtBytes: 5 * MB };
        assert.deepEqual(deleted.data, { namespace, queue, messages: 6, bytes: 6 * MB, ...limits });
        assert.equal(await queueExists(installation, queue), false);
        await waitUntil(() => mailsTo(contact).length === 2, 'a mail of the deletion');
      });
    }

    it('recovers when it is drained, and is not deleted for what it held before', async () => {
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/drained`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 6, MB);
      await events.of('queue.warning', queue);
      await team.channel.purgeQueue(queue);
      await team.fill(queue, 2, 10);
      const recovered = await events.of('queue.recovered', queue);
      assert.equal(recovered.data['messages'], 2);
      assert.equal(await queueExists(installation, queue), true);
    });

    it('counts messages that consumers hold', async () => {
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/held`;
      await team.channel.assertQueue(queue);
      await team.channel.consume(queue, () => undefined);
      await team.fill(queue, 6, MB);
      await events.of('queue.warning', queue);
      await events.of('queue.deleted', queue);
      assert.equal(await queueExists(installation, queue), false);
    });
  });
});
