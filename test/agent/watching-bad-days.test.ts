import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Management } from '../../src/broker/management/management.ts';
import type { TestInstallation } from '../support/agent.ts';
import { setQuorumQueue } from '../support/queue-faults.ts';
import { useSharedBroker } from '../support/broker.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { unique } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { type Around, interceptStore } from '../support/step-observer.ts';
import { mailedChanges } from '../support/owner-mails.ts';
import {
  claimTeam,
  collectEvents,
  queueExists,
  makeWatchedInstallation,
  waitUntil,
} from '../support/watched-installation.ts';

function kindsOfMails({ taskcluster }: TestInstallation): string[] {
  const kinds = [
    [/growing too large/, 'warning'],
    [/was deleted/, 'deletion'],
    [/has recovered/, 'recovered'],
  ] as const;
  return taskcluster.mails.map(({ subject }) => kinds.find(([text]) => text.test(subject))?.[1] ?? subject);
}

describe('watching queues through faults', function () {
  this.timeout(180_000);
  useSharedBroker();

  concurrentTests((it) => {
    it('keeps a queue that is drained between decision and deletion, and reports no deletion', async () => {
      const installation = await makeWatchedInstallation();
      let added = 0;
      let drain = async (): Promise<unknown> => undefined;
      const around: Around = async (step, call) => {
        const result = await call();
        // The first notice is the warning, the second one the deletion: the agent has decided to delete.
        if (step === 'notices.add' && (added += 1) === 2) await drain();
        return result;
      };
      await installation.start({ wrapStore: (store) => interceptStore(store, around) });
      const events = await collectEvents(installation);
      const team = await claimTeam(installation, 'owner@example.org');
      const queue = `queue/${team.namespace}/drained`;
      await team.channel.assertQueue(queue);
      drain = () => team.channel.purgeQueue(queue);
      await team.fill(queue, 60);
      await events.of('queue.recovered', queue);
      await waitUntil(() => installation.taskcluster.mails.length >= 2, 'both mails');
      assert.equal(added, 3);
      assert.deepEqual(kindsOfMails(installation), ['warning', 'recovered']);
      assert.equal(await queueExists(installation, queue), true);
      // It is still watched.
      await team.fill(queue, 60);
      await events.of('queue.deleted', queue);
    });

    it('counts unacknowledged messages, and a huge message as one', async () => {
      const installation = await makeWatchedInstallation();
      await installation.start();
      const events = await collectEvents(installation);
      const team = await claimTeam(installation);
      const huge = `queue/${team.namespace}/huge`;
      await team.channel.assertQueue(huge);
      await team.fill(huge, 3, 8 * 2 ** 20);
      const held = `queue/${team.namespace}/held`;
      await team.channel.assertQueue(held);
      await team.channel.consume(held, () => undefined);
      await team.fill(held, 60);
      await events.of('queue.warning', held);
      await events.of('queue.deleted', held);
      assert.deepEqual(
        events.seen.filter(({ subject }) => subject === huge),
        [],
      );
    });

    it('ignores a queue that is down, whatever its reported depth, and continues when it is up', async () => {
      const installation = await makeWatchedInstallation();
      const { broker, config } = installation;
      let queue = '';
      let goingDown: Promise<void> | undefined;
      const around: Around = async (step, call, [alert]) => {
        const { queue: about, level } = (alert ?? {}) as { queue?: string; level?: string };
        // The agent has decided to delete it, and confirms the depth.
        if (step === 'queueAlerts.replace' && about === queue && level === 'over') {
          goingDown ??= setQuorumQueue(broker, config.vhost, queue, 'down');
          await goingDown;
        }
        return await call();
      };
      await installation.start({ wrapStore: (store) => interceptStore(store, around) });
      const events = await collectEvents(installation);
      const team = await claimTeam(installation);
      queue = `queue/${team.namespace}/down`;
      await team.channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
      await team.fill(queue, 60);
      await waitUntil(() => goingDown !== undefined, 'the decision to delete it');
      await goingDown;
      // A queue that is deep with unacknowledged messages is confirmed in the same way.
      const control = `queue/${team.namespace}/control`;
      await team.channel.assertQueue(control);
      await team.channel.consume(control, () => undefined);
      await team.fill(control, 60);
      await events.of('queue.deleted', control);
      const types = () => events.seen.filter(({ subject }) => subject === queue).map(({ type }) => type);
      assert.equal(await queueExists(installation, queue), true);
      assert.ok(!types().includes('queue.deleted'));
      await setQuorumQueue(broker, config.vhost, queue, 'up');
      await events.of('queue.deleted', queue);
      // While a quorum queue goes down or up, RabbitMQ may report 0 messages: then it seems drained, and is warned about again.
      assert.match(types().join(' '), /^queue\.warning( queue\.recovered queue\.warning)* queue\.deleted$/);
    });

    it('deletes an exclusive queue with its connection, which is closed with the reason', async () => {
      const installation = await makeWatchedInstallation();
      await installation.start();
      const events = await collectEvents(installation);
      const team = await claimTeam(installation);
      const closed = once(team.connection, 'close') as Promise<[Error]>;
      const queue = `queue/${team.namespace}/exclusive`;
      await team.channel.assertQueue(queue, { exclusive: true });
      await team.fill(queue, 60);
      await events.of('queue.deleted', queue);
      const [error] = await closed;
      assert.match(error.message, /only this connection may use had grown too large/);
      const closings = events.seen.filter(({ type }) => type === 'connection.closed');
      assert.deepEqual(
        closings.map(({ data }) => [data['namespace'], data['reason']]),
        [[team.namespace, 'overgrown']],
      );
      assert.equal(await queueExists(installation, queue), false);
    });

    it('continues while the notify service hangs, and sends the mails once it answers', async () => {
      const installation = await makeWatchedInstallation();
      installation.taskcluster.behave({ mode: 'hanging' }, 'notify');
      await installation.start();
      const events = await collectEvents(installation);
      const withContact = await claimTeam(installation, 'owner@example.org');
      const withoutContact = await claimTeam(installation);
      const waits = `queue/${withContact.namespace}/waits`;
      await withContact.channel.assertQueue(waits);
      await withContact.fill(waits, 60);
      await events.of('queue.warning', waits);
      await waitUntil(() => installation.taskcluster.calls.email > 0, 'a try to send');
      for (let round = 0; round < 3; round += 1) {
        const queue = `queue/${withoutContact.namespace}/goes-on-${round}`;
        await withoutContact.channel.assertQueue(queue);
        await withoutContact.fill(queue, 60);
        await events.of('queue.deleted', queue);
      }
      installation.taskcluster.behave({ mode: 'normal' }, 'notify');
      await events.of('queue.deleted', waits);
      await waitUntil(() => installation.taskcluster.mails.length >= 2, 'both mails');
      assert.deepEqual(kindsOfMails(installation), ['warning', 'deletion']);
    });

    it('works with surveys alone where there is no event exchange', async () => {
      const installation = await makeWatchedInstallation({ settings: { eventVhost: unique('nowhere') } });
      await installation.start();
      await installation.logged('broker_events_unavailable');
      const events = await collectEvents(installation);
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/surveyed`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 60);
      await events.of('queue.warning', queue);
      await events.of('queue.deleted', queue);
    });

    it('deletes the alerts of a deleted namespace', async () => {
      const installation = await makeWatchedInstallation({ settings: { rotationIntervalSeconds: 4 } });
      let removed = 0;
      const around: Around = async (step, call) => {
        const result = await call();
        if (step === 'queueAlerts.remove') removed += 1;
        return result;
      };
      await installation.start({ wrapStore: (store) => interceptStore(store, around) });
      const events = await collectEvents(installation);
      const team = await claimTeam(installation);
      const queue = `queue/${team.namespace}/warned`;
      await team.channel.assertQueue(queue);
      await team.fill(queue, 30);
      await events.of('queue.warning', queue);
      const rpc = await installation.rpc('team/service');
      team.connection.on('error', () => undefined);
      await rpc.request('release-namespace', { namespace: team.namespace });
      await events.of('namespace.expired', team.namespace);
      await waitUntil(() => removed === 1, 'the alert is forgotten');
      assert.deepEqual(
        events.seen.filter(({ type }) => type === 'queue.recovered' || type === 'queue.deleted'),
        [],
      );
    });
  });
});

describe('two agents that watch the same queues', function () {
  this.timeout(180_000);
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  it('warn about each once, delete it once and send each mail once', async () => {
    const installation = await makeWatchedInstallation({ environment: { STORE_URL: mongoDatabase(mongodb()) } });
    const deletions: string[] = [];
    const wrapManagement = (management: Management): Management => ({
      ...management,
      async deleteQueue(vhost, queue, options) {
        const isDeleted = await management.deleteQueue(vhost, queue, options);
        if (isDeleted) deletions.push(queue);
        return isDeleted;
      },
    });
    await Promise.all([installation.start({ wrapManagement }), installation.start({ wrapManagement })]);
    const events = await collectEvents(installation);
    const team = await claimTeam(installation, 'owner@example.org');
    const queues = Array.from({ length: 20 }, (_, number) => `queue/${team.namespace}/${number}`);
    for (const queue of queues) await team.channel.assertQueue(queue);
    await Promise.all(queues.map((queue) => team.fill(queue, 60)));
    for (const queue of queues) await events.of('queue.deleted', queue);
    const mailed = () => mailedChanges(installation.taskcluster.mails);
    await waitUntil(() => mailed().length >= 2 * queues.length, 'all mails');
    for (const queue of queues) {
      const types = events.seen.filter(({ subject }) => subject === queue).map(({ type }) => type);
      assert.deepEqual(types, ['queue.warning', 'queue.deleted']);
    }
    assert.deepEqual(deletions.toSorted(), queues.toSorted());
    const changes = queues.flatMap((queue) => [`warning ${queue}`, `deletion ${queue}`]);
    assert.deepEqual(mailed().toSorted(), changes.toSorted());
  });
});
