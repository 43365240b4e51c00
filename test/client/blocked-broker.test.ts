import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { Unavailable } from '../../src/client/client-errors.ts';
import { closeRpcConnection, connectTo } from '../../src/client/amqp-connection.ts';
import { clientEnvironment, makeInstallation, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('clients during a memory alarm', function () {
  this.timeout(180_000);
  let broker: LocalRabbitMQ;
  let installation: TestInstallation;

  before('start a RabbitMQ of its own', async function () {
    this.timeout(BROKER_START_MS);
    broker = await startRabbitMQ({ folder: join(makeFolder('blocked'), 'rabbitmq') });
    installation = await makeInstallation({ broker });
    await installation.start();
  });
  after(async () => {
    await installation?.remove();
    await broker?.kill();
  });

  beforeEach('set the alarm', async () => {
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.0000001']);
    await waitUntil(hasAlarm, 'RabbitMQ has an alarm');
  });
  afterEach('clear the alarm', async () => {
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
    await waitUntil(async () => !(await hasAlarm()), 'the alarm is over');
  });

  const hasAlarm = async (): Promise<boolean> =>
    (await broker.rabbitmqctl(['eval', 'rabbit_alarm:get_alarms().'])).includes('memory');

  const environment = (): Record<string, string> => clientEnvironment(installation);

  /** How many connections RabbitMQ has of the claimant, whether the client knows of them or not. */
  async function claimantConnections(): Promise<number> {
    const { body } = await manage(broker, 'GET', `/connections/username/${installation.names.claimantUser}`);
    return (body as unknown[]).length;
  }

  it('pulse-agent ping ends, and says what holds it up', async () => {
    const { exited, stderr } = await runCommandLine(['ping', '--timeout', '3'], environment());
    assert.equal(await exited, 4, stderr());
    assert.match(stderr(), /alarm/);
  });

  it('pulse-agent verify ends, and names the alarm in each step that needs messages', async () => {
    const { exited, stdout, stderr } = await runCommandLine(['verify', '--json'], installation.environment);
    assert.equal(await exited, 1, stderr());
    const { steps } = JSON.parse(stdout()) as {
      steps: readonly { step: string; outcome: string; said: string; remedy?: string }[];
    };
    for (const name of ['message-size', 'ping']) {
      const { outcome, said = '', remedy } = steps.find(({ step }) => step === name) ?? {};
      assert.equal(outcome, 'failed', name);
      assert.match(`${said} ${remedy}`, /alarm \(low on memory\)/, name);
    }
  });

  it('failed calls keep one connection, and none is left after close', async () => {
    const client = installation.client();
    for (let call = 0; call < 4; call += 1) {
      await assert.rejects(client.ping({ timeoutMs: 700 }), (error) => {
        assert.ok(error instanceof Unavailable && error.retryable);
        assert.match(error.message, /alarm/);
        return true;
      });
    }
    await waitUntil(async () => (await claimantConnections()) === 1, 'RabbitMQ has one connection');
    await client.close();
    await waitUntil(async () => (await claimantConnections()) === 0, 'RabbitMQ has no connection of the client');
  });

  it('a call that waits is served when the alarm is over', async () => {
    const client = installation.client();
    await assert.rejects(client.ping({ timeoutMs: 700 }), Unavailable);
    const claim = client.claimNamespace({ namespace: teamNamespace() }, { timeoutMs: 60_000 });
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
    await claim;
    await client.close();
  });

  it('closing a blocked connection closes its socket', async () => {
    const connection = await connectTo(installation.claimantUrl);
    const channel = await connection.createChannel();
    const blocked = once(connection, 'blocked');
    channel.publish(installation.names.rpcExchange, 'ping', Buffer.from(''));
    await blocked;
    await closeRpcConnection(connection);
    const { stream } = connection.connection as unknown as { readonly stream: { readonly destroyed: boolean } };
    assert.ok(stream.destroyed);
  });
});
