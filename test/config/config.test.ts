import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { serviceLinks } from '../../src/config/environment.ts';
import { Secret } from '../../src/util/secret.ts';
import { matchesAny } from '../../src/util/name-pattern.ts';
import { faultsOf, GOOD_ENV, useConfigFiles } from '../support/config-files.ts';

const ALL_DEFAULTS = readFileSync(new URL('../../config/default.yml', import.meta.url), 'utf8');

function previousSecretsOf(value: string): string[] {
  const config = loadConfig({ ...GOOD_ENV, PULSE_AGENT_PREVIOUS_SECRETS: value });
  return config.previousAgentSecrets.map((secret) => secret.reveal());
}

describe('loadConfig', () => {
  const { folder, file, load } = useConfigFiles();

  it('has a default for every setting', () => {
    const config = loadConfig(GOOD_ENV);
    const defaults: Partial<Config> = {
      id: 'pulse-agent',
      audience: 'pulse-agent',
      namespacePrefix: 'taskcluster-',
      usernamePrefix: '',
      rotationIntervalSeconds: 3600,
      defaultLifetimeSeconds: 14400,
      maxLifetimeSeconds: 2678400,
      expiryAnnouncementSeconds: 3600,
      reconcileIntervalSeconds: 180,
      connectionMaxAgeSeconds: 259200,
      surveyIntervalSeconds: 60,
      warnAtMessages: 4000,
      deleteAtMessages: 8000,
      queues: [],
      exemptQueues: [],
      queueBackstopMessages: 80000,
      warnAtBytes: 2 ** 30,
      deleteAtBytes: 2 ** 31,
      queueBackstopBytes: 10 * 2 ** 31,
      streamMaxBytes: 10 * 2 ** 30,
      maxSkewSeconds: 300,
      handshakeTimeoutSeconds: 10,
      requireSealedReplies: false,
      eventVhost: '/',
      accountLimits: { 'max-connections': 200, 'max-channels': 2000 },
      maxNamespacesPerClient: 100,
      requestsPerMinutePerClient: 600,
      taskclusterClientId: null,
      httpPort: null,
      httpHost: '127.0.0.1',
      operatorHosts: [],
      operatorToken: undefined,
      rabbitmqCa: undefined,
      dryRun: false,
      logLevel: 'info',
      claimantPassword: undefined,
      taskclusterAccessToken: undefined,
      previousAgentSecrets: [],
    };
    for (const [setting, value] of Object.entries(defaults)) {
      assert.deepEqual(config[setting as keyof Config], value, setting);
    }
    assert.equal(config.storeUrl.reveal(), 'lmdb:data');
    assert.equal(config.agentSecret.reveal(), GOOD_ENV.PULSE_AGENT_SECRET);
  });

  it('takes every setting from the top level of a file', () => {
    const config = load(
      [
        'id: other-agent',
        'audience: staging.example',
        'namespacePrefix: team_',
        'usernamePrefix: pulse.',
        'rotationIntervalSeconds: 60',
        'defaultLifetimeSeconds: 120',
        'maxLifetimeSeconds: 240',
        'connectionMaxAgeSeconds: 5',
        'surveyIntervalSeconds: 6',
        'warnAtMessages: 1',
        'deleteAtMessages: 2',
        'exemptQueues: ["queue/team_a/.*"]',
        'maxSkewSeconds: 900',
        'requireSealedReplies: true',
        'eventVhost: events',
        'accountLimits: { max-connections: 3, max-channels: 4 }',
      ].join('\n'),
    );
    assert.equal(config.id, 'other-agent');
    assert.equal(config.audience, 'staging.example');
    assert.equal(config.namespacePrefix, 'team_');
    assert.equal(config.usernamePrefix, 'pulse.');
    assert.equal(config.maxSkewSeconds, 900);
    assert.equal(config.requireSealedReplies, true);
    assert.equal(config.eventVhost, 'events');
    assert.deepEqual(config.accountLimits, { 'max-connections': 3, 'max-channels': 4 });
    assert.deepEqual([config.warnAtMessages, config.deleteAtMessages], [1, 2]);
  });

  it('matches exempt queues by their whole name', () => {
    const [pattern] = load('exemptQueues: ["queue/a|queue/b"]').exemptQueues;
    assert.deepEqual(
      ['queue/a', 'queue/b', 'queue/a/x', 'x/queue/b'].map((name) => pattern?.test(name)),
      [true, true, false, false],
    );
  });

  it("reserves the names of Taskcluster's services, as whole names", () => {
    const isReserved = (name: string) => matchesAny(load('').reservedNamespaces, name);
    const services = ['auth', 'github', 'hooks', 'index', 'notify', 'queue', 'web-server', 'worker-manager'];
    for (const service of services) assert.ok(isReserved(`taskcluster-${service}`), service);
    for (const name of ['taskcluster-au', 'taskcluster-authx', 'taskcluster-auth-1', 'taskcluster-team', 'auth']) {
      assert.ok(!isReserved(name), name);
    }
    assert.deepEqual(load('reservedNamespaces: []').reservedNamespaces, []);
  });

  it('sets the backstop to ten times deleteAtMessages, to a given number, or not at all', () => {
    assert.equal(load('deleteAtMessages: 9000').queueBackstopMessages, 90_000);
    assert.equal(load('queueBackstopMessages: 16000').queueBackstopMessages, 16_000);
    assert.equal(load('queueBackstopMessages: null').queueBackstopMessages, null);
    assert.equal(load('deleteAtBytes: 3000000000').queueBackstopBytes, 30_000_000_000);
    assert.equal(load('queueBackstopBytes: 4294967296').queueBackstopBytes, 2 ** 32);
    assert.equal(load('queueBackstopBytes: null').queueBackstopBytes, null);
    assert.equal(load('warnAtBytes: null\ndeleteAtBytes: null').queueBackstopBytes, null);
  });

  it('matches in linear time: no pattern and name can block it', () => {
    const [pattern] = load('exemptQueues: ["queue/(a+)+b"]').exemptQueues;
    assert.equal(pattern?.test(`queue/${'a'.repeat(250)}`), false);
  });

  it('reads several named files, of which later ones override earlier ones', () => {
    const files = [file('audience: pulse.example\nlogLevel: warn'), file('dryRun: true\nlogLevel: error')];
    const config = loadConfig({ ...GOOD_ENV, PULSE_AGENT_CONFIG: files.join(':') });
    assert.equal(config.audience, 'pulse.example');
    assert.equal(config.dryRun, true);
    assert.equal(config.logLevel, 'error');
    // A variable that is unset, as in "$PULSE_AGENT_CONFIG:dry-run.yml".
    assert.equal(loadConfig({ ...GOOD_ENV, PULSE_AGENT_CONFIG: `:${files[1]}` }).dryRun, true);
    assert.equal(faultsOf(() => loadConfig({ ...GOOD_ENV, PULSE_AGENT_CONFIG: `${files[0]}:/absent.yml` })).length, 1);
  });

  it('overrides the default by the NODE_ENV file, that by the named file, and all by the environment', () => {
    const own = mkdtempSync(join(folder(), 'own-'));
    writeFileSync(join(own, 'default.yml'), ALL_DEFAULTS.replace('logLevel: info', 'logLevel: fatal'));
    const env = { ...GOOD_ENV };
    assert.equal(loadConfig(env, own).logLevel, 'fatal');
    assert.equal(loadConfig({ ...env, NODE_ENV: 'absent' }, own).logLevel, 'fatal');
    writeFileSync(join(own, 'staging.yml'), 'logLevel: error');
    assert.equal(loadConfig({ ...env, NODE_ENV: 'staging' }, own).logLevel, 'error');
    const named = { ...env, NODE_ENV: 'staging', PULSE_AGENT_CONFIG: file('logLevel: warn') };
    assert.equal(loadConfig(named, own).logLevel, 'warn');
    assert.equal(loadConfig({ ...named, LOG_LEVEL: 'debug' }, own).logLevel, 'debug');
  });

  it('reads no file outside of its folder, whatever NODE_ENV is', () => {
    const outside = file('logLevel: trace');
    const name = `../${outside.split('/').at(-1)?.replace('.yml', '')}`;
    const own = mkdtempSync(join(folder(), 'own-'));
    writeFileSync(join(own, 'default.yml'), ALL_DEFAULTS);
    assert.equal(loadConfig({ ...GOOD_ENV, NODE_ENV: name }, own).logLevel, 'info');
  });

  it('reads each variable, and counts an empty one as absent', () => {
    const config = loadConfig({
      ...GOOD_ENV,
      RABBITMQ_MANAGEMENT_URL: 'https://manager:pw@management.example:1/',
      PUBLIC_AMQP_URL: 'amqps://public.example/%76host',
      STORE_URL: 'mongodb://user:pw@db.example/x',
      TASKCLUSTER_CLIENT_ID: 'project/pulse',
      TASKCLUSTER_ACCESS_TOKEN: 'token',
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant',
      PULSE_AGENT_URL: 'amqp://for-the-command-line/',
      HTTP_PORT: '8080',
      HTTP_HOST: '::',
      PULSE_AGENT_OPERATOR_TOKEN: 'one-of-the-tokens-that-nobody-can-guess',
      PULSE_AGENT_OPERATOR_HOSTS: 'Pulse.Example.com, [::1],10.0.0.7',
      LOG_LEVEL: '',
    });
    assert.equal(config.rabbitmqUrl.reveal(), GOOD_ENV.RABBITMQ_URL);
    assert.equal(config.rabbitmqManagementUrl.reveal(), 'https://manager:pw@management.example:1/');
    assert.equal(config.publicAmqpUrl, 'amqps://public.example/vhost');
    assert.equal(config.storeUrl.reveal(), 'mongodb://user:pw@db.example/x');
    assert.equal(config.taskclusterRootUrl, 'https://tc.example');
    assert.equal(config.taskclusterClientId, 'project/pulse');
    assert.equal(config.taskclusterAccessToken?.reveal(), 'token');
    assert.equal(config.claimantPassword?.reveal(), 'claimant');
    assert.equal(config.httpPort, 8080);
    assert.equal(config.httpHost, '::');
    assert.equal(config.operatorToken?.reveal(), 'one-of-the-tokens-that-nobody-can-guess');
    assert.deepEqual(config.operatorHosts, ['pulse.example.com', '::1', '10.0.0.7']);
    assert.equal(config.logLevel, 'info');
  });

  it('derives the management URL and the public URL from the broker URL, without credentials in the public one', () => {
    const config = loadConfig({ ...GOOD_ENV, RABBITMQ_URL: `${GOOD_ENV.RABBITMQ_URL}?keyfile=/k&password=p` });
    assert.equal(config.rabbitmqManagementUrl.reveal(), 'http://agent:broker%40password@broker.example:15672/');
    assert.equal(config.publicAmqpUrl, 'amqp://broker.example:5673/vhost');
    const secure = loadConfig({
      ...GOOD_ENV,
      RABBITMQ_URL: 'amqps://a:b@[::1]/',
      PUBLIC_AMQP_URL: 'amqp://c:d@e/?x=1',
    });
    assert.equal(secure.rabbitmqManagementUrl.reveal(), 'https://a:b@[::1]:15671/');
    assert.equal(secure.publicAmqpUrl, 'amqp://e/%2F?x=1');
    const other = loadConfig({ ...GOOD_ENV, RABBITMQ_MANAGEMENT_URL: 'http://elsewhere.example:1/' });
    assert.equal(other.rabbitmqManagementUrl.reveal(), 'http://agent:broker%40password@elsewhere.example:1/');
  });

  it('reads several hosts, and derives the other URLs from all of them', () => {
    const config = loadConfig({
      ...GOOD_ENV,
      RABBITMQ_URL:
        'amqps://u:p@a:5671/v?heartbeat=7,amqps://u:p@b:5672/v?heartbeat=7, amqps://u:p@b:5673/v?heartbeat=7',
    });
    assert.equal(
      config.rabbitmqUrl.reveal(),
      'amqps://u:p@a:5671/v?heartbeat=7,amqps://u:p@b:5672/v?heartbeat=7,amqps://u:p@b:5673/v?heartbeat=7',
    );
    assert.equal(
      config.rabbitmqRequestUrl.reveal(),
      'amqps://u:p@a:5671/pulse-agent?heartbeat=7,amqps://u:p@b:5672/pulse-agent?heartbeat=7,amqps://u:p@b:5673/pulse-agent?heartbeat=7',
    );
    assert.equal(config.rabbitmqManagementUrl.reveal(), 'https://u:p@a:15671/,https://u:p@b:15671/');
    assert.equal(config.publicAmqpUrl, 'amqps://a:5671/v,amqps://b:5672/v,amqps://b:5673/v');
    assert.deepEqual([config.agentUser, config.vhost], ['u', 'v']);
    const named = loadConfig({
      ...GOOD_ENV,
      RABBITMQ_MANAGEMENT_URL: 'http://a:15672,http://b:15672',
      PUBLIC_AMQP_URL: 'amqps://x,amqps://y',
    });
    const login = 'agent:broker%40password';
    assert.equal(named.rabbitmqManagementUrl.reveal(), `http://${login}@a:15672/,http://${login}@b:15672/`);
    assert.equal(named.publicAmqpUrl, 'amqps://x/vhost,amqps://y/vhost');
  });

  it('names the virtual host in every URL; the default is /', () => {
    for (const [given, meant] of [
      ['amqp://h', '/%2F'],
      ['amqp://h/', '/%2F'],
      ['amqp://h/%2f', '/%2F'],
      ['amqp://h//', '/%2F'],
      ['amqp://h/own', '/own'],
    ] as const) {
      const config = loadConfig({ ...GOOD_ENV, RABBITMQ_URL: given });
      assert.equal(config.rabbitmqUrl.reveal(), `amqp://h${meant}`);
      assert.equal(config.publicAmqpUrl, `amqp://h${meant}`);
    }
  });

  it('ignores the service links of Kubernetes, and nothing that only looks like one', () => {
    const links = {
      PULSE_AGENT_PORT: 'tcp://10.0.0.7:8080',
      PULSE_AGENT_PORT_8080_TCP: 'tcp://10.0.0.7:8080',
      PULSE_AGENT_PORT_8080_TCP_ADDR: '10.0.0.7',
      PULSE_AGENT_PORT_8080_TCP_PORT: '8080',
      PULSE_AGENT_PORT_8080_TCP_PROTO: 'tcp',
      PULSE_AGENT_SERVICE_HOST: '10.0.0.7',
      PULSE_AGENT_SERVICE_PORT: '8080',
      PULSE_AGENT_SERVICE_PORT_HTTP_METRICS: '8080',
      PULSE_AGENT_STAGING_SERVICE_HOST: 'fd00::7',
      PULSE_AGENT_STAGING_PORT: 'udp://[fd00::7]:9',
      PULSE_AGENT_STAGING_PORT_9_UDP_ADDR: 'fd00::7',
      HTTP_PORT: 'tcp://10.0.0.8:80',
    };
    const env = { ...GOOD_ENV, ...links, HTTP_SERVICE_HOST: '10.0.0.8', RABBITMQ_PORT: 'tcp://10.0.0.9:5672' };
    assert.equal(loadConfig(env).httpPort, null);
    assert.deepEqual(serviceLinks(env), Object.keys(links).toSorted());
    const others = {
      PULSE_AGENT_PORT: '8080',
      PULSE_AGENT_SERVICE_HOST: 'pulse.example.com/',
      PULSE_AGENT_SERVICE_PORT: 'http',
      PULSE_AGENT_PORT_TCP: 'tcp://10.0.0.7:8080',
      PULSE_AGENT_SECRET_PORT_X_TCP_ADDR: '10.0.0.7',
    };
    for (const [name, value] of Object.entries(others)) {
      const [fault, ...more] = faultsOf(() => loadConfig({ ...GOOD_ENV, [name]: value }));
      assert.match(fault ?? '', new RegExp(`^The variable ${name} is unknown`));
      assert.deepEqual(more, []);
    }
  });

  it('reads secrets and URLs from the files that *_FILE variables name, without the last newline', () => {
    const { PULSE_AGENT_SECRET: _given, RABBITMQ_URL: _url, ...env } = GOOD_ENV;
    const config = loadConfig({
      ...env,
      PULSE_AGENT_SECRET_FILE: file(`${'f'.repeat(32)}\n`),
      PULSE_AGENT_PREVIOUS_SECRETS_FILE: file('p'.repeat(32)),
      PULSE_AGENT_CLAIMANT_PASSWORD_FILE: file('claimant\r\n'),
      RABBITMQ_URL_FILE: file('amqp://from-a-file/\n'),
      TASKCLUSTER_CLIENT_ID: 'project/pulse',
      TASKCLUSTER_ACCESS_TOKEN_FILE: file(' token '),
    });
    assert.equal(config.agentSecret.reveal(), 'f'.repeat(32));
    assert.deepEqual(
      config.previousAgentSecrets.map((secret) => secret.reveal()),
      ['p'.repeat(32)],
    );
    assert.equal(config.claimantPassword?.reveal(), 'claimant');
    assert.equal(config.rabbitmqUrl.reveal(), 'amqp://from-a-file/%2F');
    assert.equal(config.taskclusterAccessToken?.reveal(), ' token ');
  });

  it('reads every secret and every URL from a file', () => {
    const values: Readonly<Record<string, string>> = {
      RABBITMQ_URL: 'amqp://h/%2F',
      RABBITMQ_MANAGEMENT_URL: 'http://a:b@h:1/',
      PUBLIC_AMQP_URL: 'amqp://public/%2F',
      STORE_URL: 'mongodb://u:p@h/x',
      TASKCLUSTER_ROOT_URL: 'https://tc.example',
      TASKCLUSTER_CLIENT_ID: 'project/pulse',
      TASKCLUSTER_ACCESS_TOKEN: 'token',
      PULSE_AGENT_SECRET: 's'.repeat(32),
      PULSE_AGENT_PREVIOUS_SECRETS: 'p'.repeat(32),
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant',
    };
    const shown = (env: NodeJS.ProcessEnv): unknown[] =>
      Object.values(loadConfig(env)).flatMap((value: unknown) =>
        [value].flat().map((one) => (one instanceof Secret ? one.reveal() : JSON.stringify(one))),
      );
    const variables = Object.entries(values).map(([name, value]) => [`${name}_FILE`, file(`${value}\n`)]);
    assert.deepEqual(shown(Object.fromEntries(variables)), shown({ ...values }));
  });

  it('reads previous secrets separated by commas, or as JSON', () => {
    const [a, b] = ['a,'.repeat(16), 'b'.repeat(32)];
    assert.deepEqual(previousSecretsOf(`${b}, ${b}`), [b, b]);
    assert.deepEqual(previousSecretsOf(JSON.stringify([a, b])), [a, b]);
    for (const value of [`${b},short`, '["short"]', '[', `[${JSON.stringify(b)}, 1]`]) {
      const [fault, ...more] = faultsOf(() => previousSecretsOf(value));
      assert.match(fault ?? '', /^PULSE_AGENT_PREVIOUS_SECRETS must be secrets of at least 32 characters/);
      assert.deepEqual(more, []);
    }
  });

  it('accepts production with its own audience, and then requires sealed replies', () => {
    const config = load('audience: pulse.example', { NODE_ENV: 'production' });
    assert.equal(config.requireSealedReplies, true);
  });

  it('prints no secret', () => {
    const config = loadConfig({
      ...GOOD_ENV,
      STORE_URL: 'mongodb://u:database-password@h/',
      TASKCLUSTER_CLIENT_ID: 'project/pulse',
      TASKCLUSTER_ACCESS_TOKEN: 'access-token',
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant-password',
      PULSE_AGENT_PREVIOUS_SECRETS: 'previous-secret'.repeat(3),
    });
    const printed = [
      inspect(config, { depth: 9, showHidden: true }),
      inspect(config, { depth: 9, customInspect: false }),
      JSON.stringify(config),
      Object.values(config).map(String).join(),
    ].join('\n');
    assert.doesNotMatch(printed, /password|access-token|agent-secret|previous-secret/);
    assert.match(printed, /\[secret\]/);
  });

  it('is deeply frozen', () => {
    const config = loadConfig({ ...GOOD_ENV, PULSE_AGENT_PREVIOUS_SECRETS: 'p'.repeat(32) });
    const parts = [
      config,
      config.accountLimits,
      config.claimantLimits,
      config.exemptQueues,
      config.previousAgentSecrets,
    ];
    for (const part of parts) assert.ok(Object.isFrozen(part));
    assert.throws(() => Object.assign(config, { id: 'x' }), TypeError);
  });
});
