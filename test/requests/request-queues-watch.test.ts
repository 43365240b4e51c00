import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Channel } from 'amqplib';
import type { QuorumQueue } from '../../src/broker/management/queue-members.ts';
import { contractNames } from '../../src/contract/names.ts';
import { createRequestQueuesWatch } from '../../src/requests/request-queues-watch.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createManualSleep } from '../support/manual-sleep.ts';

const names = contractNames('pulse-agent');
const MEMBERS = { members: ['rabbit@one'], online: ['rabbit@one'] };

/** Reads queues that hold `messages`; those without are empty. All of them have no consumer. */
async function readCounts(
  messages: Readonly<Record<string, number>>,
  getQuorumQueue: (queue: string) => QuorumQueue | undefined,
) {
  const { sleep, readNext } = createManualSleep();
  const watch = createRequestQueuesWatch({
    names,
    sleep,
    clock: createManualClock(),
    config: { requestVhost: 'requests' },
    management: { getQuorumQueue: async (_vhost, queue) => await Promise.resolve(getQuorumQueue(queue)) },
  });
  const channel = Object.assign(new EventEmitter(), {
    checkQueue: (queue: string) => ({ queue, messageCount: messages[queue] ?? 0, consumerCount: 0 }),
    close: () => undefined,
  }) as unknown as Channel;
  watch.readOver({ createChannel: async () => await Promise.resolve(channel) });
  await readNext(watch);
  const counts = watch.current();
  await watch.close();
  return counts;
}

describe('the counts of the queues of requests', () => {
  it('are those that RabbitMQ says', async () => {
    const counts = await readCounts({ [names.deadQueue]: 3 }, (name) => ({ name, leader: 'rabbit@one', ...MEMBERS }));
    assert.deepEqual(counts?.get('dead'), { messages: 3, consumers: 0 });
    assert.deepEqual(counts?.get('requests'), { messages: 0, consumers: 0 });
  });

  it('are unknown where RabbitMQ says 0 because the queue has no leader, or may have none', async () => {
    const withoutLeader = await readCounts({ [names.requestQueue]: 2 }, (name) => ({ name, ...MEMBERS }));
    assert.deepEqual([...(withoutLeader ?? [])], [['requests', { messages: 2, consumers: 0 }]]);
    const unknown = await readCounts({}, () => {
      throw new AgentError('BrokerUnavailable', 'no answer');
    });
    assert.deepEqual([...(unknown ?? [])], []);
  });
});
