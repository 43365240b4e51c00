import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Config, loadConfig } from '../src/config.ts';
import { Secret } from '../src/secret.ts';
import { AgentError } from '../src/errors.ts';
import { makeCertificates } from './support/certificates.ts';

const GOOD_ENV = {
  RABBITMQ_URL: 'amqp://agent:broker%40password@broker.example:5673/vhost',
  TASKCLUSTER_ROOT_URL: 'https://tc.example',
  PULSE_AGENT_SECRET: 'agent-secret-of-more-than-thirty-two-characters',
};

const ALL_DEFAULTS = readFileSync(new URL('../config/default.yml', import.meta.url), 'utf8');

/** The sentences with which a configuration is refused. */
function faultsOf(load: () => unknown): string[] {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, 'ConfigurationFault');
    return error.message.split('\n');
  }
  return [];
}

function previousSecretsOf(value: string): string[] {
  const config = loadConfig({ ...GOOD_ENV, PULSE_AGENT_PREVIOUS_SECRETS: value });
  return config.previousAgentSecrets.map((secret) => secret.reveal());
}

describe('loadConfig', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pulse-agent-config-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  let files = 0;
  function file(content: string): string {
    files += 1;
    const path = join(folder, `${files}.yml`);
    writeFileSync(path, content);
    return path;
  }
  /** Loads the shipped files, a file with these lines, and the variables. */
  function load(yaml: string, env: NodeJS.ProcessEnv = {}): Config {
    return loadConfig({ ...GOOD_ENV, PULSE_AGENT_CONFIG: file(yaml), ...env });
  }

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
      expiryNoticeSeconds: 3600,
      reconcileIntervalSeconds: 180,
      connectionMaxAgeSeconds: 259200,
      surveyIntervalSeconds: 60,
      warnAtMessages: 4000,
      deleteAtMessages: 8000,
      exemptQueues: [],
      queueBackstopMessages: 80000,
      maxSkewSeconds: 300,
      requireSealedReplies: false,
      eventVhost: '/',
      accountLimits: {},
      taskclusterClientId: null,
      httpPort: null,
      httpHost: '127.0.0.1',
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

  it('sets the backstop to ten times the threshold for deletion, to what is given, or not at all', () => {
    assert.equal(load('deleteAtMessages: 9000').queueBackstopMessages, 90_000);
    assert.equal(load('queueBackstopMessages: 16000').queueBackstopMessages, 16_000);
    assert.equal(load('queueBackstopMessages: null').queueBackstopMessages, null);
  });

  it('is not made to hang by a pattern and a name', () => {
    const [pattern] = load('exemptQueues: ["queue/(a+)+b"]').exemptQueues;
    assert.equal(pattern?.test(`queue/${'a'.repeat(250)}`), false);
  });

  it('lets the NODE_ENV file override the default, the named file that, and the environment all', () => {
    const own = mkdtempSync(join(folder, 'own-'));
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

  it('reads no file outside its folder for a strange NODE_ENV', () => {
    const outside = file('logLevel: trace');
    const name = `../${outside.split('/').at(-1)?.replace('.yml', '')}`;
    const own = mkdtempSync(join(folder, 'own-'));
    writeFileSync(join(own, 'default.yml'), ALL_DEFAULTS);
    assert.equal(loadConfig({ ...GOOD_ENV, NODE_ENV: name }, own).logLevel, 'info');
  });

  it('takes each variable, and counts an empty one as absent', () => {
    const config = loadConfig({
      ...GOOD_ENV,
      RABBITMQ_MANAGEMENT_URL: 'https://manager:pw@management.example:1/',
      PUBLIC_AMQP_URL: 'amqps://public.example/%2f',
      STORE_URL: 'mongodb://user:pw@db.example/x',
      TASKCLUSTER_CLIENT_ID: 'project/pulse',
      TASKCLUSTER_ACCESS_TOKEN: 'token',
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant',
      PULSE_AGENT_URL: 'amqp://for-the-command-line/',
      HTTP_PORT: '8080',
      HTTP_HOST: '::',
      LOG_LEVEL: '',
    });
    assert.equal(config.rabbitmqUrl.reveal(), GOOD_ENV.RABBITMQ_URL);
    assert.equal(config.rabbitmqManagementUrl.reveal(), 'https://manager:pw@management.example:1/');
    assert.equal(config.publicAmqpUrl, 'amqps://public.example/%2f');
    assert.equal(config.storeUrl.reveal(), 'mongodb://user:pw@db.example/x');
    assert.equal(config.taskclusterRootUrl, 'https://tc.example');
    assert.equal(config.taskclusterClientId, 'project/pulse');
    assert.equal(config.taskclusterAccessToken?.reveal(), 'token');
    assert.equal(config.claimantPassword?.reveal(), 'claimant');
    assert.equal(config.httpPort, 8080);
    assert.equal(config.httpHost, '::');
    assert.equal(config.logLevel, 'info');
  });

  it('makes the management URL and the public URL from the broker URL, the credentials only into the first', () => {
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

  it('names the virtual host in every URL, / where none is named', () => {
    for (const [given, meant] of [
      ['amqp://h', '/%2F'],
      ['amqp://h/', '/%2F'],
      ['amqp://h/%2f', '/%2f'],
      ['amqp://h/own', '/own'],
    ] as const) {
      const config = loadConfig({ ...GOOD_ENV, RABBITMQ_URL: given });
      assert.equal(config.rabbitmqUrl.reveal(), `amqp://h${meant}`);
      assert.equal(config.publicAmqpUrl, `amqp://h${meant}`);
    }
  });

  it('reads secrets and URLs from the files that *_FILE variables name, without the last line break', () => {
    const { PULSE_AGENT_SECRET: _given, RABBITMQ_URL: _url, ...env } = GOOD_ENV;
    const config = loadConfig({
      ...env,
      PULSE_AGENT_SECRET_FILE: file(`${'f'.repeat(32)}\n`),
      PULSE_AGENT_PREVIOUS_SECRETS_FILE: file('p'.repeat(32)),
      PULSE_AGENT_CLAIMANT_PASSWORD_FILE: file('claimant\r\n'),
      RABBITMQ_URL_FILE: file('amqp://from-a-file/\n'),
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

  it('reads each secret, and each URL, which may hold one, from a file', () => {
    const values: Readonly<Record<string, string>> = {
      RABBITMQ_URL: 'amqp://h/%2F',
      RABBITMQ_MANAGEMENT_URL: 'http://a:b@h:1/',
      PUBLIC_AMQP_URL: 'amqp://public/%2F',
      STORE_URL: 'mongodb://u:p@h/x',
      TASKCLUSTER_ROOT_URL: 'https://tc.example',
      TASKCLUSTER_ACCESS_TOKEN: 'token',
      PULSE_AGENT_SECRET: 's'.repeat(32),
      PULSE_AGENT_PREVIOUS_SECRETS: 'p'.repeat(32),
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant',
    };
    const shown = (env: NodeJS.ProcessEnv): unknown[] =>
      Object.values(loadConfig(env)).flatMap((value: unknown) =>
        [value].flat().map((one) => (one instanceof Secret ? one.reveal() : one)),
      );
    const variables = Object.entries(values).map(([name, value]) => [`${name}_FILE`, file(`${value}\n`)]);
    assert.deepEqual(shown(Object.fromEntries(variables)), shown({ ...values }));
  });

  it('takes certificates in PEM, one or several, and no key', () => {
    const { ca, caFile, keyFile } = makeCertificates();
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA: ca }).rabbitmqCa, ca);
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA_FILE: caFile }).rabbitmqCa, ca.trimEnd());
    assert.equal(loadConfig({ ...GOOD_ENV, RABBITMQ_CA: ca + ca }).rabbitmqCa, ca + ca);
    const broken = ca.replace(/\n.{10}/, '\n');
    for (const value of [keyFile, caFile, `${ca}${readFileSync(keyFile, 'utf8')}`, `${ca}${broken}`]) {
      assert.deepEqual(
        faultsOf(() => loadConfig({ ...GOOD_ENV, RABBITMQ_CA: value })),
        ['The setting rabbitmqCa must be certificates in PEM.'],
      );
    }
  });

  it('refuses a *_FILE variable besides the variable, and one whose file cannot be read', () => {
    const path = file('s'.repeat(32));
    assert.deepEqual(
      faultsOf(() => loadConfig({ ...GOOD_ENV, PULSE_AGENT_SECRET_FILE: path })),
      ['Set either PULSE_AGENT_SECRET or PULSE_AGENT_SECRET_FILE, not both.'],
    );
    assert.deepEqual(
      faultsOf(() => loadConfig({ ...GOOD_ENV, TASKCLUSTER_ACCESS_TOKEN_FILE: join(folder, 'absent') })),
      ['The file named by TASKCLUSTER_ACCESS_TOKEN_FILE cannot be read (ENOENT).'],
    );
  });

  it('reads previous secrets with commas between them, or as JSON', () => {
    const [a, b] = ['a,'.repeat(16), 'b'.repeat(32)];
    assert.deepEqual(previousSecretsOf(`${b}, ${b}`), [b, b]);
    assert.deepEqual(previousSecretsOf(JSON.stringify([a, b])), [a, b]);
    for (const value of [`${b},short`, '["short"]', '[', `[${JSON.stringify(b)}, 1]`]) {
      const [fault, ...more] = faultsOf(() => previousSecretsOf(value));
      assert.match(fault ?? '', /^PULSE_AGENT_PREVIOUS_SECRETS must be secrets of at least 32 characters/);
      assert.deepEqual(more, []);
    }
  });

  // What is wrong, in a file or in the environment, and the one sentence that says so.
  const faults: [string, NodeJS.ProcessEnv, RegExp][] = [
    ['colour: blue', {}, /^The setting colour is unknown/],
    ['accountLimits: { max-queues: 1 }', {}, /^The setting accountLimits\.max-queues is unknown/],
    ['accountLimits: { max-channels: 0 }', {}, /^The setting accountLimits\.max-channels must be at least 1\.$/],
    ['id: Pulse', {}, /^The setting id must consist of lower-case letters, digits and hyphens\.$/],
    ['id: ""', {}, /^The setting id must consist/],
    ['id: 7', {}, /^The setting id must be a text\.$/],
    ['audience: "a:443"', {}, /^The setting audience must be a host name/],
    ['audience: a_b', {}, /^The setting audience must be a host name/],
    ['namespacePrefix: ""', {}, /^The setting namespacePrefix must be 1 to 64/],
    ['namespacePrefix: a.*', {}, /^The setting namespacePrefix must be 1 to 64/],
    ['usernamePrefix: "a/b"', {}, /^The setting usernamePrefix must be at most 64/],
    ['id: taskcluster-agent', {}, /^The setting id \(taskcluster-agent\) must not begin with the namespacePrefix/],
    ['namespacePrefix: pulse', {}, /^The setting id \(pulse-agent\) must not begin with the namespacePrefix \(pulse\)/],
    ['rotationIntervalSeconds: 0', {}, /^The setting rotationIntervalSeconds must be at least 1 second\.$/],
    ['rotationIntervalSeconds: 1.5', {}, /^The setting rotationIntervalSeconds must be a whole number of seconds\.$/],
    ['rotationIntervalSeconds: 1h', {}, /^The setting rotationIntervalSeconds must be a whole number of seconds\.$/],
    ['defaultLifetimeSeconds: 0', {}, /^The setting defaultLifetimeSeconds must be at least/],
    ['maxLifetimeSeconds: -1', {}, /^The setting maxLifetimeSeconds must be at least/],
    ['connectionMaxAgeSeconds: 0', {}, /^The setting connectionMaxAgeSeconds must be at least/],
    ['queueBackstopMessages: 0', {}, /^The setting queueBackstopMessages must be at least 1\.$/],
    ['queueBackstopMessages: never', {}, /^The setting queueBackstopMessages must be a whole number, auto or null\.$/],
    ['queueBackstopMessages: 15999', {}, /^The setting queueBackstopMessages must be at least twice deleteAtMessages/],
    ['surveyIntervalSeconds: 0', {}, /^The setting surveyIntervalSeconds must be at least/],
    ['stopDeadlineSeconds: 0', {}, /^The setting stopDeadlineSeconds must be at least/],
    ['maxSkewSeconds: 901', {}, /^The setting maxSkewSeconds must be at most 900 seconds/],
    ['requestsAtOnce: 65536', {}, /^The setting requestsAtOnce must be at most 65535/],
    ['authCallsAtOnce: 0', {}, /^The setting authCallsAtOnce must be at least 1\.$/],
    ['managementCallsAtOnce: 0', {}, /^The setting managementCallsAtOnce must be at least 1\.$/],
    ['defaultLifetimeSeconds: 9999999', {}, /^The setting defaultLifetimeSeconds must not be more than maxLifetimeS/],
    ['warnAtMessages: 8000', {}, /^The setting warnAtMessages must be less than deleteAtMessages/],
    ['requireSealedReplies: "yes"', {}, /^The setting requireSealedReplies must be true or false\.$/],
    ['exemptQueues: queue/a', {}, /^The setting exemptQueues must be a list of regular expressions\.$/],
    ['exemptQueues: ["(?=a)"]', {}, /^The setting exemptQueues\.0 must be a regular expression, without look-around/],
    ['exemptQueues: ["("]', {}, /^The setting exemptQueues\.0 must be a regular expression/],
    ['eventVhost: ""', {}, /^The setting eventVhost must be the name of a virtual host\.$/],
    ['- a list', {}, /must hold settings as "name: value" lines\.$/],
    ['a: b: c', {}, /is not YAML: /],
    [
      '{}',
      { PULSE_AGENT_CONFIG: '/absent/file.yml' },
      /^The configuration file \/absent\/file\.yml cannot be read \(ENO/,
    ],
    ['{}', { RABBITMQ_URL: '' }, /^Set RABBITMQ_URL \(or rabbitmqUrl in a file\)\.$/],
    ['{}', { RABBITMQ_URL: 'http://h/' }, /^The setting rabbitmqUrl must be a URL .* amqp:\/\/ or amqps:\/\/\.$/],
    ['{}', { RABBITMQ_URL: 'amqp:' }, /^The setting rabbitmqUrl must be a URL with a host/],
    ['{}', { RABBITMQ_URL: 'amqp://a%zz/' }, /^The setting rabbitmqUrl must be a URL with a host/],
    ['{}', { RABBITMQ_MANAGEMENT_URL: 'h:15672' }, /^The setting rabbitmqManagementUrl must be a URL/],
    ['{}', { PUBLIC_AMQP_URL: 'https://h/' }, /^The setting publicAmqpUrl must be a URL/],
    ['{}', { STORE_URL: 'lmdb:' }, /^The setting storeUrl must begin with mongodb:/],
    ['{}', { STORE_URL: 'postgres://h' }, /^The setting storeUrl must begin with mongodb:/],
    ['{}', { TASKCLUSTER_ROOT_URL: '' }, /^Set TASKCLUSTER_ROOT_URL/],
    ['{}', { TASKCLUSTER_ROOT_URL: 'tc.example' }, /^The setting taskclusterRootUrl must be a URL/],
    ['{}', { HTTP_PORT: '65536' }, /^The setting httpPort must be a port number\.$/],
    ['{}', { HTTP_PORT: 'http' }, /^The setting httpPort must be a port number\.$/],
    ['{}', { LOG_LEVEL: 'loud' }, /^The setting logLevel must be fatal, error/],
    ['{}', { PULSE_AGENT_SECRET: '' }, /^Set PULSE_AGENT_SECRET to at least 32 random characters/],
    ['{}', { PULSE_AGENT_SECRET: 's'.repeat(31) }, /^Set PULSE_AGENT_SECRET to at least 32 random characters/],
    [
      '{}',
      { PULSE_AGENT_SECRETS: 'x' },
      /^The variable PULSE_AGENT_SECRETS is unknown: known are PULSE_AGENT_CONFIG, /,
    ],
    ['{}', { PULSE_AGENT_CONFIG_FILE: 'x' }, /^The variable PULSE_AGENT_CONFIG_FILE is unknown/],
    ['{}', { NODE_ENV: 'production' }, /^The setting audience must not be the default in production/],
  ];
  for (const [yaml, env, sentence] of faults) {
    it(`says one sentence about ${yaml} ${JSON.stringify(env)}`, () => {
      const found = faultsOf(() => load(yaml, env));
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', sentence);
      assert.match(found[0] ?? '', /\.$|:$|^The configuration file .* is not YAML/);
    });
  }

  it('tells all faults at once, also those between well-formed settings when another one is malformed', () => {
    const found = faultsOf(() =>
      loadConfig({
        PULSE_AGENT_CONFIG: file('colour: blue\nid: taskcluster-a\nwarnAtMessages: 9000\nmaxSkewSeconds: 1000'),
        PULSE_AGENT_TYPO: 'x',
        NODE_ENV: 'production',
      }),
    );
    const expected = [
      /variable PULSE_AGENT_TYPO/,
      /maxSkewSeconds/,
      /colour/,
      /Set PULSE_AGENT_SECRET/,
      /Set RABBITMQ_URL/,
      /Set TASKCLUSTER_ROOT_URL/,
      /id \(taskcluster-a\)/,
      /warnAtMessages/,
      /audience/,
    ];
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? '', pattern);
  });

  it('takes production with an audience of its own, and then insists on sealed replies', () => {
    const config = load('audience: pulse.example', { NODE_ENV: 'production' });
    assert.equal(config.requireSealedReplies, true);
  });

  it('tells no secret in an error', () => {
    const secret = 'Kx9-hidden';
    const variables = [
      'RABBITMQ_URL',
      'RABBITMQ_MANAGEMENT_URL',
      'PUBLIC_AMQP_URL',
      'STORE_URL',
      'PULSE_AGENT_SECRET',
      'PULSE_AGENT_PREVIOUS_SECRETS',
      'PULSE_AGENT_TYPO',
      'HTTP_PORT',
    ];
    const env = Object.fromEntries(variables.map((name) => [name, `nonsense://u:${secret}@h/`]));
    const yamls = ['a: b', `rabbitmqUrl: "amqp://a:${secret}@h\nx: "`, `rabbitmqUrl: [ "amqp://${secret}" : {`];
    for (const yaml of yamls) {
      const found = faultsOf(() => load(yaml, { ...env, PULSE_AGENT_SECRET: secret }));
      assert.ok(found.length >= variables.length, found.join('\n'));
      assert.doesNotMatch(found.join('\n'), new RegExp(secret));
    }
  });

  it('prints no secret', () => {
    const config = loadConfig({
      ...GOOD_ENV,
      STORE_URL: 'mongodb://u:database-password@h/',
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

  it('is frozen, with all that is in it', () => {
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
