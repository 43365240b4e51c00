import assert from 'node:assert/strict';
import { createQueueTable } from '../../src/operator-api/queue-table.ts';
import { loadConfig } from '../../src/config/config.ts';
import { momentOf } from '../../src/util/clock.ts';
import { GOOD_ENV } from '../support/config-files.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const NAMESPACE = 'taskcluster-builds';
const QUEUE = `queue/${NAMESPACE}/jobs`;

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('the table of queues', () => {
  it('keeps consumers and bytes while newer ones wait for the depths to be listed again', async () => {
    const clock = createManualClock();
    let latestAt = momentOf(clock);
    const depth = { queue: QUEUE, namespace: NAMESPACE, messages: 5, ready: 5, unacknowledged: 0 };
    const history = {
      get latestAt() {
        return latestAt;
      },
      listed: () => [depth],
      growthOf: () => undefined,
      trends: () => undefined,
    };
    const visitQueueStatistics = async (_vhost: string, visit: (queue: object) => void): Promise<void> =>
      visit({ name: QUEUE, messages: 5, bytes: 50, consumers: 2 });
    const readNamespaces = async () => ({ atMs: clock.nowMs(), byName: new Map() });
    const table = createQueueTable({
      config: loadConfig(GOOD_ENV),
      clock,
      store: createMemoryStore(),
      management: { visitQueueStatistics } as never,
      depths: { history, ensureListed: async () => undefined } as never,
      namespaces: { get: readNamespaces, since: readNamespaces } as never,
    });
    const readAgain = async () => {
      clock.advance(3_000);
      await table.get();
      await settled();
      const [row] = (await table.get()).rows;
      return [row?.bytes, row?.consumers];
    };
    await table.get();
    await settled();
    latestAt = momentOf(clock);
    assert.deepEqual(await readAgain(), [50, 2]);
    assert.deepEqual(await readAgain(), [50, 2]);
  });
});
