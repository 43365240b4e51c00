import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { BROKER_EVENT_TYPES, type Headers, readBrokerEvent } from '../../../src/broker/amqp/broker-events.ts';

interface Sample {
  readonly routingKey: string;
  readonly headers: Headers;
}

const VERSIONS = ['3.10.8', '4.0.5'];
const known: readonly string[] = BROKER_EVENT_TYPES;

function samples(version: string): Sample[] {
  const file = new URL(`../../data/broker-events-${version}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Sample[];
}

describe('broker events', () => {
  for (const version of VERSIONS) {
    it(`of RabbitMQ ${version} are read; unknown ones are ignored`, () => {
      const seen = new Set<string>();
      for (const { routingKey, headers } of samples(version)) {
        const event = readBrokerEvent(routingKey, headers);
        assert.equal(event?.type, known.includes(routingKey) ? routingKey : undefined, routingKey);
        if (event === undefined) continue;
        seen.add(event.type);
        assert.equal(event.atMs, headers['timestamp_in_ms']);
        assert.equal(event.by, headers['user_who_performed_action']);
      }
      for (const type of ['user.deleted', 'user.limits.set', 'permission.created', 'alarm.set']) {
        assert.ok(seen.has(type), type);
      }
    });

    it(`of RabbitMQ ${version} keep all that the agent uses`, () => {
      const read = (type: string) => {
        const sample = samples(version).find(({ routingKey }) => routingKey === type);
        const { atMs: _at, ...event } = readBrokerEvent(type, sample?.headers ?? {}) ?? {};
        return event;
      };
      assert.deepEqual(read('queue.created'), { type: 'queue.created', vhost: '/', queue: 'q-client', by: 'evu' });
      assert.deepEqual(read('user.limits.set'), { type: 'user.limits.set', user: 'evu2', by: 'guest' });
      assert.deepEqual(read('permission.created'), {
        type: 'permission.created',
        vhost: '/',
        user: 'evu',
        by: 'guest',
      });
      const alarm = read('alarm.cleared') as { alarm: string; node: string };
      assert.equal(alarm.alarm, 'memory');
      assert.match(alarm.node, /@localhost$/);
    });
  }

  it('are ignored when a required header is missing or of another type', () => {
    for (const type of BROKER_EVENT_TYPES) {
      assert.equal(readBrokerEvent(type, {}), undefined, type);
      const wrong = { name: 7, user: null, username: [], vhost: {}, queue: 1, source: true, source_name: [1] };
      assert.equal(readBrokerEvent(type, wrong), undefined, type);
    }
  });

  it('may lack optional headers', () => {
    assert.deepEqual(readBrokerEvent('user.deleted', { name: 'x' }), {
      type: 'user.deleted',
      user: 'x',
      atMs: undefined,
      by: undefined,
    });
    assert.deepEqual(readBrokerEvent('alarm.set', { source: 'disk', node: 1, future: [{}] }), {
      type: 'alarm.set',
      alarm: 'disk',
      node: undefined,
      atMs: undefined,
      by: undefined,
    });
  });
});
