import assert from 'node:assert/strict';
import { createDeletionsWatch } from '../../src/agent/deletions-watch.ts';
import type { ClusterNode } from '../../src/broker/management/management.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createManualSleep } from '../support/manual-sleep.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { recordOf } from '../support/records.ts';

describe('the watch of deletions', () => {
  it('names the node that deletions wait for, resumes them when it runs, and knows nothing after a minute', async () => {
    const clock = createManualClock();
    const memory = createMemoryStore();
    let isFailing = false;
    let nodes: ClusterNode[] = [];
    const resumed: string[] = [];
    const { sleep, readNext } = createManualSleep();
    const watch = createDeletionsWatch({
      clock,
      store: {
        namespaces: {
          async dueForExpiry(options) {
            if (isFailing) throw new Error('no store');
            return await memory.namespaces.dueForExpiry(options);
          },
        },
      },
      management: { listNodes: async () => nodes },
      backoff: { retryNow: (work, namespace) => void resumed.push(`${work} ${namespace}`) },
      sleep,
    });
    assert.equal(watch.check().state, 'starting');
    const expiresMs = clock.nowMs() - 1000;
    memory.put(recordOf(0, { namespace: 'taskcluster-fine', state: 'expiring', expiresMs }));
    await readNext(watch);
    assert.deepEqual(watch.check(), { state: 'up' });

    const deletionBlock = { queue: 'queue/taskcluster-x/a', node: 'rabbit@b' };
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      memory.put(recordOf(0, { namespace: `taskcluster-${name}`, state: 'expiring', expiresMs, deletionBlock }));
    }
    nodes = [{ name: 'rabbit@b', running: false, partitions: undefined }];
    await readNext(watch);
    assert.deepEqual(resumed, []);
    assert.deepEqual(watch.check(), { state: 'down', reason: '5 deletions wait for node rabbit@b, which is down' });

    for (const returned of [[{ name: 'rabbit@b', running: true, partitions: [] }], []]) {
      nodes = returned;
      await readNext(watch);
      assert.equal(resumed.splice(0).length, 5, 'its node runs, or has left the cluster');
    }

    isFailing = true;
    clock.advance(61_000);
    await readNext(watch);
    assert.deepEqual(watch.check(), { state: 'down', reason: 'unknown: the deletions were not read for 61 s' });
    await watch.close();
  });
});
