import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { systemSleep } from '../../../src/util/clock.ts';
import { AgentError, isAgentError } from '../../../src/util/agent-errors.ts';
import {
  closeConnections,
  closeOpenConnections,
  type ConnectionCalls,
} from '../../../src/namespaces/connections/close-connections.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../../support/broker.ts';

const { signal } = new AbortController();

/** The calls of a broker that fails to close anything at first, as when a client closes a connection at that moment. */
function stumbling(calls: ConnectionCalls, stumbles: number): ConnectionCalls {
  let left = stumbles;
  return {
    ...calls,
    async closeUserConnections(...call) {
      left -= 1;
      if (left >= 0) throw new AgentError('BrokerUnavailable', 'By a test.');
      await calls.closeUserConnections(...call);
    },
  };
}

describe('closeConnections', () => {
  useSharedBroker();
  let room: BrokerFixture;
  beforeEach(async () => {
    room = await openBrokerFixture();
  });

  const open = async (count: number): Promise<{ connections: ChannelModel[]; closed: Promise<unknown> }> => {
    const connections = await Promise.all(Array.from({ length: count }, () => openConnection(room.amqpUrl)));
    return { connections, closed: Promise.all(connections.map((connection) => once(connection, 'close'))) };
  };
  const close = (calls: ConnectionCalls = room.management): Promise<string[]> =>
    closeConnections(calls, room.user, 'because of the test', { signal }, systemSleep);

  it('works concurrently while clients disconnect by themselves', async () => {
    for (let round = 0; round < 4; round += 1) {
      const { connections, closed } = await open(40);
      for (const connection of connections.slice(0, 20)) connection.close().catch(() => undefined);
      await Promise.all([close(), close(), close()]);
      await closed;
      assert.deepEqual(await room.management.listUserConnections(room.user), []);
    }
  });

  it('continues when the broker fails over a connection that was just closed', async () => {
    const { closed } = await open(3);
    const names = await close(stumbling(room.management, 2));
    assert.equal(names.length, 3);
    await closed;
  });

  it('fails with its cause when they stay open', async () => {
    await open(1);
    const reason = new AgentError('BrokerUnavailable', 'By a test.');
    const closing = close({ ...room.management, closeUserConnections: () => Promise.reject(reason) });
    await assert.rejects(closing, (error) => isAgentError(error, 'BrokerUnavailable') && error.cause === reason);
  });

  it('blames a cache of logins when the client opens another connection whenever one is closed', async () => {
    let opened = 0;
    const closing = close({
      listUserConnections: async () => [{ name: `connection ${opened}`, user: room.user }],
      closeUserConnections: async () => void (opened += 1),
    });
    await assert.rejects(
      closing,
      (error) => isAgentError(error, 'BrokerUnavailable') && error.message.includes('rabbitmq_auth_backend_cache'),
    );
  });

  describe('closeOpenConnections', () => {
    const closeOpen = (calls: ConnectionCalls): Promise<string[]> =>
      closeOpenConnections(calls, room.user, 'because of the test', { signal }, systemSleep);

    it('closes connections that were opened a moment ago, and none that open immediately after', async () => {
      const { closed } = await open(3);
      let later: ChannelModel | undefined;
      const names = await closeOpen({
        ...room.management,
        async closeUserConnections(...call) {
          await room.management.closeUserConnections(...call);
          later = await openConnection(room.amqpUrl);
        },
      });
      await closed;
      assert.equal(names.length, 3);
      await (await later?.createChannel())?.close();
    });

    it('continues when the broker fails over a connection that was just closed, and fails with its cause when it always does', async () => {
      const { closed } = await open(2);
      const reason = new AgentError('BrokerUnavailable', 'By a test.');
      const closing = closeOpen({ ...room.management, closeUserConnections: () => Promise.reject(reason) });
      await assert.rejects(closing, (error) => isAgentError(error, 'BrokerUnavailable') && error.cause === reason);
      assert.equal((await closeOpen(stumbling(room.management, 2))).length, 2);
      await closed;
    });
  });
});
