import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { ConsumeMessage } from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, cutConnections, manage, openConnection } from '../support/broker.ts';
import { makeFolder } from '../support/folders.ts';
import { fetchFrom, scrape, untilHealth } from '../support/agent-http.ts';
import { linesWith, type LogLine } from '../support/test-log.ts';

describe('an agent whose broker goes down and comes back', function () {
  this.timeout(120_000);
  let broker: LocalRabbitMQ;
  let installation: TestInstallation;
  let agent: Agent;

  before('start a RabbitMQ of its own', async function () {
    this.timeout(BROKER_START_MS);
    broker = await startRabbitMQ({ folder: join(makeFolder('restart'), 'rabbitmq') });
    installation = await makeInstallation({ broker, settings: { httpPort: 0 } });
    agent = await installation.start();
  });
  after(async () => {
    await installation?.remove();
    await broker?.kill();
  });

  /** Checks requests, replies, management calls and events. */
  const works = async (): Promise<void> => {
    const namespace = teamNamespace();
    const admin = await (await openConnection(installation.vhost.amqpUrl)).createChannel();
    const { queue } = await admin.assertQueue('', { exclusive: true });
    await admin.bindQueue(queue, installation.names.eventsExchange, `namespace.claimed.${namespace}`);
    const event = new Promise<ConsumeMessage | null>((resolve, reject) => {
      admin.consume(queue, resolve, { noAck: true }).catch(reject);
    });
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    await openConnection(connectionString);
    assert.equal(JSON.parse(String((await event)?.content)).subject, namespace);
  };

  // RabbitMQ 3 and 4.0 write the log of their database late, so a kill loses the changes of the last seconds. Brokers with
  // another database have nothing to write and answer so.
  const syncDatabase = async (): Promise<void> =>
    void (await broker.rabbitmqctl(['eval', 'mnesia:sync_log().']).catch(() => undefined));

  const killAndStart = async (): Promise<void> => {
    await broker.kill();
    await broker.start();
  };

  it('works at first', works);

  it('works after its connections were cut, and answers a request that was in hand', async () => {
    const { taskcluster, vhost } = installation;
    const namespace = teamNamespace();
    taskcluster.behave({ mode: 'hanging' });
    const requester = await installation.requester();
    const credentials = taskcluster.credentials(TEAM);
    const asked = taskcluster.nextCall('authenticateHawk');
    const reply = requester.request({ method: 'claim-namespace', body: { namespace }, credentials });
    await asked;
    taskcluster.behave({ mode: 'normal' });
    await cutConnections(broker, vhost.user);
    assert.equal((await reply).properties.type, 'result');
    await works();
  });

  for (const [how, restart] of [
    ['was restarted', () => broker.restart()],
    ['was killed and started', killAndStart],
  ] as const) {
    it(`works after the broker ${how}, and serves a request that was in progress`, async () => {
      const { names, vhost, taskcluster } = installation;
      const namespace = teamNamespace();
      const rpc = await installation.rpc(TEAM);
      const { connectionString } = await rpc.request('claim-namespace', { namespace });
      const requester = await installation.requester(connectionString);
      const credentials = taskcluster.credentials(TEAM);
      const client = installation.client();
      const lease = await client.lease({ namespace });
      const sent = requester.compose({ method: 'claim-namespace', body: { namespace }, credentials });
      taskcluster.behave({ mode: 'hanging' });
      const asked = taskcluster.nextCall('authenticateHawk');
      // This takes seconds; if it were done later, the request would be answered before the broker goes down.
      await syncDatabase();
      await requester.publish(sent);
      await asked;
      taskcluster.behave({ mode: 'normal' });

      const away = untilHealth(agent, ({ parts }) =>
        (['requests', 'replies', 'topology', 'management'] as const).every((part) => parts[part].state === 'down'),
      );
      await Promise.all([restart(), away]);
      assert.equal((await away).ready, false);
      assert.equal((await fetchFrom(agent, '/healthz')).status, 200);
      // Its requester is gone, and with it the address of the reply.
      await installation.logged('request_served', { correlationId: sent.correlationId });
      await openConnection((await lease.credentials()).connectionString);
      await client.close();
      await works();
      await untilHealth(agent, ({ ready, degraded }) => ready && !degraded);
      const { body } = await manage(broker, 'GET', `/policies/${encodeURIComponent(vhost.requestVhost)}`);
      assert.equal((body as unknown[]).length, 4);
      const admin = await (await openConnection(vhost.requestUrl)).createChannel();
      assert.equal((await admin.checkQueue(names.requestQueue)).consumerCount, 1);
    });
  }

  it('has reported each outage of a part once, and what failed because of it at debug', async () => {
    // The connections were cut, and the broker was restarted and killed; what comes within five seconds is one outage.
    const outages = 3;
    for (const part of ['requests', 'replies', 'topology', 'broker-events']) {
      const { downs, ups } = await installation.found((lines) => {
        const found = { downs: linesWith(lines, 'part_down', { part }), ups: linesWith(lines, 'part_up', { part }) };
        return found.downs.length === found.ups.length ? found : undefined;
      });
      assert.ok(downs.length >= 1 && downs.length <= outages, `${part}: ${downs.length} outages`);
      for (const { because, err } of downs) assert.ok(because !== undefined && err !== undefined, part);
      for (const { seconds, events } of ups) assert.ok(Number(seconds) >= 0 && events !== undefined, part);
    }
    const lines = installation.log.map((line) => JSON.parse(line) as LogLine);
    const repeated = lines.filter(({ code }) => /_connection_(lost|error)$|^broker_events_error$/.test(code));
    assert.ok(repeated.length > 0);
    assert.deepEqual(
      repeated.filter(({ level }) => level !== 'debug'),
      [],
    );
  });

  it('works after its request queue was deleted', async () => {
    const admin = await (await openConnection(installation.vhost.requestUrl)).createChannel();
    await admin.deleteQueue(installation.names.requestQueue);
    await installation.logged('request_queue_redeclared');
    await works();
    assert.equal(linesWith(installation.log, 'request_queue_redeclared').length, 1);
  });

  it('answers the requests of a memory alarm after it', async () => {
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    const claimant = await installation.requester(connectionString);
    const blocked = new Promise((resolve) => claimant.connection.once('blocked', resolve));
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
    const { taskcluster } = installation;
    const credentials = taskcluster.credentials(TEAM);
    const waiting = claimant.request({ method: 'claim-namespace', body: { namespace }, credentials });
    await blocked;
    const { ready, parts } = await untilHealth(agent, ({ parts: { alarms } }) => alarms.state === 'down');
    assert.equal(ready, false);
    assert.match(String(parts.alarms.reason), /memory/);
    assert.equal((await scrape(agent)).get('pulse_agent_broker_alarms{alarm="memory"}'), 1);
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
    assert.equal((await waiting).properties.type, 'result');
    await works();
    await untilHealth(agent, ({ ready: isReady }) => isReady);
  });
});
