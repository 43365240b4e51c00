import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from '../support/command-line.ts';
import { GOOD_ENV, useConfigFiles } from '../support/config-files.ts';

const SECRETS = {
  RABBITMQ_URL: 'amqps://agent:hidden%2Fbroker@broker.example:5673/vhost?heartbeat=5',
  RABBITMQ_MANAGEMENT_URL: 'https://admin:hidden-management@broker.example/api-prefix',
  STORE_URL:
    'mongodb://pulse:hidden-store@mongo1,mongo2:27018/pulse?replicaSet=rs0&tlsCertificateKeyFilePassword=hidden',
  PULSE_AGENT_SECRET: 'hidden-agent-secret-of-more-than-thirty-two-characters',
  PULSE_AGENT_CLAIMANT_PASSWORD: 'hidden-claimant',
};

describe('config show', () => {
  const { folder, file } = useConfigFiles();

  const settingsOf = async (env: Record<string, string>): Promise<Record<string, { value: unknown; from: string }>> => {
    const { exitCode, stdout, stderr } = await runToEnd(['config', 'show', '--json'], env);
    assert.equal(exitCode, 0, stderr);
    return (JSON.parse(stdout) as { settings: Record<string, { value: unknown; from: string }> }).settings;
  };

  it('has each setting with the source that won', async () => {
    const [first, second] = [file('audience: pulse.example\nlogLevel: warn'), file('logLevel: error')];
    const settings = await settingsOf({ ...GOOD_ENV, PULSE_AGENT_CONFIG: `${first}:${second}`, HTTP_PORT: '8080' });
    assert.deepEqual(settings['audience'], { value: 'pulse.example', from: first });
    assert.deepEqual(settings['logLevel'], { value: 'error', from: second });
    assert.deepEqual(settings['httpPort'], { value: 8080, from: 'HTTP_PORT' });
    assert.match(settings['id']?.from ?? '', /\/default\.yml$/);
    assert.deepEqual(settings['accountLimits']?.value, { 'max-connections': 200, 'max-channels': 2000 });
  });

  it('says what a setting without a value becomes', async () => {
    const settings = await settingsOf(GOOD_ENV);
    assert.equal(settings['requestVhost']?.value, 'pulse-agent');
    assert.match(settings['requestVhost']?.from ?? '', /^derived \(null in .*default\.yml\)$/);
    assert.equal(settings['rabbitmqManagementUrl']?.value, 'http://broker.example:15672/');
    assert.equal(settings['queueBackstopMessages']?.value, 80_000);
    assert.equal(settings['taskclusterClientId']?.value, null);
  });

  it('shows no secret, only whether and where it is set', async () => {
    const path = join(folder(), 'claimant');
    writeFileSync(path, 'hidden-claimant-in-a-file\n');
    const { PULSE_AGENT_CLAIMANT_PASSWORD: _left, ...secrets } = SECRETS;
    const env = { ...GOOD_ENV, ...secrets, PULSE_AGENT_CLAIMANT_PASSWORD_FILE: path };
    const settings = await settingsOf(env);
    assert.deepEqual(settings['rabbitmqUrl'], { value: 'amqps://broker.example:5673/vhost', from: 'RABBITMQ_URL' });
    assert.equal(settings['rabbitmqManagementUrl']?.value, 'https://broker.example/api-prefix');
    assert.equal(settings['storeUrl']?.value, 'mongodb://mongo1,mongo2:27018/pulse');
    assert.deepEqual(settings['PULSE_AGENT_SECRET'], { value: 'set', from: 'PULSE_AGENT_SECRET' });
    assert.deepEqual(settings['PULSE_AGENT_CLAIMANT_PASSWORD'], {
      value: 'set',
      from: 'PULSE_AGENT_CLAIMANT_PASSWORD_FILE',
    });
    assert.deepEqual(settings['PULSE_AGENT_PREVIOUS_SECRETS'], { value: 'not set', from: '' });
    const { stdout } = await runToEnd(['config', 'show'], env);
    assert.doesNotMatch(stdout + JSON.stringify(settings), /hidden/);
  });

  it('--changed leaves out the defaults', async () => {
    const env = { ...GOOD_ENV, PULSE_AGENT_CONFIG: file('surveyIntervalSeconds: 30') };
    const { stdout } = await runToEnd(['config', 'show', '--changed'], env);
    assert.match(stdout, /^SETTING +FROM +VALUE\n/);
    assert.match(stdout, /^surveyIntervalSeconds +\/.*\.yml +30$/m);
    assert.doesNotMatch(stdout, /logLevel|requestVhost/);
  });

  it('shows a configuration with faults, and then the faults', async () => {
    const env = { ...GOOD_ENV, PULSE_AGENT_CONFIG: file('logLevel: loud'), RABBITMQ_URL: 'http://agent:hidden@x' };
    const { exitCode, stdout, stderr } = await runToEnd(['config', 'show'], env);
    assert.equal(exitCode, 2, stderr);
    assert.match(stdout, /^logLevel +\/.*\.yml +loud$/m);
    assert.match(stdout, /^rabbitmqUrl +RABBITMQ_URL +set, and malformed$/m);
    assert.match(stderr, /^pulse-agent: The setting logLevel must be .*\.$/m);
    assert.doesNotMatch(stdout + stderr, /hidden/);
  });
});

describe('config check', () => {
  const { file } = useConfigFiles();

  it('says that a configuration is valid, what was read, and what is risky', async () => {
    const { exitCode, stdout, stderr } = await runToEnd(['config', 'check'], GOOD_ENV);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^The configuration is valid\.\nRead from \S+default\.yml, .*RABBITMQ_URL.*\.\n/);
    assert.match(stdout, /^plain-amqp: RABBITMQ_URL is amqp:\/\//m);
    const [json] = (await runToEnd(['config', 'check', '--json'], GOOD_ENV)).stdout.split('\n');
    const { valid, risks } = JSON.parse(json ?? '') as { valid: boolean; risks: { choice: string }[] };
    assert.ok(valid && risks.some(({ choice }) => choice === 'plain-amqp'));
  });

  it('names the URL for first claims, without its password', async () => {
    const env = { ...GOOD_ENV, PUBLIC_AMQP_URL: 'amqps://pulse.example/vhost' };
    const without = await runToEnd(['config', 'check'], env);
    assert.match(without.stdout, /^There is no claimant .*PULSE_AGENT_CLAIMANT_PASSWORD is not set\.$/m);
    const { stdout } = await runToEnd(['config', 'check'], {
      ...env,
      PULSE_AGENT_CLAIMANT_PASSWORD: 'hidden-claimant',
    });
    assert.match(stdout, /first with amqps:\/\/pulse-agent-claimant:…@pulse\.example\/pulse-agent, and/);
    assert.doesNotMatch(stdout, /hidden/);
  });

  it('has a sentence for each fault', async () => {
    const env = { ...GOOD_ENV, PULSE_AGENT_CONFIG: file('colour: blue\nmaxSkewSeconds: 1000') };
    const { exitCode, stdout, stderr } = await runToEnd(['config', 'check'], env);
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    assert.equal(stderr.trim().split('\n').length, 2, stderr);
  });

  it('needs a subcommand', async () => {
    assert.equal((await runToEnd(['config'], GOOD_ENV)).exitCode, 2);
    assert.match((await runToEnd(['config', '--help'], GOOD_ENV)).stdout, /check.*\n.*show/);
    assert.match((await runToEnd(['config', 'show', '--help'], GOOD_ENV)).stdout, /Examples:/);
  });
});
