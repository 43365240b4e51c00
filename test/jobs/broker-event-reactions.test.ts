import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type BrokerEvent, type Headers, readBrokerEvent } from '../../src/broker/amqp/broker-events.ts';
import { decideReaction, type ReactionOptions } from '../../src/jobs/broker-event-reactions.ts';

const OPTIONS: ReactionOptions = {
  id: 'pulse-agent',
  vhost: 'pulse',
  usernamePrefix: '',
  namespacePrefix: 'taskcluster-',
  ownUsers: new Set(),
};
const QUEUE = 'queue/taskcluster-x/jobs';

function react(type: BrokerEvent['type'], headers: Headers) {
  const event = readBrokerEvent(type, { vhost: 'pulse', ...headers });
  assert.ok(event !== undefined);
  return decideReaction(OPTIONS, event);
}

describe('the reaction to events of queues', () => {
  it('is an inspection of a queue that is new or has lost a consumer', () => {
    assert.deepEqual(react('queue.created', { name: QUEUE }), { kind: 'inspect', queue: QUEUE, isNew: true });
    assert.deepEqual(react('consumer.deleted', { queue: QUEUE }), { kind: 'inspect', queue: QUEUE, isNew: false });
  });

  it('is to forget a queue that is deleted', () => {
    assert.deepEqual(react('queue.deleted', { name: QUEUE }), { kind: 'forget', queue: QUEUE });
  });

  it('is none for queues of no namespace or another vhost', () => {
    const none = { kind: 'none' };
    assert.deepEqual(react('queue.created', { name: 'queue/pulse-agent/v1/requests' }), none);
    assert.deepEqual(react('queue.created', { name: 'amq.gen-x' }), none);
    assert.deepEqual(react('queue.created', { name: QUEUE, vhost: '/' }), none);
  });

  for (const version of ['3.10.8', '4.0.5']) {
    it(`is decided for every event that RabbitMQ ${version} sends`, () => {
      const file = new URL(`../data/broker-events-${version}.json`, import.meta.url);
      const samples = JSON.parse(readFileSync(file, 'utf8')) as { routingKey?: string; headers?: Headers }[];
      const events = Object.values(samples).flatMap(({ routingKey = '', headers = {} }) => {
        const event = readBrokerEvent(routingKey, headers);
        return event === undefined ? [] : [event];
      });
      assert.ok(events.some(({ type }) => type === 'queue.created'));
      for (const event of events) decideReaction(OPTIONS, event);
    });
  }
});
