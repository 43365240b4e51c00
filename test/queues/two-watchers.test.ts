import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { UNGUARDED } from '../../src/broker/cluster.ts';
import { openManagement } from '../../src/broker/management/open-management.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createExemptQueues } from '../../src/namespaces/deletion/exempt-queues.ts';
import { createReporters } from '../../src/reporters.ts';
import { createQueues, type Queues } from '../../src/queues/queues.ts';
import { createLog } from '../../src/util/log.ts';
import { noAudit } from '../../src/audit/audit.ts';
import type { Mail } from '../../src/notices/notifier.ts';
import { createNoticeSender, type Notices } from '../../src/notices/send-notices.ts';
import { openStore } from '../../src/store/open-store.ts';
import { teamNamespace } from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { mailedChanges } from '../support/owner-mails.ts';
import { recordOf } from '../support/records.ts';
import { makeWatchedInstallation } from '../support/watched-installation.ts';

const QUEUES = 20;
const { signal } = new AbortController();
setMaxListeners(0, signal);

/** What all watchers did. */
interface Done {
  readonly events: string[];
  readonly mails: Mail[];
  readonly deletions: string[];
}

describe('two agents that watch the same queues at the same time', function () {
  this.timeout(180_000);
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  it('warn of each queue once, delete it once and send each mail once', async () => {
    const url = mongoDatabase(mongodb());
    const { config, vhost, ...installation } = await makeWatchedInstallation({ environment: { STORE_URL: url } });
    const done: Done = { events: [], mails: [], deletions: [] };
    const log = createLog(config, { write: () => undefined });

    const addWatcher = async (): Promise<Queues & Notices> => {
      const store = await openStore(url, { clock: systemClock, randomBytes });
      addCleanup(() => store.close());
      const management = openManagement(config, {
        wrapManagement: (real) => ({
          ...real,
          async deleteQueue(inVhost, queue, options) {
            const isDeleted = await real.deleteQueue(inVhost, queue, options);
            if (isDeleted) done.deletions.push(queue);
            return isDeleted;
          },
        }),
      });
      const events = {
        emit: () => undefined,
        emitAndWait: async (type: string, data: object) =>
          void done.events.push(`${type} ${Reflect.get(data, 'queue')}`),
      };
      const reporters = createReporters({ events, audit: noAudit, log, clock: systemClock });
      const parts = createQueues({
        config,
        store,
        management,
        cluster: UNGUARDED,
        statistics: { lagMs: () => 8_000 },
        exempt: createExemptQueues(store.queueExemptions, { earliestMs: Date.now }),
        clock: systemClock,
        sleep: systemSleep,
        randomBytes,
        log,
        jobs: { trigger: () => undefined },
        reporters,
      });
      addCleanup(async () => {
        await parts.close();
        management.close();
      });
      const sender = createNoticeSender({
        store,
        notifier: {
          async send(message) {
            assert.ok(message.medium === 'mail');
            done.mails.push(message);
            return { is: 'sent' };
          },
        },
        clock: systemClock,
        config,
        reporters: { ...reporters, noticeFailing: async () => assert.fail('no notice fails') },
      });
      return { ...parts, ...sender };
    };

    const watchers = await Promise.all([addWatcher(), addWatcher()]);
    const store = await openStore(url, { clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    const namespace = teamNamespace();
    await store.namespaces.insert(
      recordOf(Date.now(), { namespace, revision: 1, contact: 'owner@example.org', expiresMs: Date.now() + 3_600_000 }),
    );
    const channel = await (await openConnection(vhost.amqpUrl)).createConfirmChannel();
    const queues = Array.from({ length: QUEUES }, (_, number) => `queue/${namespace}/${number}`);
    for (const queue of queues) {
      await channel.assertQueue(queue);
      for (let sent = 0; sent < 60; sent += 1) channel.sendToQueue(queue, Buffer.from('x'));
    }
    await channel.waitForConfirms();

    const together = async (work: (watcher: Queues & Notices) => Promise<unknown>): Promise<void> =>
      void (await Promise.all(watchers.map(work)));
    while (done.deletions.length < QUEUES || (await store.queueAlerts.list({ limit: 1 })).length > 0) {
      await together((watcher) => watcher.survey(signal));
      await together((watcher) => watcher.inspect(queues, signal));
      await together((watcher) => watcher.sweep(signal));
    }
    while ((await store.notices.countWaiting()) > 0) await together((watcher) => watcher.sweep(signal));

    assert.deepEqual(done.deletions.toSorted(), queues.toSorted());
    const expected = queues.flatMap((queue) => [`queue.warning ${queue}`, `queue.deleted ${queue}`]);
    assert.deepEqual(done.events.toSorted(), expected.toSorted());
    const mailed = mailedChanges(done.mails);
    assert.deepEqual(
      mailed.toSorted(),
      queues.flatMap((queue) => [`warning ${queue}`, `deletion ${queue}`]).toSorted(),
    );
    assert.ok(done.mails.length < 2 * QUEUES, `${done.mails.length} mails`);
    await installation.remove();
  });
});
