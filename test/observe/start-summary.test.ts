import assert from 'node:assert/strict';
import { loadConfig } from '../../src/config/config.ts';
import { formatReport, type StartFindings, summarize } from '../../src/observe/start-summary.ts';

const FOUND: StartFindings = {
  version: '1.2.3',
  instance: 'host-1',
  broker: { rabbitmqVersion: '4.0.5', clusterName: 'rabbit@a' },
  storeKind: 'mongodb',
  storeId: 'store-1',
  brokerEvents: true,
  httpPort: 9090,
};

describe('the summary of a start', () => {
  const config = loadConfig({
    RABBITMQ_URL: 'amqps://agent:secret-1@broker.example:5673/own?password=secret-2',
    PUBLIC_AMQP_URL: 'amqps://pulse.example/own',
    STORE_URL: 'mongodb://u:secret-3@db-1.example:27017,db-2.example/x?tls=true&tlsCertificateKeyFilePassword=secret-4',
    TASKCLUSTER_ROOT_URL: 'https://tc.example',
    PULSE_AGENT_SECRET: 'secret-5'.repeat(5),
    PULSE_AGENT_CLAIMANT_PASSWORD: 'secret-6',
  });

  it('shows the agent, its servers and what is off, without secrets', () => {
    const summary = summarize(config, FOUND);
    assert.equal(summary.broker, 'RabbitMQ 4.0.5 at amqps://broker.example:5673, cluster rabbit@a');
    assert.equal(summary.vhost, 'own');
    assert.equal(summary.store, 'mongodb at db-1.example, db-2.example with TLS');
    assert.equal(summary.http, '127.0.0.1:9090');
    assert.deepEqual(summary.off, ['notices to owners', 'sealed replies only']);
    const shown = `${JSON.stringify(summary)}${formatReport({ summary, risks: [] })}`;
    assert.doesNotMatch(shown, /secret-\d/);
  });

  it('shows what is unknown, and everything that is off', () => {
    const bare = loadConfig({
      RABBITMQ_URL: 'amqp://localhost',
      TASKCLUSTER_ROOT_URL: 'https://tc.example',
      PULSE_AGENT_SECRET: 'x'.repeat(32),
    });
    const summary = summarize(bare, { ...FOUND, broker: undefined, brokerEvents: false, httpPort: undefined });
    assert.equal(summary.broker, 'RabbitMQ of unknown version at amqp://localhost');
    assert.equal(summary.store, 'LMDB in data');
    assert.equal(summary.http, 'none');
    assert.equal(summary.off.length, 5);
  });

  it('prints one line for each, followed by the risks', () => {
    const risks = [{ choice: 'x', sentence: 'Mind this.' }];
    const lines = formatReport({ summary: summarize(config, FOUND), risks }).split('\n');
    assert.equal(lines[0], 'Pulse Agent serves requests.');
    assert.ok(lines.some((line) => /^ {2}usernamePrefix +\(none\)$/.test(line)));
    assert.equal(lines.at(-1), '! Mind this.');
  });
});
