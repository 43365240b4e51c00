import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { listAccounts } from '../../../src/namespaces/accounts/list-accounts.ts';

describe('listAccounts', () => {
  // RabbitMQ 3.10 keeps one cache for listings with statistics. Of two that create it together, one gets 500: an agent's
  // first reconciliation on a fresh broker failed.
  it('asks for one listing of connections with their ages at a time', async () => {
    let underWay = 0;
    const overlaps: string[] = [];
    const management = {
      async listConnections(vhost: string) {
        underWay += 1;
        if (underWay > 1) overlaps.push(vhost);
        await turn();
        underWay -= 1;
        return [];
      },
      listOpenConnections: async () => [],
      listTopicPermissions: async () => [],
      visitUsers: async () => undefined,
      visitPermissions: async () => undefined,
      visitUserLimits: async () => undefined,
    };
    const config = { vhost: 'tenants', requestVhost: 'requests', id: 'a', usernamePrefix: '', namespacePrefix: 'n-' };
    const parts = {
      management,
      config: { ...config, accountLimits: {} },
      storeId: 'store',
      namespaceOf: () => undefined,
      ages: { record: () => [] },
    } as unknown as Parameters<typeof listAccounts>[0];
    await listAccounts(parts, { openedBeforeMs: 0, seenMs: 0 }, new AbortController().signal);
    assert.deepEqual(overlaps, []);
  });
});
