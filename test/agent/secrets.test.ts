import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel, ConsumeMessage } from 'amqplib';
import type { Management } from '../../src/broker/management/management.ts';
import { makeInstallation, NEWCOMER, OTHER, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, cutConnections, openConnection, sharedBroker } from '../support/broker.ts';

async function collect(channel: Channel, queue: string): Promise<ConsumeMessage[]> {
  const messages: ConsumeMessage[] = [];
  await channel.consume(queue, (message) => void (message !== null && messages.push(message)), { noAck: true });
  return messages;
}

describe('secrets', () => {
  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('are in no log, event, dead letter or store, for successes and failures', async () => {
    const installation = await makeInstallation();
    const { broker, config, environment, names, taskcluster, vhost } = installation;
    let breakNextCall = false;
    const wrapManagement = (management: Management): Management => ({
      ...management,
      putUser: (name, user, options) =>
        // A refusal of the real API.
        breakNextCall ? management.putUser('', user, options) : management.putUser(name, user, options),
    });
    const agent = await installation.start({ wrapManagement });
    const admin = await (await openConnection(vhost.amqpUrl)).createChannel();
    const { queue } = await admin.assertQueue('', { exclusive: true });
    await admin.bindQueue(queue, names.eventsExchange, '#');
    const events = await collect(admin, queue);
    const requests = await (await openConnection(vhost.requestUrl)).createChannel();
    const deadLetters = await collect(requests, names.deadQueue);

    const requester = await installation.requester();
    const signatures: string[] = [];
    const handedOut: string[] = [];
    const claim = async (clientId: string, more: object = {}): Promise<void> => {
      const body = { namespace: teamNamespace(), contact: 'secret.contact@example.com' };
      const credentials = taskcluster.credentials(clientId);
      const sent = requester.compose({ method: 'claim-namespace', body, credentials, ...more });
      signatures.push(String(sent.options.headers?.['authorization']));
      if (sent.options.replyTo !== 'amq.rabbitmq.reply-to') {
        await requester.publish(sent);
        await installation.logged('request_served', { correlationId: sent.correlationId });
        return;
      }
      const { json } = await requester.request(sent);
      if (typeof json['connectionString'] === 'string') handedOut.push(json['connectionString']);
    };
    await claim(TEAM);
    await claim(OTHER);
    await claim(NEWCOMER);
    await claim(TEAM, { signed: { audience: 'elsewhere' } });
    await claim(TEAM, { replyTo: 'nowhere' });
    await claim(TEAM, { body: Buffer.from('{"namespace":') });
    await claim(TEAM, { replyTo: 'queue/taskcluster-team-absent/q', body: { namespace: 'taskcluster-team-absent' } });
    taskcluster.behave({ mode: 'failing' });
    await claim(TEAM);
    await taskcluster.refuseConnections();
    await claim(TEAM);
    await taskcluster.acceptConnections();
    taskcluster.behave({ mode: 'normal' });
    breakNextCall = true;
    await claim(TEAM);
    breakNextCall = false;
    await cutConnections(broker, vhost.user);
    await installation.logged('request_connection_lost');
    await claim(TEAM);
    await agent.stop();

    assert.ok(handedOut.length >= 2);
    const secrets = new Map<string, string>([
      ['the agent secret', environment['PULSE_AGENT_SECRET'] ?? ''],
      ['the password of the agent', vhost.password],
      ['the password of the claimant', installation.claimantPassword],
      ...[TEAM, OTHER, NEWCOMER].map(
        (clientId) => [`the access token of ${clientId}`, taskcluster.credentials(clientId).accessToken] as const,
      ),
      ...handedOut.map((url, index) => [`the password of claim ${index}`, new URL(url).password] as const),
      ...signatures.map((header, index) => [`signature ${index}`, /mac="([^"]+)"/.exec(header)?.[1] ?? ''] as const),
    ]);
    const folder = config.storeUrl.reveal().slice('lmdb:'.length);
    const places = new Map<string, string>([
      ['the log', installation.log.join('')],
      ['the events', JSON.stringify(events.map(({ properties, content }) => [properties, content.toString()]))],
      [
        'the dead letters',
        JSON.stringify(deadLetters.map(({ properties, content }) => [properties, content.toString()])),
      ],
      [
        'the store',
        readdirSync(folder)
          .map((name) => readFileSync(join(folder, name), 'latin1'))
          .join(''),
      ],
    ]);
    for (const [place, text] of places) {
      assert.ok(text.length > 100, `there is something in ${place}`);
      for (const [what, secret] of secrets) {
        assert.ok(secret.length > 20, what);
        assert.ok(!text.includes(secret), `${what} is in ${place}`);
        assert.ok(!text.includes(encodeURIComponent(secret)), `${what} is in ${place}`);
      }
      assert.ok(!text.includes('Hawk id='), `an authorization header is in ${place}`);
    }
    for (const place of ['the log', 'the events']) {
      assert.ok(!places.get(place)?.includes('secret.contact'), `a contact is in ${place}`);
    }
  });
});
