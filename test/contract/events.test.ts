import assert from 'node:assert/strict';
import * as z from 'zod';
import { EVENT_TYPES, type EventType, isEventType } from '../../src/contract/event-types.ts';
import { type EventData, eventRoutingKey, eventSchema, makeEvent } from '../../src/contract/events.ts';

const at = '2026-11-24T12:00:00.000Z';
const namespace = 'taskcluster-builds';
const queue = 'queue/taskcluster-builds/jobs.v1';
const account = 'taskcluster-builds-1';

const examples: { [T in EventType]: EventData<T> } = {
  'namespace.claimed': { namespace, clientId: 'c', first: true, created: at, expires: at, reclaimAt: at },
  'namespace.refused': { namespace, clientId: 'c', reason: 'objects' },
  'namespace.rotated': { namespace, account, generation: 2, nextRotation: at },
  'namespace.expiring': { namespace, reason: 'expired', expires: at },
  'namespace.expired': { namespace, reason: 'released', queues: 1, exchanges: 0 },
  'namespace.released': { namespace, clientId: 'c', userId: account },
  'namespace.revoked': { namespace, clientId: 'c', revokedUntil: at },
  'namespace.failing': { namespace, work: 'deletion', failures: 2, error: 'BrokerUnavailable', retryAt: at },
  'queue.warning': { namespace, queue, messages: 4001, warnAtMessages: 4000, deleteAtMessages: 8000 },
  'queue.recovered': { namespace, queue, messages: 0 },
  'queue.deleted': { namespace, queue, messages: 8001, deleteAtMessages: 8000 },
  'queue.purged': { namespace, queue, messages: 8001, oldest: at, deleteAtMessages: 8000 },
  'queue.left': { namespace, queue, messages: 8001, deleteAtMessages: 8000 },
  'queue.idle': { namespace, queue, messages: 3, idleSince: at, expires: at },
  'queue.expired': { namespace, queue, messages: 3, idleSince: at },
  'queue.exempted': { namespace, queue, until: at },
  'queue.exemption-ended': { namespace, queue, reason: 'expired' },
  'notice.failed': { namespace, queue, notice: 'queue-warning', attempts: 3, error: 'DenylistedAddress' },
  'connection.closed': { namespace, account, connection: '10.0.0.7:1 -> 10.0.0.2:2', reason: 'age' },
  'account.repaired': { namespace, account, repaired: ['permissions'] },
  'broker.alarm': { alarm: 'memory', active: true },
  'agent.started': { version: '1.0.0' },
  'agent.stopped': { version: '1.0.0', uptimeSeconds: 1.5 },
};

function make<T extends EventType>(type: T, data: EventData<T>): ReturnType<typeof makeEvent<T>> {
  return makeEvent({
    type,
    id: 'e-1',
    timeMs: Date.parse(at),
    agent: 'pulse-agent',
    instance: 'host-1.example.com',
    data,
  });
}

describe('agent events', () => {
  const types = Object.keys(EVENT_TYPES).filter(isEventType);

  it('have the types of the contract', () => {
    assert.deepEqual(types, Object.keys(examples));
  });

  for (const type of types) {
    it(`${type} is a CloudEvent with a subject and a routing key of one word after the type`, () => {
      const { event, routingKey } = make(type, examples[type]);
      const { data, ...envelope } = event;
      assert.deepEqual(data, examples[type]);
      const about = 'namespace' in data ? data.namespace : 'host-1.example.com';
      assert.deepEqual(envelope, {
        specversion: '1.0',
        id: 'e-1',
        source: '/pulse-agent/host-1.example.com',
        type,
        subject: 'queue' in data ? data.queue : about,
        time: at,
        datacontenttype: 'application/json',
      });
      assert.equal(routingKey, `${type}.${'namespace' in data ? namespace : 'host-1-example-com'}`);
      assert.equal(routingKey.split('.').length, 3);
      assert.deepEqual(eventSchema(type).parse(JSON.parse(JSON.stringify(event))), event);
      assert.equal(z.toJSONSchema(eventSchema(type)).type, 'object');
    });

    it(`${type} refuses an extra field, such as a contact`, () => {
      for (const extra of ['contact', 'password', 'connectionString']) {
        assert.throws(() => make(type, { ...examples[type], [extra]: 'x' }), z.ZodError);
      }
    });
  }

  it('have routing keys that fit into AMQP for every instance name', () => {
    assert.equal(eventRoutingKey('agent.started', 'a.b#*ä c'), 'agent.started.a-b----c');
    assert.ok(Buffer.byteLength(eventRoutingKey('agent.started', 'x'.repeat(1000))) <= 255);
  });
});
