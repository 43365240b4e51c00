import assert from 'node:assert/strict';
import { assertNoneOnBroker } from '../../src/agent/running-agents.ts';
import type { Management } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import { partial } from '../support/partial.ts';

describe('the check that no agent runs', () => {
  it('fails while the request queue has no leader: RabbitMQ says then that it has no consumers', async () => {
    const management = partial<Management>({
      hasVhost: async () => true,
      getQueue: async () => ({ name: 'queue/a/v1/requests', type: 'quorum' }),
      getQuorumQueue: async (_vhost, name) => ({ name, members: ['one', 'two', 'three'], online: ['one'] }),
    });
    const settings = {
      id: 'a',
      requestVhost: 'a',
      // Nothing listens there.
      rabbitmqRequestUrl: new Secret('amqp://agent:password@127.0.0.1:1/a'),
      rabbitmqCa: undefined,
    };
    const { signal } = new AbortController();
    await assert.rejects(assertNoneOnBroker(management, settings, signal), {
      code: 'BrokerUnavailable',
      message: /has no leader, as 1 of 3 replicas are online/,
    });
  });
});
