import assert from 'node:assert/strict';
import { nodeNameHash } from '../../src/broker/amqp/direct-reply-to.ts';
import { OTHER, TEAM, teamNamespace, type TestInstallation, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { unique } from '../support/folders.ts';
import { replyAddress } from '../support/reply-address.ts';
import type { SentRequest } from '../support/requester.ts';

/** Claims a namespace of the client and returns its connection string. */
async function claim(installation: TestInstallation, clientId: string, namespace: string): Promise<string> {
  const rpc = await installation.rpc(clientId);
  return (await rpc.request('claim-namespace', { namespace })).connectionString;
}

describe('reply addresses over AMQP', () => {
  const installation = useInstallation();

  it('a reply never goes to a queue, neither in the vhost of the tenants nor in that of the requests', async () => {
    const { names, vhost, taskcluster } = installation();
    const mine = teamNamespace();
    const theirs = unique('taskcluster-other');
    const mineUrl = await claim(installation(), TEAM, mine);
    const theirChannel = await (await openConnection(await claim(installation(), OTHER, theirs))).createChannel();
    const tenants = await (await openConnection(vhost.amqpUrl)).createChannel();
    const requests = await (await openConnection(vhost.requestUrl)).createChannel();
    const theirQueue = `queue/${theirs}/q`;
    const myQueue = `queue/${mine}/replies`;
    await theirChannel.assertQueue(theirQueue);
    const { queue: generated } = await tenants.assertQueue('', { durable: true });
    const queues = [theirQueue, myQueue, 'plain'];
    for (const admin of [tenants, requests]) for (const queue of queues) await admin.assertQueue(queue);

    const deadLetters = await installation().deadLetters();
    const requester = await installation().requester(mineUrl);
    const body = { namespace: mine };
    const signed = { method: 'claim-namespace', body, credentials: taskcluster.credentials(TEAM) };
    const addresses = [
      ...queues,
      generated,
      names.requestQueue,
      names.deadQueue,
      names.unknownMethodsQueue,
      '',
      `queue/${mine}`,
      `queue/${mine}/nowhere`,
      'amq.rabbitmq.reply-to.',
      'amq.rabbitmq.reply-to.x',
    ];
    for (const replyTo of addresses) {
      const sent = requester.compose({ ...signed, replyTo });
      await requester.publish(sent);
      const letter = await deadLetters.of(sent.correlationId);
      const headers = letter.properties.headers ?? {};
      assert.match(String(headers['x-pulse-agent-reason']), /reply_to/, replyTo);
      assert.equal(headers['x-pulse-agent-reply-to'], replyTo);
      assert.ok(!JSON.stringify(letter.properties).includes('Hawk'), replyTo);
      assert.deepEqual(letter.content, sent.content);
    }
    for (const admin of [tenants, requests]) {
      for (const queue of queues) assert.equal((await admin.checkQueue(queue)).messageCount, 0, queue);
    }
    assert.equal((await tenants.checkQueue(generated)).messageCount, 0);
    for (const queue of queues) await requests.deleteQueue(queue);
  });

  it('a request whose reply_to is a queue is not served, whatever the method and the signature', async () => {
    const { taskcluster } = installation();
    const namespace = teamNamespace();
    const requester = await installation().requester();
    const replyTo = `queue/${namespace}/replies`;
    const deadLetters = await installation().deadLetters();
    const team = taskcluster.credentials(TEAM);
    const body = { namespace };
    const requests: SentRequest[] = [
      requester.compose({ method: 'ping', replyTo }),
      requester.compose({ method: 'get-namespace', body, replyTo, credentials: team }),
      requester.compose({ method: 'claim-namespace', body, replyTo }),
      requester.compose({ method: 'claim-namespace', body, replyTo, credentials: team }),
      requester.compose({ method: 'claim-namespace', body, replyTo, credentials: taskcluster.credentials(OTHER) }),
      requester.compose({ method: 'make-coffee', body, replyTo, credentials: team }),
    ];
    for (const sent of requests) {
      await requester.publish(sent);
      await deadLetters.find(
        ({ properties }) =>
          properties.correlationId === sent.correlationId && properties.headers?.['x-pulse-agent-reason'] !== undefined,
      );
    }
    const { json } = await requester.request({ method: 'get-namespace', body });
    assert.equal(json['code'], 'ResourceNotFound', 'the claim was not served');
  });

  it('forged direct reply-to addresses close no connection and delay no client', async () => {
    const { broker, log } = installation();
    const node = `reply@${nodeNameHash(broker.nodeName)}`;
    const good = { node };
    const random = Buffer.from(unique('x').repeat(3));
    const forged = [
      'amq.rabbitmq.reply-to.gAAAA.bbbb',
      'amq.rabbitmq.reply-to.g.b',
      `${replyAddress(good)}=`,
      replyAddress(good).replace(/=*\.([^.]*)$/, '.$1'),
      `${replyAddress(good)}.more`,
      replyAddress({}),
      replyAddress({ node: 'reply@1' }),
      replyAddress({ node: broker.nodeName }),
      replyAddress({ node: 'rabbit@elsewhere' }),
      replyAddress({ node: '' }),
      replyAddress({ ...good, id: 2 ** 32 - 1 }),
      replyAddress({ ...good, serial: 2 ** 32 - 1, id: 2 ** 32 - 1 }),
      replyAddress({ ...good, nodeLength: 65_535 }),
      replyAddress({ ...good, head: Buffer.from([0x83, 0x67, 0x76]) }),
      replyAddress({ ...good, tail: Buffer.from([0]) }),
      replyAddress({ ...good, key: Buffer.alloc(15) }),
      `amq.rabbitmq.reply-to.${random.toString('base64')}.${random.toString('base64')}`,
    ];
    const deadLetters = await installation().deadLetters();
    const forger = await installation().requester();
    const rpc = await installation().rpc();
    const requests: Promise<unknown>[] = [];
    for (const replyTo of forged) {
      requests.push(rpc.request('ping', {}), rpc.request('list-namespaces', {}));
      const sent = forger.compose({ method: 'ping', replyTo });
      await forger.publish(sent);
      const { properties } = await deadLetters.of(sent.correlationId);
      assert.match(String(properties.headers?.['x-pulse-agent-reason']), /no running node wrote/, replyTo);
    }
    await Promise.all(requests);
    assert.deepEqual(
      log.filter((line) => line.includes('connection_lost')),
      [],
    );
  });

  it('only its own answer is lost when a requester disconnects', async () => {
    const { taskcluster, agent } = installation();
    const namespace = teamNamespace();
    const requester = await installation().requester();
    taskcluster.behave({ mode: 'slow', delayMs: 300 });
    const credentials = taskcluster.credentials(TEAM);
    await requester.publish(requester.compose({ method: 'claim-namespace', body: { namespace }, credentials }));
    await requester.connection.close();
    const rpc = await installation().rpc(TEAM);
    // Claims of one namespace are served concurrently; this one was sent later and takes as long.
    await rpc.request('claim-namespace', { namespace });
    taskcluster.behave({ mode: 'normal' });
    assert.equal((await rpc.request('ping', {})).alive, true);
    assert.ok((agent.requestCounts.get('claim-namespace result') ?? 0) > 0);
  });
});

/** What only an administrator of the vhost of the requests can do. */
describe('messages that no client sent as a request', () => {
  // Without broker events, on which the agent would remove the binding before a message uses it.
  const installation = useInstallation({ settings: { eventVhost: unique('nowhere') } });

  it('are dropped when another exchange brought them', async () => {
    const { names, vhost, taskcluster } = installation();
    const requester = await installation().requester(vhost.requestUrl);
    const foreign = unique('foreign');
    await requester.channel.assertExchange(foreign, 'fanout');
    await requester.channel.bindExchange(names.rpcExchange, foreign, 'ping');

    const other = teamNamespace();
    const credentials = taskcluster.credentials(TEAM);
    const smuggled = [
      requester.compose({ method: 'ping', exchange: foreign }),
      requester.compose({ method: 'claim-namespace', body: { namespace: other }, exchange: foreign, credentials }),
    ];
    for (const sent of smuggled) {
      let answered = false;
      requester.replyTo(sent.correlationId).then(
        () => (answered = true),
        () => undefined,
      );
      await requester.publish(sent);
      await installation().logged('request_served', { correlationId: sent.correlationId, sent: 'dropped' });
      await requester.request({ method: 'ping' });
      assert.equal(answered, false, sent.method);
    }
    assert.equal(
      (await requester.request({ method: 'get-namespace', body: { namespace: other } })).json['code'],
      'ResourceNotFound',
    );
    assert.equal((await requester.channel.checkQueue(names.requestQueue)).messageCount, 0);
    await requester.channel.unbindExchange(names.rpcExchange, foreign, 'ping');
  });

  it('are dropped and counted when RabbitMQ dead-lettered them into the request exchange', async () => {
    const { names, vhost, taskcluster, agent } = installation();
    const requester = await installation().requester(vhost.requestUrl);
    const namespace = teamNamespace();
    for (const method of ['ping', 'claim-namespace'] as const) {
      const queue = unique('source');
      await requester.channel.assertQueue(queue, {
        deadLetterExchange: names.rpcExchange,
        deadLetterRoutingKey: method,
        messageTtl: 0,
      });
      const before = agent.requestCounts.get(`${method} dropped`) ?? 0;
      // The signature is that of the method, so that the request would be served.
      const body = method === 'ping' ? {} : { namespace };
      const signed = { method, body, credentials: taskcluster.credentials(TEAM) };
      const sent = { ...requester.compose(signed), exchange: '', method: queue };
      await requester.publish(sent);
      await installation().logged('request_served', {
        correlationId: sent.correlationId,
        sent: 'dropped',
        reason: 'it was dead-lettered by RabbitMQ',
      });
      assert.equal(agent.requestCounts.get(`${method} dropped`), before + 1);
      await requester.channel.deleteQueue(queue);
    }
    const { json } = await requester.request({ method: 'get-namespace', body: { namespace } });
    assert.equal(json['code'], 'ResourceNotFound');
  });
});
