import assert from 'node:assert/strict';
import { createLog } from '../../../src/util/log.ts';
import { systemSleep } from '../../../src/util/clock.ts';
import { withoutStaleConnections } from '../../../src/broker/management/stale-connections.ts';
import type { Management } from '../../../src/broker/management/management.ts';
import { closeConnections } from '../../../src/namespaces/connections/close-connections.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, untilKnown, useSharedBroker } from '../../support/broker.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { createTestLog, type TestLog } from '../../support/test-log.ts';
import { unique } from '../../support/folders.ts';

const { signal } = new AbortController();

describe('a connection that RabbitMQ lists although it has ended', () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  let management: Management;
  let clock: ManualClock;
  let log: TestLog;
  let stale: string;

  beforeEach(async () => {
    room = await openBrokerFixture();
    clock = createManualClock();
    log = createTestLog();
    const parts = { clock, log: createLog({ logLevel: 'trace', id: 'agent' }, { write: log.write }) };
    management = withoutStaleConnections(room.management, parts);
    stale = unique('127.0.0.1:1 -> 127.0.0.1:2');
    await listForEver(stale);
  });

  /** Has the broker track a connection whose process has ended, as it does when it misses the end of a short one. */
  async function listForEver(name: string): Promise<void> {
    const details = `[{name, <<"${name}">>}, {node, node()}, {vhost, <<"${room.vhost}">>}, {user, <<"${room.user}">>},
      {pid, spawn(fun() -> ok end)}, {protocol, {0,9,1}}, {type, network}, {peer_host, {127,0,0,1}}, {peer_port, 1},
      {connected_at, os:system_time(millisecond)}]`;
    await broker().rabbitmqctl(['eval', `rabbit_connection_tracking:handle_cast({connection_created, ${details}}).`]);
  }

  const listed = async (): Promise<string[]> =>
    (await management.listUserConnections(room.user)).map(({ name }) => name);
  const listedAmongAll = async (): Promise<string[]> =>
    (await management.listOpenConnections()).filter(({ user }) => user === room.user).map(({ name }) => name);
  const close = (): Promise<string[]> =>
    closeConnections(management, room.user, 'because of the test', { signal }, systemSleep);

  it('is left out 45 s after RabbitMQ has closed it, so that a deletion can end', async () => {
    await assert.rejects(close(), /stay open although the agent asked/);
    assert.deepEqual(
      await room.management.listUserConnections(room.user),
      await management.listUserConnections(room.user),
    );
    clock.advance(44_999);
    assert.deepEqual([await listed(), await listedAmongAll()], [[stale], [stale]]);
    clock.advance(1);
    assert.deepEqual([await listed(), await listedAmongAll()], [[], []]);
    assert.deepEqual(await close(), []);
    const lines = log.lines.filter((line) => line.includes('stale_connection_ignored'));
    assert.equal(lines.length, 1);
    await log.logged('stale_connection_ignored', { account: room.user, connection: stale });
  });

  it('is listed until its closing has been asked for', async () => {
    assert.deepEqual(await listed(), [stale]);
    clock.advance(3_600_000);
    assert.deepEqual([await listed(), await listedAmongAll()], [[stale], [stale]]);
  });

  it('hides no other connection of the user', async () => {
    await assert.rejects(close(), /stay open/);
    clock.advance(60_000);
    const live = await openConnection(room.amqpUrl);
    await untilKnown(live, () => management.listUserConnections(room.user));
    assert.equal((await listed()).length, 1);
    assert.equal((await listedAmongAll()).length, 1);
    assert.equal((await close()).length, 1);
  });
});
