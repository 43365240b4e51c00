import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../dev/processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { startAgent } from '../../src/agent/agent.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { type AgentErrorCode, isAgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { makeInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { makeFolder } from '../support/folders.ts';
import { skipBecause } from '../support/skip.ts';

describe('an agent on a broker that has not all it needs', function () {
  this.timeout(120_000);
  let certificates: Certificates;
  let broker: LocalRabbitMQ;
  let amqpsPort: number;
  let flags: readonly string[];

  before('start a RabbitMQ without feature flags, that wants client certificates', async function () {
    this.timeout(BROKER_START_MS);
    certificates = makeCertificates();
    [amqpsPort = 0] = await freePorts(1);
    const folder = join(makeFolder('limits'), 'rabbitmq');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'advanced.config'), '[{rabbit, [{forced_feature_flags_on_init, []}]}].\n');
    broker = await startRabbitMQ({
      folder,
      extraConfig: [
        `listeners.ssl.1 = 127.0.0.1:${amqpsPort}`,
        `ssl_options.cacertfile = ${certificates.caFile}`,
        `ssl_options.certfile = ${certificates.certificateFile}`,
        `ssl_options.keyfile = ${certificates.keyFile}`,
        'ssl_options.verify = verify_peer',
        'ssl_options.fail_if_no_peer_cert = true',
      ].join('\n'),
    });
    const { body } = await manage(broker, 'GET', '/feature-flags');
    flags = (body as { name: string; state: string }[])
      .filter(({ state }) => state === 'disabled')
      .map(({ name }) => name);
  });
  after(async () => await broker?.kill());

  const enable = async (names: readonly string[]): Promise<void> => {
    for (const name of names) await manage(broker, 'PUT', `/feature-flags/${name}/enable`, {});
  };
  const assertStartFails = async (config: Config, code: AgentErrorCode, message: RegExp): Promise<void> => {
    await assert.rejects(startAgent(config, { log: createLog({ id: 'a', logLevel: 'silent' }) }), (error) => {
      assert.ok(isAgentError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
  };

  it('names the command for feature flags that are off', async function () {
    if (!flags.includes('quorum_queue')) skipBecause(this, 'this RabbitMQ does not start without the feature flags');
    const { config } = await makeInstallation({ broker });
    const command = /user_limits feature flag.*rabbitmqctl enable_feature_flag all/;
    await assertStartFails(config, 'BrokerRefused', command);
    await enable(['user_limits']);
    await assertStartFails(config, 'BrokerRefused', /quorum.*feature flag.*rabbitmqctl enable_feature_flag all/);
    await enable(flags);
  });

  it('names the setting for client certificates that RabbitMQ wants', async () => {
    await enable(flags);
    const { environment, vhost } = await makeInstallation({ broker });
    const url = new URL(vhost.amqpUrl.replace('amqp:', 'amqps:').replace('127.0.0.1', 'localhost'));
    url.port = String(amqpsPort);
    const config = loadConfig({ ...environment, RABBITMQ_URL: url.href, RABBITMQ_CA: certificates.ca });
    await assertStartFails(config, 'BrokerRefused', /wants a client certificate.*ssl_options\.fail_if_no_peer_cert/);
  });

  it('names the port that does not speak TLS, and the certificate that is not trusted', async () => {
    await enable(flags);
    const { environment, vhost } = await makeInstallation({ broker });
    const url = new URL(vhost.amqpUrl.replace('amqp:', 'amqps:').replace('127.0.0.1', 'localhost'));
    const plain = loadConfig({ ...environment, RABBITMQ_URL: url.href });
    await assertStartFails(plain, 'BrokerRefused', /The port of RABBITMQ_URL does not speak TLS: use amqp:/);
    url.port = String(amqpsPort);
    const untrusted = loadConfig({ ...environment, RABBITMQ_URL: url.href });
    await assertStartFails(
      untrusted,
      'BrokerRefused',
      /certificate of RabbitMQ at amqps:.* is not trusted .*RABBITMQ_CA/,
    );
  });

  it('names the limit of a vhost that is reached, with the reason of RabbitMQ', async () => {
    await enable(flags);
    const { config, vhost } = await makeInstallation({ broker });
    const limits = `/vhost-limits/${vhost.requestVhost}`;
    await manage(broker, 'PUT', `${limits}/max-connections`, { value: 0 });
    const connections = /connection limit \(0\) is reached.*Raise max-connections.*set_vhost_limits/;
    await assertStartFails(config, 'BrokerUnavailable', connections);
    await manage(broker, 'DELETE', `${limits}/max-connections`);
    await manage(broker, 'PUT', `${limits}/max-queues`, { value: 0 });
    const queues = /queue limit in vhost .* \(0\) is reached.*Raise max-queues.*set_vhost_limits/;
    await assertStartFails(config, 'BrokerUnavailable', queues);
  });

  it('names the limit of the vhost of the broker events in the log, and works without them', async () => {
    await enable(flags);
    const installation = await makeInstallation({ broker });
    await manage(broker, 'PUT', '/vhost-limits/%2F/max-connections', { value: 0 });
    try {
      await installation.start();
      const { err } = await installation.logged('broker_events_error');
      assert.match(JSON.stringify(err), /connection limit \(0\) is reached.*Raise max-connections/);
    } finally {
      await manage(broker, 'DELETE', '/vhost-limits/%2F/max-connections');
    }
  });
});
