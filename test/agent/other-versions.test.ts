import assert from 'node:assert/strict';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { requestUrl } from '../../src/client/request-url.ts';
import { METHODS } from '../../src/contract/methods.ts';
import { DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';

/** The error with which the broker closes the channel of a publish to this exchange. */
async function closingCode(
  connection: ChannelModel,
  exchange: string,
  prepare?: (channel: ConfirmChannel) => Promise<unknown>,
): Promise<number | undefined> {
  const channel = await connection.createConfirmChannel();
  const closed = new Promise<Error & { code?: number }>((resolve) => channel.once('error', resolve));
  if (prepare !== undefined) await prepare(channel);
  channel.publish(exchange, 'ping', Buffer.from('{}'), { replyTo: DIRECT_REPLY_TO, correlationId: '1' });
  return (await closed).code;
}

const consumeReplies = (channel: ConfirmChannel): Promise<unknown> =>
  channel.consume(DIRECT_REPLY_TO, () => undefined, { noAck: true });

/** The error with which the broker closes a connection; undefined while it is open. */
async function refusalOf(opening: Promise<unknown>): Promise<string | undefined> {
  return await opening.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

describe('limits of the claimant', () => {
  const installation = useInstallation({
    settings: { claimantLimits: { 'max-connections': 2, 'max-channels': 3 } },
  });

  it('answer one connection or channel too many with 530', async () => {
    const { claimantUrl } = installation();
    const connection = await openConnection(claimantUrl);
    await openConnection(claimantUrl);
    // amqplib does not report the code with which a connection is refused.
    assert.match(String(await refusalOf(openConnection(claimantUrl))), /ConnectionClose/);
    const closed: (Error & { code?: number })[] = [];
    connection.once('error', (error: Error) => closed.push(error));
    // The broker counts channels with a delay.
    for (let channels = 0; channels < 500 && closed.length === 0; channels += 1) {
      await connection.createChannel().catch(() => undefined);
    }
    assert.equal(closed[0]?.code, 530);
  });
});

describe('methods and versions that the agent does not have', () => {
  const installation = useInstallation();

  it('an unknown method is answered with the known ones, signed or not', async () => {
    const { taskcluster } = installation();
    const requester = await installation().requester();
    const deadLetters = await installation().deadLetters();
    const body = { namespace: teamNamespace(), to: 'taskcluster-other', why: ['fields', { of: 'a later version' }] };
    for (const credentials of [undefined, taskcluster.credentials(TEAM)]) {
      const sent = requester.compose({ method: 'transfer-namespace', body, ...(credentials && { credentials }) });
      const { json, properties } = await requester.request(sent);
      assert.equal(properties.type, 'error');
      assert.equal(json['code'], 'InputError');
      assert.equal(json['retryable'], false);
      assert.deepEqual(json['details'], { field: 'method', methods: Object.keys(METHODS) });
      assert.equal((await deadLetters.of(sent.correlationId)).fields.routingKey, 'transfer-namespace');
    }
  });

  it('a later version has no exchange: the broker closes the channel with 404, and a new channel works', async () => {
    const { claimantUrl, config } = installation();
    const later = `rpc/${config.id}/v2`;
    const rpc = await installation().rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace: teamNamespace() });
    for (const url of [claimantUrl, requestUrl(connectionString, config.requestVhost)]) {
      const connection = await openConnection(url);
      assert.equal(await closingCode(connection, later, consumeReplies), 404);
      const again = await installation().rpc(TEAM, url);
      assert.equal((await again.request('ping', {})).alive, true);
    }
  });

  it('RabbitMQ itself answers an unknown or forbidden exchange with 403, and a missing reply consumer with 406', async () => {
    const { claimantUrl, names } = installation();
    const connection = await openConnection(claimantUrl);
    assert.equal(await closingCode(connection, 'rpc/no-such-agent/v1', consumeReplies), 403);
    assert.equal(await closingCode(connection, `${names.rpcExchange}/dead`, consumeReplies), 403);
    assert.equal(await closingCode(connection, names.rpcExchange), 406, 'without a consumer of replies');
  });
});
