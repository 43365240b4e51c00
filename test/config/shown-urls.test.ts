import assert from 'node:assert/strict';
import { claimantUrl, shownClaimantUrl } from '../../src/config/claimant-url.ts';
import { loadConfig } from '../../src/config/config.ts';
import { showConfiguration } from '../../src/config/shown-settings.ts';
import { riskyChoices } from '../../src/observe/risky-choices.ts';
import { summarize } from '../../src/observe/start-summary.ts';
import { GOOD_ENV } from '../support/config-files.ts';

const HIDDEN = 'hidden-password';

describe('several addresses', () => {
  const env = {
    ...GOOD_ENV,
    RABBITMQ_URL: `amqp://agent:${HIDDEN}@a.example/v?heartbeat=5,amqp://agent:${HIDDEN}@b.example:1/v?heartbeat=5`,
    RABBITMQ_MANAGEMENT_URL: `http://agent:${HIDDEN}@a.example/x,http://agent:${HIDDEN}@b.example`,
    PUBLIC_AMQP_URL: 'amqps://a.example?frameMax=0,amqps://b.example?frameMax=0',
    PULSE_AGENT_CLAIMANT_PASSWORD: 'hidden-claimant',
  };
  const config = loadConfig(env);

  it('are shown by config show without a password', () => {
    const { settings } = showConfiguration(env, config);
    const valueOf = (wanted: string): unknown => settings.find(({ name }) => name === wanted)?.value;
    assert.equal(valueOf('rabbitmqUrl'), 'amqp://a.example/v,amqp://b.example:1/v');
    assert.equal(valueOf('rabbitmqManagementUrl'), 'http://a.example/x,http://b.example/');
    assert.equal(valueOf('publicAmqpUrl'), 'amqps://a.example,amqps://b.example');
    assert.ok(!JSON.stringify(settings).includes('hidden'));
  });

  it('are in the start report without a password', () => {
    const { broker, publicAmqp } = summarize(config, {
      version: '1',
      instance: 'i',
      broker: { rabbitmqVersion: '4.0.5', clusterName: 'c' },
      storeKind: 'lmdb',
      storeId: 's',
      brokerEvents: true,
      httpPort: undefined,
    });
    assert.equal(broker, 'RabbitMQ 4.0.5 at amqp://a.example, amqp://b.example:1, cluster c');
    assert.equal(publicAmqp, 'amqps://a.example/v, amqps://b.example/v');
  });

  it('are all in the URL of the claimant', () => {
    const path = '/pulse-agent?frameMax=0';
    const login = 'pulse-agent-claimant:hidden-claimant';
    assert.equal(
      claimantUrl(config, 'publicAmqpUrl')?.reveal(),
      `amqps://${login}@a.example${path},amqps://${login}@b.example${path}`,
    );
    const shown = 'pulse-agent-claimant:…';
    assert.equal(shownClaimantUrl(config), `amqps://${shown}@a.example${path},amqps://${shown}@b.example${path}`);
  });

  it('are risky if one of them is', () => {
    const facts = { nodeEnv: undefined, brokerEvents: true };
    const mixed = loadConfig({
      ...env,
      RABBITMQ_URL: `amqp://agent:${HIDDEN}@localhost/v,amqp://agent:${HIDDEN}@b.example/v`,
    });
    assert.ok(riskyChoices(mixed, facts).some(({ choice }) => choice === 'plain-amqp'));
    assert.ok(riskyChoices(mixed, facts).some(({ choice }) => choice === 'plain-management'));
  });
});
