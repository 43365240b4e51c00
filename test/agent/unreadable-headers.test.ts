import assert from 'node:assert/strict';
import { type TestInstallation, useInstallation } from '../support/agent.ts';
import { cutConnections } from '../support/broker.ts';
import { nestedTable, publishRaw, type RawMessage } from '../support/raw-amqp.ts';
import { linesWith } from '../support/test-log.ts';

/** Deep enough to overflow the stack of amqplib's recursive decoder; the broker needs seconds for much deeper ones. */
const DEPTH = 6_000;

async function cutAgentConnections(installation: TestInstallation): Promise<void> {
  const { broker, vhost } = installation;
  await cutConnections(broker, vhost.user);
  await installation.logged('reply_connection_lost');
}

describe('properties that are not UTF-8', () => {
  const installation = useInstallation();
  // Decoded as UTF-8, each byte becomes a character of three bytes, which exceeds AMQP's limit of 255.
  const bytes = Buffer.alloc(255, 0xff);

  const messages: readonly (readonly [string, Partial<RawMessage>])[] = [
    ['correlation_id', { correlationId: bytes }],
    ['content_type', { contentType: bytes }],
    ['routing key', { routingKey: bytes }],
  ];
  for (const [what, message] of messages) {
    it(`${what}: dead-lettered, without an effect on other requests`, async () => {
      const { names, claimantUrl, log } = installation();
      const before = log.length;
      const whole = {
        exchange: names.rpcExchange,
        routingKey: 'ping',
        correlationId: what,
        headerTable: Buffer.alloc(0),
      };
      await publishRaw(claimantUrl, { ...whole, ...message });
      const correlationId = message.correlationId === bytes ? /\ufffd/ : what;
      await installation().logged('request_served', { sent: 'dead-lettered', correlationId });
      // Its retry after a reconnect must not delay other replies either.
      await cutAgentConnections(installation());
      assert.equal((await (await installation().rpc()).request('ping', {})).alive, true);
      assert.deepEqual(linesWith(log.slice(before), 'reply_channel_closed'), []);
    });
  }
});

describe('headers that cannot be decoded', () => {
  const installation = useInstallation();

  for (const method of ['ping', 'make-coffee']) {
    it(`${method} with nested arrays: dead-lettered, without an effect on other requests`, async () => {
      const { names, claimantUrl, log } = installation();
      const rpc = await installation().rpc();
      const pings = Array.from({ length: 50 }, () => rpc.request('ping', {}));
      const message = { exchange: names.rpcExchange, routingKey: method, correlationId: 'x' };
      await publishRaw(claimantUrl, { ...message, headerTable: nestedTable(DEPTH) });
      pings.push(...Array.from({ length: 50 }, () => rpc.request('ping', {})));
      for (const { alive } of await Promise.all(pings)) assert.equal(alive, true);
      const lost = ['request_connection_lost', 'reply_connection_lost'] as const;
      assert.deepEqual(
        lost.flatMap((code) => linesWith(log, code)),
        [],
      );
      // The alternate exchange dead-letters an unknown method unchanged, so this client could not decode it either.
      if (method === 'make-coffee') return;
      const deadLetters = await installation().deadLetters();
      const letter = await deadLetters.find(({ fields }) => fields.routingKey === method);
      const headers = String(letter.properties.headers?.['x-pulse-agent-headers']);
      assert.match(headers, /"unreadable":"Maximum call stack size exceeded"/);
    });
  }
});
