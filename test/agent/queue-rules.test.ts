import assert from 'node:assert/strict';
import type { TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import {
  claimTeam,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  queueExists,
} from '../support/watched-installation.ts';

describe('queues with rules of their own', function () {
  this.timeout(240_000);
  useSharedBroker();
  let installation: TestInstallation;
  let events: CollectedEvents;
  before('start an agent', async function () {
    this.timeout(300_000);
    installation = await makeWatchedInstallation({
      settings: { queues: [{ match: 'queue/[^/]+/generous.*', warnAtMessages: 100, deleteAtMessages: 200 }] },
    });
    await installation.start();
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
});
