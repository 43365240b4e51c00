import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { nodeNameHash, readDirectReplyTo } from '../../../src/broker/amqp/direct-reply-to.ts';
import { createRequesterNodes } from '../../../src/broker/management/requester-nodes.ts';
import { systemClock, systemSleep } from '../../../src/util/clock.ts';
import { DIRECT_REPLY_TO } from '../../../src/contract/names.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../../support/broker.ts';
import { replyAddress } from '../../support/reply-address.ts';

/** The creation of the node, which is part of every pid. */
const creationOf = (address: string): number => {
  const pid = Buffer.from(address.split('.')[3] ?? '', 'base64');
  return pid.readUInt32BE(pid.length - 4);
};

describe('direct reply-to on the broker', () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  let requester: ChannelModel;
  let accepts: (address: string) => Promise<boolean>;
  beforeEach(async () => {
    room = await openBrokerFixture();
    requester = await openConnection(room.amqpUrl);
    const nodes = createRequesterNodes({
      listNodes: () => room.management.listNodes(),
      otpRelease: async () => Number.parseInt((await room.management.overview()).erlangVersion, 10),
      clock: systemClock,
      sleep: systemSleep,
      signal: new AbortController().signal,
    });
    accepts = async (address) => {
      const read = readDirectReplyTo(address);
      return read !== undefined && (await nodes.locate(read)).kind === 'running';
    };
  });

  /** A requester and the address by which the broker delivers its request through a queue. */
  const request = async (queueType: 'classic' | 'quorum') => {
    const channel = await requester.createChannel();
    const replied = new Promise<string>((resolve) => {
      void channel.consume(DIRECT_REPLY_TO, (reply) => resolve(String(reply?.content)), { noAck: true });
    });
    const { queue } = await channel.assertQueue(`requests-${queueType}`, {
      durable: true,
      arguments: { 'x-queue-type': queueType },
    });
    const delivered = new Promise<ConsumeMessage>((resolve) => {
      void channel.consume(queue, (message) => message !== null && resolve(message), { noAck: true });
    });
    channel.sendToQueue(queue, Buffer.from('request'), { replyTo: DIRECT_REPLY_TO });
    const message = await delivered;
    return { address: String(message.properties.replyTo), replied };
  };
  /** Publishes as the agent replies; returns whether the connection survives. */
  const survives = async (addresses: string[]): Promise<boolean> => {
    const responder = await openConnection(room.amqpUrl);
    const closed = new Promise<false>((resolve) => void responder.once('close', () => resolve(false)));
    const channel = await responder.createConfirmChannel();
    channel.on('error', () => undefined);
    for (const address of addresses) channel.publish('', address, Buffer.from('forged'));
    return await Promise.race([
      channel.waitForConfirms().then(
        () => true,
        () => closed,
      ),
      closed,
    ]);
  };

  for (const queueType of ['classic', 'quorum'] as const) {
    it(`accepts a real address that passed a ${queueType} queue, and delivers the reply`, async () => {
      const { address, replied } = await request(queueType);
      assert.equal(readDirectReplyTo(address)?.nodeHash, nodeNameHash(broker().nodeName));
      assert.ok(await accepts(address));
      assert.ok(await survives([address]));
      assert.equal(await replied, 'forged');
    });
  }

  it('accepts only harmless forged addresses', async () => {
    const { address } = await request('quorum');
    const node = `reply@${nodeNameHash(broker().nodeName)}`;
    const creations = [creationOf(address), 0, 1, 2 ** 32 - 1, randomInt(2 ** 32)];
    const forged = Array.from({ length: 500 }, (_, i) =>
      replyAddress({
        node,
        id: [randomInt(2 ** 15), 2 ** 15 - 1, 0][i % 3] ?? 0,
        serial: [randomInt(2 ** 13), 0, 2 ** 13 - 1][i % 3] ?? 0,
        creation: creations[i % creations.length] ?? 0,
        key: randomBytes(16),
      }),
    );
    for (const one of forged) assert.ok(await accepts(one), one);
    assert.ok(await survives(forged));
  });

  it('rejects every mutation of a real address that would close the connection', async () => {
    const { address } = await request('quorum');
    const node = `reply@${nodeNameHash(broker().nodeName)}`;
    const real = { node, creation: creationOf(address) };
    const deadly = [
      'amq.rabbitmq.reply-to.gAAAA.bbbb',
      replyAddress({ ...real, node: 'reply@1' }),
      replyAddress({ ...real, node: broker().nodeName }),
      replyAddress({ ...real, tail: Buffer.alloc(1) }),
      replyAddress({ ...real, nodeLength: 3 }),
      replyAddress({ ...real, head: Buffer.from([0x83, 0x50, 0x76]) }),
      replyAddress({ ...real, id: 2 ** 32 - 1 }),
    ];
    for (let i = 0; i < 60; i += 1) {
      const bytes = Buffer.from(address.split('.')[3] ?? '', 'base64');
      bytes[randomInt(bytes.length)] = randomInt(256);
      deadly.push(`${DIRECT_REPLY_TO}.${bytes.toString('base64')}.${randomBytes(16).toString('base64')}`);
    }
    let killed = 0;
    for (const one of deadly) {
      const accepted = await accepts(one);
      const survived = await survives([one]);
      if (!survived) killed += 1;
      assert.ok(!accepted || survived, `${one} was accepted and cut the connection`);
    }
    assert.ok(killed > 0, 'none of them is deadly: the test proves nothing');
  });
});
