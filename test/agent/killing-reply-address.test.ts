import assert from 'node:assert/strict';
import type { Management } from '../../src/broker/management/management.ts';
import { DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { type TestInstallation, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { skipBecause } from '../support/skip.ts';

/** The last Erlang/OTP release in which a pid with a large id kills the publisher's connection. */
const LAST_NARROW_OTP = 25;

/** A direct reply-to address in the broker's format. */
async function realAddress({ vhost }: TestInstallation): Promise<string> {
  const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
  await channel.consume(DIRECT_REPLY_TO, () => undefined, { noAck: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const delivered = new Promise<unknown>((resolve, reject) => {
    channel.consume(queue, (message) => resolve(message?.properties.replyTo), { noAck: true }).catch(reject);
  });
  channel.sendToQueue(queue, Buffer.alloc(0), { replyTo: DIRECT_REPLY_TO });
  return String(await delivered);
}

/** The same address with another process id; the broker fails only with the creation of the running node. */
function withLargeId(address: string): string {
  const [pid = '', key = ''] = address.slice(DIRECT_REPLY_TO.length + 1).split('.');
  const bytes = Buffer.from(pid, 'base64');
  bytes.writeUInt32BE(2 ** 20, bytes.length - 12);
  return `${DIRECT_REPLY_TO}.${bytes.toString('base64')}.${key}`;
}

describe('a reply address that passes the check and kills the reply connection', () => {
  let otpRelease = 0;
  // With the check for a newer Erlang, the agent accepts ids that this broker cannot decode.
  const mistaken = (management: Management): Management => ({
    ...management,
    async overview(options) {
      const overview = await management.overview(options);
      otpRelease = Number.parseInt(overview.erlangVersion, 10);
      return { ...overview, erlangVersion: '27.0' };
    },
  });
  const installation = useInstallation({ agent: { wrapManagement: mistaken } });

  it('is dead-lettered after one retry, and all other requests are answered', async function () {
    const { log } = installation();
    if (otpRelease > LAST_NARROW_OTP) skipBecause(this, `no address is known that Erlang/OTP ${otpRelease} trips over`);
    const deadLetters = await installation().deadLetters();
    const forger = await installation().requester();
    const rpc = await installation().rpc();
    const replyTo = withLargeId(await realAddress(installation()));

    const pings = Array.from({ length: 50 }, () => rpc.request('ping', {}));
    const killers = Array.from({ length: 3 }, () => forger.compose({ method: 'ping', replyTo }));
    for (const sent of killers) {
      await forger.publish(sent);
      pings.push(...Array.from({ length: 10 }, () => rpc.request('ping', {})));
    }
    for (const sent of killers) {
      const { properties } = await deadLetters.of(sent.correlationId);
      assert.match(String(properties.headers?.['x-pulse-agent-reason']), /could not be delivered.*refused/);
      assert.equal(properties.headers?.['x-pulse-agent-reply-to'], replyTo);
    }
    for (const { alive } of await Promise.all(pings)) assert.equal(alive, true);
    const deaths = log.filter((line) => line.includes('reply_connection_lost')).length;
    assert.ok(deaths >= 2 && deaths <= 2 * killers.length, `the reply connection died ${deaths} times`);
    assert.ok(!log.some((line) => line.includes('request_connection_lost')));
  });
});
