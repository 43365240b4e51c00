import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/config.ts';
import { readDocument, section } from '../docs/documents.ts';
import { riskyChoices, type StartFacts } from '../../src/observe/risky-choices.ts';

const SECRET = 'Zm9yIHRlc3RzIG9ubHksIDMzIHJhbmRvbSBieXRlcw';
const OPERATOR_TOKEN = 'one-of-the-tokens-that-nobody-can-guess';
const CALM_ENVIRONMENT = {
  RABBITMQ_URL: 'amqps://agent:password-of-the-agent@broker.example/own',
  STORE_URL: 'mongodb://u:p@db-1.example:27017,db-2.example:27017/x?tls=true',
  TASKCLUSTER_ROOT_URL: 'https://tc.example',
  TASKCLUSTER_CLIENT_ID: 'project/pulse',
  TASKCLUSTER_ACCESS_TOKEN: 'token-of-the-agent',
  PULSE_AGENT_SECRET: SECRET,
  PULSE_AGENT_CLAIMANT_PASSWORD: 'password-of-the-claimant',
};
const CALM_SETTINGS = { audience: 'pulse.example', requireSealedReplies: true };
const CALM_FACTS: StartFacts = { nodeEnv: 'production', brokerEvents: true };

describe('risky choices', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pulse-agent-risks-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const risksOf = (
    settings: Readonly<Record<string, unknown>> = {},
    environment: Readonly<Record<string, string>> = {},
    facts: Partial<StartFacts> = {},
  ) => {
    const file = join(folder, 'settings.yml');
    writeFileSync(file, JSON.stringify({ ...CALM_SETTINGS, ...settings }));
    const config = loadConfig({ ...CALM_ENVIRONMENT, ...environment, PULSE_AGENT_CONFIG: file });
    return riskyChoices(config, { ...CALM_FACTS, ...facts });
  };

  it('are none in a careful configuration', () => {
    assert.deepEqual(risksOf(), []);
  });

  const risky: [string, Parameters<typeof risksOf>][] = [
    ['default-audience', [{ audience: 'pulse-agent' }]],
    ['unsealed-replies', [{ requireSealedReplies: false }]],
    ['unlimited-claimant', [{ claimantLimits: {} }]],
    ['no-claimant', [{}, { PULSE_AGENT_CLAIMANT_PASSWORD: '' }]],
    ['short-claimant-password', [{}, { PULSE_AGENT_CLAIMANT_PASSWORD: 'x'.repeat(15) }]],
    ['plain-management', [{}, { RABBITMQ_MANAGEMENT_URL: 'http://broker.example:15672' }]],
    ['plain-public-amqp', [{}, { PUBLIC_AMQP_URL: 'amqp://pulse.example/own' }]],
    ['plain-taskcluster', [{}, { TASKCLUSTER_ROOT_URL: 'http://tc.example' }]],
    ['plain-store', [{}, { STORE_URL: 'mongodb://localhost,db.example/x' }]],
    ['plain-store', [{}, { STORE_URL: 'mongodb+srv://db.example/x?tls=false' }]],
    ['open-http', [{ httpPort: 9090, httpHost: '0.0.0.0' }]],
    ['open-http', [{ httpPort: 9090, httpHost: '::' }]],
    ['page-without-port', [{}, { PULSE_AGENT_OPERATOR_TOKEN: OPERATOR_TOKEN }]],
    ['previous-secret-is-current', [{}, { PULSE_AGENT_PREVIOUS_SECRETS: SECRET }]],
    ['secret-used-twice', [{}, { PULSE_AGENT_CLAIMANT_PASSWORD: SECRET }]],
    ['secret-used-twice', [{}, { TASKCLUSTER_ACCESS_TOKEN: SECRET }]],
    ['secret-used-twice', [{}, { RABBITMQ_URL: `amqps://agent:${SECRET}@broker.example/own` }]],
    ['weak-secret', [{}, { PULSE_AGENT_SECRET: 'changeme'.repeat(4) }]],
    ['default-broker-account', [{}, { RABBITMQ_URL: 'amqps://guest:guest@broker.example/own' }]],
    ['no-broker-events', [{}, {}, { brokerEvents: false }]],
    ['embedded-store-in-production', [{}, { STORE_URL: 'lmdb:/data' }]],
    ['no-notices', [{}, { TASKCLUSTER_CLIENT_ID: '', TASKCLUSTER_ACCESS_TOKEN: '' }]],
    ['short-intervals', [{ rotationIntervalSeconds: 299 }]],
    ['short-intervals', [{ surveyIntervalSeconds: 9, reconcileIntervalSeconds: 29 }]],
    ['connections-end-early', [{ connectionMaxAgeSeconds: 3599 }]],
    ['little-log', [{ logLevel: 'silent' }]],
  ];
  for (const [choice, given] of risky) {
    it(`${choice}: ${JSON.stringify(given)}`, () => {
      const found = risksOf(...given);
      assert.deepEqual(
        found.map((risk) => risk.choice),
        [choice],
      );
      assert.match(found[0]?.sentence ?? '', /^[A-Z].*\.$/);
    });
  }

  it('are those in the documentation', () => {
    const documented = namesIn(section(readDocument('monitoring.md'), '## The start report'));
    const known = new Set(['plain-amqp', 'plain-page', ...risky.map(([choice]) => choice)]);
    assert.deepEqual(documented.toSorted(), [...known].toSorted());
  });

  it('are three for a plain AMQP URL: for the agent, its management API and its clients', () => {
    const found = risksOf({}, { RABBITMQ_URL: 'amqp://a:b@broker.example/own' });
    assert.deepEqual(
      found.map(({ choice }) => choice),
      ['plain-amqp', 'plain-management', 'plain-public-amqp'],
    );
  });

  it('are two for a page for operators that is served to other machines without TLS', () => {
    const found = risksOf({ httpPort: 1, httpHost: '0.0.0.0' }, { PULSE_AGENT_OPERATOR_TOKEN: OPERATOR_TOKEN });
    assert.deepEqual(
      found.map(({ choice }) => choice),
      ['open-http', 'plain-page'],
    );
    assert.ok(!JSON.stringify(found).includes(OPERATOR_TOKEN));
    assert.deepEqual(risksOf({ httpPort: 1 }, { PULSE_AGENT_OPERATOR_TOKEN: OPERATOR_TOKEN }), []);
  });

  it('are none for connections that stay on this machine', () => {
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '127.1.2.3']) {
      assert.deepEqual(
        risksOf(
          { httpPort: 1, httpHost: host },
          {
            RABBITMQ_URL: `amqp://a:b@${host}/own`,
            TASKCLUSTER_ROOT_URL: `http://${host}:1`,
            STORE_URL: `mongodb://${host}:1,%2Ftmp%2Fmongodb.sock/x`,
          },
        ),
        [],
        host,
      );
    }
  });

  it('include the embedded store only in production, and count srv as TLS', () => {
    assert.deepEqual(risksOf({}, { STORE_URL: 'lmdb:/data' }, { nodeEnv: undefined }), []);
    assert.deepEqual(risksOf({}, { STORE_URL: 'mongodb+srv://u:p@db.example/x' }), []);
  });
});

/** The names in the first cells of a table; a cell may have several. */
function namesIn(markdown: string): string[] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('| `') && !line.startsWith('| `choice`'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}
