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

  it('a reply never goes to the queue of another client', async () => {
    const { names, vhost, taskcluster } = installation();
    const mine = teamNamespace();
    const theirs = unique('taskcluster-other');
    const mineUrl = await claim(installation(), TEAM, mine);
    const theirChannel = await (await openConnection(await claim(installation(), OTHER, theirs))).createChannel();
    const admin = await (await openConnection(vhost.amqpUrl)).createChannel();
    const theirQueue = `queue/${theirs}/q`;
    await theirChannel.assertQueue(theirQueue);
    const { queue: generated } = await admin.assertQueue('', { durable: true });
    await admin.assertQueue('plain');
    assert.match(generated, /^amq\.gen-/);

    const deadLetters = await installation().deadLetters();
    const requester = await installation().requester(mineUrl);
    const body = { namespace: mine };
    const signed = { method: 'claim-namespace', body, credentials: taskcluster.credentials(TEAM) };
    const addresses = [
      theirQueue,
      generated,
      'plain',
      names.requestQueue,
      names.deadQueue,
      '',
      `queue/${mine}`,
      `queue/${mine}/`,
      `queue/${mine}x/q`,
      `queue//q`,
      `Queue/${mine}/q`,
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
    }
    for (const queue of [theirQueue, generated, 'plain']) {
      assert.equal((await admin.checkQueue(queue)).messageCount, 0, queue);
    }
    await admin.deleteQueue(generated);
  });

  it('a queue of a namespace is refused without a request that is authorised for it', async () => {
    const { taskcluster } = installation();
    const namespace = teamNamespace();
    const url = await claim(installation(), TEAM, namespace);
    const requester = await installation().requester(url);
    const replyTo = `queue/${namespace}/replies`;
    await requester.channel.assertQueue(replyTo);
    const deadLetters = await installation().deadLetters();
    const team = taskcluster.credentials(TEAM);
    const body = { namespace };
    const requests: SentRequest[] = [
      requester.compose({ method: 'ping', replyTo }),
      // Signed by the owner, but this method needs no scope.
      requester.compose({ method: 'get-namespace', body, replyTo, credentials: team }),
      requester.compose({ method: 'claim-namespace', body, replyTo }),
      requester.compose({ method: 'claim-namespace', body, replyTo, credentials: taskcluster.credentials(OTHER) }),
      requester.compose({
        method: 'claim-namespace',
        body: { namespace: `${namespace}-2` },
        replyTo,
        credentials: team,
      }),
      requester.compose({ method: 'make-coffee', body, replyTo, credentials: team }),
    ];
    for (const sent of requests) {
      await requester.publish(sent);
      await deadLetters.find(
        ({ properties }) =>
          properties.correlationId === sent.correlationId && properties.headers?.['x-pulse-agent-reason'] !== undefined,
      );
    }
    assert.equal((await requester.channel.checkQueue(replyTo)).messageCount, 0);
  });

  it('an error goes to a queue of the namespace after signature and scope are checked', async () => {
    const { taskcluster } = installation();
    const namespace = teamNamespace();
    const requester = await installation().requester(await claim(installation(), TEAM, namespace));
    const replyTo = `queue/${namespace}/replies`;
    await requester.channel.assertQueue(replyTo, { exclusive: true, durable: false });
    await requester.readReplies(replyTo);
    const body = { namespace, expires: '2020-01-01T00:00:00Z' };
    const credentials = taskcluster.credentials(TEAM);
    const { json } = await requester.request({ method: 'claim-namespace', body, replyTo, credentials });
    assert.equal(json['code'], 'InputError');
  });

  it('a queue that does not exist: the request is dead-lettered, and the claim is valid', async () => {
    const { taskcluster } = installation();
    const namespace = teamNamespace();
    const requester = await installation().requester();
    const deadLetters = await installation().deadLetters();
    const replyTo = `queue/${namespace}/nowhere`;
    const credentials = taskcluster.credentials(TEAM);
    const sent = requester.compose({ method: 'claim-namespace', body: { namespace }, replyTo, credentials });
    await requester.publish(sent);
    const { properties, content } = await deadLetters.of(sent.correlationId);
    assert.match(String(properties.headers?.['x-pulse-agent-reason']), /could not be delivered.*returned/);
    assert.deepEqual(content, sent.content, 'the dead letter is the request, not the reply with its credentials');
    await claim(installation(), TEAM, namespace);
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

describe('messages that did not come through the rpc exchange', () => {
  // Without broker events, on which the agent would remove the binding before a message uses it.
  const installation = useInstallation({ settings: { eventVhost: unique('nowhere') } });

  it('are not served, neither from a foreign exchange bound to it nor from the queue directly', async () => {
    const { names, vhost, taskcluster } = installation();
    const namespace = teamNamespace();
    const url = await claim(installation(), TEAM, namespace);
    const requester = await installation().requester(url);
    const foreign = `exchange/${namespace}/foreign`;
    await requester.channel.assertExchange(foreign, 'fanout');
    // A user with write on an exchange may bind any exchange that it can read to it.
    await requester.channel.bindExchange(names.rpcExchange, foreign, 'ping');
    const admin = await (await openConnection(vhost.amqpUrl)).createChannel();

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
    assert.equal((await admin.checkQueue(names.requestQueue)).messageCount, 0);
    await requester.channel.unbindExchange(names.rpcExchange, foreign, 'ping');
  });
});
