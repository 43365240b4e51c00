import assert from 'node:assert/strict';
import type { Channel } from 'amqplib';
import { createRequestVhostSweep } from '../../src/broker/sweep-request-vhost.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';

describe('the sweep of the request vhost', () => {
  useSharedBroker();
  const { signal } = new AbortController();
  let fixture: BrokerFixture;
  let channel: Channel;
  let lists: number;
  beforeEach(async () => {
    fixture = await openBrokerFixture();
    await fixture.open();
    channel = await (await openConnection(fixture.requestUrl)).createChannel();
    lists = 0;
  });

  const sweep = () => {
    const { id, requestVhost, management } = fixture;
    const counting = {
      listBindings: async (...call: Parameters<typeof management.listBindings>) => {
        lists += 1;
        return await management.listBindings(...call);
      },
      deleteBinding: management.deleteBinding.bind(management),
      deleteExchange: management.deleteExchange.bind(management),
    };
    return createRequestVhostSweep({ id, requestVhost, management: counting });
  };
  const bindings = async () => (await fixture.management.listBindings(fixture.requestVhost)).length;

  it('leaves the bindings of the agent alone', async () => {
    const before = await bindings();
    assert.deepEqual(await sweep()(signal), { removed: 0, left: 0, sources: [], deleted: [] });
    assert.equal(await bindings(), before);
  });

  it('removes foreign bindings with and without arguments, into the requests and of their queues, in one listing', async () => {
    const before = await bindings();
    const { rpcExchange, requestQueue } = fixture.names;
    await channel.assertExchange('foreign', 'headers');
    await channel.bindExchange(rpcExchange, 'foreign', 'a~b/c');
    await channel.bindExchange(rpcExchange, 'foreign', 'key', { 'x-match': 'all', a: 'b' });
    await channel.bindExchange(rpcExchange, 'amq.topic', '#');
    await channel.bindQueue(requestQueue, 'amq.topic', 'ping');
    assert.deepEqual(await sweep()(signal), { removed: 4, left: 0, sources: ['amq.topic', 'foreign'], deleted: [] });
    assert.equal(lists, 1);
    assert.equal(await bindings(), before);
    await channel.checkExchange('foreign');
  });

  it('deletes a source with more than 100 bindings, and leaves the rest of a built-in one to the next sweep', async () => {
    const before = await bindings();
    await channel.assertExchange('foreign', 'topic');
    for (let index = 0; index < 101; index += 1) {
      await channel.bindExchange(fixture.names.rpcExchange, 'foreign', String(index));
      await channel.bindExchange(fixture.names.rpcExchange, 'amq.topic', String(index));
    }
    const run = sweep();
    assert.deepEqual(await run(signal), {
      removed: 201,
      left: 1,
      sources: ['amq.topic', 'foreign'],
      deleted: ['foreign'],
    });
    assert.deepEqual(await run(signal), { removed: 1, left: 0, sources: ['amq.topic'], deleted: [] });
    assert.equal(await bindings(), before);
  });

  it('runs once at a time', async () => {
    const run = sweep();
    const [one, other] = await Promise.all([run(signal), run(signal)]);
    assert.equal(one, other);
    assert.equal(lists, 1);
  });
});
