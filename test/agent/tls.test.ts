import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { freePorts } from '../../dev/processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/util/log.ts';
import { startAgent } from '../../src/agent/agent.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('an agent with a private CA', function () {
  this.timeout(120_000);
  const mongodb = useSharedMongoDB();
  let certificates: Certificates;
  let broker: LocalRabbitMQ;
  let amqpsPort: number;
  let httpsPort: number;

  before('start a RabbitMQ that speaks TLS', async function () {
    this.timeout(BROKER_START_MS);
    certificates = makeCertificates();
    [amqpsPort = 0, httpsPort = 0] = await freePorts(2);
    const files = (of: string): string[] => [
      `${of}.cacertfile = ${certificates.caFile}`,
      `${of}.certfile = ${certificates.certificateFile}`,
      `${of}.keyfile = ${certificates.keyFile}`,
    ];
    broker = await startRabbitMQ({
      folder: join(makeFolder('tls'), 'rabbitmq'),
      extraConfig: [
        `listeners.ssl.1 = 127.0.0.1:${amqpsPort}`,
        ...files('ssl_options'),
        'ssl_options.verify = verify_none',
        'ssl_options.fail_if_no_peer_cert = false',
        'management.ssl.ip = 127.0.0.1',
        `management.ssl.port = ${httpsPort}`,
        ...files('management.ssl'),
      ].join('\n'),
    });
  });
  after(async () => await broker?.kill());

  /** An installation that uses TLS everywhere. Secrets are in files, as in a container. */
  const prepare = async () => {
    const installation = await makeInstallation({ broker });
    const { vhost, taskcluster, environment } = installation;
    const secure = (url: string, protocol: string, port: number): string => {
      const given = new URL(url);
      const credentials = given.username === '' ? '' : `${given.username}:${given.password}@`;
      return `${protocol}//${credentials}localhost:${port}${given.pathname}`;
    };
    const plainStore = new URL(mongoDatabase(mongodb()));
    const storePort = await makeTlsRelay(Number(plainStore.port), certificates);
    const taskclusterPort = await makeTlsRelay(Number(new URL(taskcluster.rootUrl).port), certificates);
    const storeUrl = new URL(secure(plainStore.href, 'mongodb:', storePort));
    storeUrl.search = plainStore.search;
    storeUrl.searchParams.set('directConnection', 'true');
    storeUrl.searchParams.set('tls', 'true');
    storeUrl.searchParams.set('tlsCAFile', certificates.caFile);
    const folder = makeFolder('secrets');
    const inFile = (name: string, value: string): string => {
      writeFileSync(join(folder, name), `${value}\n`);
      return join(folder, name);
    };
    const { PULSE_AGENT_SECRET = '', PULSE_AGENT_CLAIMANT_PASSWORD = '', PULSE_AGENT_CONFIG = '' } = environment;
    return {
      installation,
      environment: {
        PULSE_AGENT_CONFIG,
        RABBITMQ_URL_FILE: inFile('rabbitmq', secure(vhost.amqpUrl, 'amqps:', amqpsPort)),
        RABBITMQ_MANAGEMENT_URL_FILE: inFile('management', secure(vhost.managementUrl, 'https:', httpsPort)),
        RABBITMQ_CA_FILE: certificates.caFile,
        STORE_URL_FILE: inFile('store', storeUrl.href),
        TASKCLUSTER_ROOT_URL: `https://localhost:${taskclusterPort}`,
        NODE_EXTRA_CA_CERTS: certificates.caFile,
        PULSE_AGENT_SECRET_FILE: inFile('secret', PULSE_AGENT_SECRET),
        PULSE_AGENT_CLAIMANT_PASSWORD_FILE: inFile('claimant', PULSE_AGENT_CLAIMANT_PASSWORD),
      },
    };
  };

  it('connects to all servers with TLS, and so do its clients', async () => {
    const { installation, environment } = await prepare();
    const run = await runCommandLine(['serve'], environment);
    await run.printed('agent_started');
    await run.printed('broker_events_started');
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace: teamNamespace() });
    assert.match(connectionString, new RegExp(`^amqps://.*@localhost:${amqpsPort}/`));
    const client = await connect(connectionString, { ca: [certificates.ca] });
    await client.close();

    const url = new URL(installation.claimantUrl.replace('amqp:', 'amqps:').replace('127.0.0.1', 'localhost'));
    url.port = String(amqpsPort);
    const library = installation.client(TEAM, { url: url.href, ca: certificates.ca });
    const lease = await library.lease({ namespace: teamNamespace() });
    const ofLease = await lease.connect(async (amqp) => await amqp.createChannel());
    await ofLease.close();
    await library.close();

    let connections: { user: string; ssl: boolean; user_provided_name?: string }[] = [];
    // A connection is listed after up to five seconds.
    await waitUntil(async () => {
      const { body } = await manage(broker, 'GET', `/connections`);
      connections = (body as typeof connections).filter(
        ({ user, user_provided_name: name }) => user === installation.vhost.user && name !== undefined,
      );
      return connections.length >= 4;
    }, 'four connections of the agent');
    for (const { user_provided_name: name, ssl } of connections) assert.equal(ssl, true, name);
    for (const choice of ['plain-amqp', 'plain-management', 'plain-store', 'plain-taskcluster']) {
      assert.ok(!run.stdout().includes(choice), choice);
    }
    run.signal('SIGTERM');
    assert.equal(await run.exited, 0);
  });

  it('fails to start without the CA, immediately and with a sentence about what is missing', async () => {
    const { environment } = await prepare();
    const { RABBITMQ_CA_FILE: _left, NODE_EXTRA_CA_CERTS: _out, ...rest } = environment;
    const config = loadConfig(rest);
    await assert.rejects(startAgent(config, { log: createLog({ id: 'a', logLevel: 'silent' }) }), (error) => {
      assert.ok(error instanceof AgentError, String(error));
      assert.equal(error.code, 'BrokerRefused');
      assert.match(error.message, /certificate.*RABBITMQ_CA/);
      return true;
    });
  });

  it('rejects a certificate of another CA', async () => {
    const { environment } = await prepare();
    const config = loadConfig({ ...environment, RABBITMQ_CA_FILE: makeCertificates().caFile });
    await assert.rejects(startAgent(config, { log: createLog({ id: 'a', logLevel: 'silent' }) }), /certificate/);
  });
});
