import assert from 'node:assert/strict';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/config.ts';
import { faultsOf, GOOD_ENV, useConfigFiles } from '../support/config-files.ts';

/** A token of which all but its use is in order. */
const GUESSED = '0123456789abcdef0123456789abcdef';

describe('a configuration with faults', () => {
  const { folder, file, load } = useConfigFiles();

  // A file, an environment, and the sentence about the fault in one of them.
  const faults: [string, NodeJS.ProcessEnv, RegExp][] = [
    ['colour: blue', {}, /^The setting colour is unknown/],
    ['accountLimits: { max-queues: 1 }', {}, /^The setting accountLimits\.max-queues is unknown/],
    ['accountLimits: { max-channels: 0 }', {}, /^The setting accountLimits\.max-channels must be at least 1\.$/],
    ['id: Pulse', {}, /^The setting id must consist of lower-case letters, digits and hyphens, at most 64\.$/],
    ['id: ""', {}, /^The setting id must consist/],
    [`id: ${'a'.repeat(65)}`, {}, /^The setting id must consist of/],
    [`requestVhost: ${'ä'.repeat(128)}`, {}, /^The setting requestVhost must be the name of .* at most 255 bytes\.$/],
    ['', { TASKCLUSTER_ACCESS_TOKEN: 'x' }, /^Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN together/],
    ['', { TASKCLUSTER_CLIENT_ID: 'x' }, /^Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN together/],
    ['id: 7', {}, /^The setting id must be a string\.$/],
    ['audience: "a:443"', {}, /^The setting audience must be a host name/],
    ['audience: a_b', {}, /^The setting audience must be a host name/],
    ['audience: a..b', {}, /^The setting audience must be a host name/],
    ['audience: -a', {}, /^The setting audience must be a host name/],
    [`audience: ${'a'.repeat(64)}`, {}, /^The setting audience must be a host name/],
    [
      '{}',
      { TASKCLUSTER_CLIENT_ID: 'a b', TASKCLUSTER_ACCESS_TOKEN: 'x' },
      /^The setting taskclusterClientId must be 1 to 256 of the characters/,
    ],
    ['namespacePrefix: ""', {}, /^The setting namespacePrefix must be 1 to 64/],
    ['namespacePrefix: a.*', {}, /^The setting namespacePrefix must be 1 to 64/],
    ['usernamePrefix: "a/b"', {}, /^The setting usernamePrefix must be at most 64/],
    ['id: taskcluster-agent', {}, /^The setting id \(taskcluster-agent\) must not begin with the namespacePrefix/],
    ['namespacePrefix: pulse', {}, /^The setting id \(pulse-agent\) must not begin with the namespacePrefix \(pulse\)/],
    [
      '',
      { RABBITMQ_URL: 'amqp://taskcluster-a-1:p@h' },
      /^The user of RABBITMQ_URL \(taskcluster-a-1\) must not be named like an account/,
    ],
    [
      '',
      { RABBITMQ_MANAGEMENT_URL: 'http://taskcluster-a-2:p@h' },
      /^The user of RABBITMQ_MANAGEMENT_URL \(taskcluster-a-2\) must not/,
    ],
    [
      'reservedNamespaces: taskcluster-a',
      {},
      /^The setting reservedNamespaces must be a list of regular expressions\.$/,
    ],
    ['rotationIntervalSeconds: 0', {}, /^The setting rotationIntervalSeconds must be at least 1 second\.$/],
    ['rotationIntervalSeconds: 1.5', {}, /^The setting rotationIntervalSeconds must be a whole number of seconds\.$/],
    ['rotationIntervalSeconds: 1h', {}, /^The setting rotationIntervalSeconds must be a whole number of seconds\.$/],
    ['defaultLifetimeSeconds: 0', {}, /^The setting defaultLifetimeSeconds must be at least/],
    ['maxLifetimeSeconds: -1', {}, /^The setting maxLifetimeSeconds must be at least/],
    ['connectionMaxAgeSeconds: 0', {}, /^The setting connectionMaxAgeSeconds must be at least/],
    ['queueBackstopMessages: 0', {}, /^The setting queueBackstopMessages must be at least 1\.$/],
    ['queueBackstopMessages: never', {}, /^The setting queueBackstopMessages must be a whole number, auto or null\.$/],
    ['queueBackstopMessages: 15999', {}, /^The setting queueBackstopMessages must be at least twice deleteAtMessages/],
    ['queueBackstopBytes: 0', {}, /^The setting queueBackstopBytes must be at least 1\.$/],
    ['queueBackstopBytes: 4294967295', {}, /^The setting queueBackstopBytes must be at least twice deleteAtBytes/],
    ['warnAtBytes: 2147483648', {}, /^The setting warnAtBytes must be less than deleteAtBytes/],
    ['warnAtBytes: 1.5', {}, /^The setting warnAtBytes must be a whole number\.$/],
    ['warnAtBytes: null', {}, /^The settings warnAtBytes and deleteAtBytes must both be numbers, or both null\.$/],
    ['deleteAtBytes: null', {}, /^The settings warnAtBytes and deleteAtBytes must both be numbers, or both null\.$/],
    ['streamMaxBytes: 0', {}, /^The setting streamMaxBytes must be at least 1\.$/],
    ['surveyIntervalSeconds: 0', {}, /^The setting surveyIntervalSeconds must be at least/],
    ['stopDeadlineSeconds: 0', {}, /^The setting stopDeadlineSeconds must be at least/],
    ['maxSkewSeconds: 901', {}, /^The setting maxSkewSeconds must be at most 900 seconds/],
    ['requestPrefetch: 65536', {}, /^The setting requestPrefetch must be at most 65535/],
    ['authConcurrency: 0', {}, /^The setting authConcurrency must be at least 1\.$/],
    ['managementConcurrency: 0', {}, /^The setting managementConcurrency must be at least 1\.$/],
    ['defaultLifetimeSeconds: 9999999', {}, /^The setting defaultLifetimeSeconds must not be more than maxLifetimeS/],
    ['warnAtMessages: 8000', {}, /^The setting warnAtMessages must be less than deleteAtMessages/],
    ['requireSealedReplies: "yes"', {}, /^The setting requireSealedReplies must be true or false\.$/],
    ['exemptQueues: queue/a', {}, /^The setting exemptQueues must be a list of regular expressions\.$/],
    ['exemptQueues: ["(?=a)"]', {}, /^The setting exemptQueues\.0 must be a regular expression, without look-around/],
    ['exemptQueues: ["("]', {}, /^The setting exemptQueues\.0 must be a regular expression/],
    ['eventVhost: ""', {}, /^The setting eventVhost must be the name of a virtual host\.$/],
    ['- a list', {}, /must have settings as "name: value" lines\.$/],
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
    [
      '{}',
      { RABBITMQ_URL: 'amqp://u:p%x@h' },
      /^The setting rabbitmqUrl must have no % in its password that begins no/,
    ],
    ['{}', { RABBITMQ_URL: 'amqp://u%:p@h' }, /^The setting rabbitmqUrl must have no % in its user that begins no/],
    [
      '{}',
      { RABBITMQ_URL: 'amqp://u:p%E4@h' },
      /^The setting rabbitmqUrl must have no % in its password that begins no/,
    ],
    ['{}', { RABBITMQ_URL: 'amqp://u:p@h/%zz' }, /^The setting rabbitmqUrl must have no % in its vhost that begins no/],
    ['{}', { RABBITMQ_URL: 'amqp://u:p\nq@h' }, /^The setting rabbitmqUrl must have no line breaks/],
    ['{}', { RABBITMQ_URL: 'amqp://u:1#p@h' }, /^The setting rabbitmqUrl must have no #: write %23/],
    ['{}', { RABBITMQ_URL: 'amqp://u:1/p@h' }, /^The setting rabbitmqUrl must have no @ behind the host: write %2F/],
    ['{}', { RABBITMQ_URL: 'amqp://u@h' }, /^The setting rabbitmqUrl must have the password of its user/],
    ['{}', { RABBITMQ_URL: 'amqp://a%3Ab:p@h' }, /^RABBITMQ_URL must name a user without a colon/],
    [
      '{}',
      { RABBITMQ_URL: 'amqp://u:p@h?heartbeat=often' },
      /^The setting rabbitmqUrl must have a whole number as heartbeat/,
    ],
    [
      '{}',
      { RABBITMQ_MANAGEMENT_URL: 'http://u:p%x@h' },
      /^The setting rabbitmqManagementUrl must have no % in its pass/,
    ],
    [
      '{}',
      { RABBITMQ_MANAGEMENT_URL: 'http://h/?a' },
      /^The setting rabbitmqManagementUrl must have nothing behind a \?/,
    ],
    [
      '{}',
      { PUBLIC_AMQP_URL: 'amqp://h/%zz' },
      /^The setting publicAmqpUrl must have no % in its vhost that begins no/,
    ],
    ['{}', { PUBLIC_AMQP_URL: 'amqp://h/other' }, /^PUBLIC_AMQP_URL must name the vhost of RABBITMQ_URL \(vhost\), or/],
    ['{}', { PUBLIC_AMQP_URL: 'amqp://h/%2F' }, /^PUBLIC_AMQP_URL must name the vhost of RABBITMQ_URL \(vhost\), or/],
    [
      '{}',
      { RABBITMQ_URL: 'amqp://a/v,amqp://b/w' },
      /^The setting rabbitmqUrl must have the same vhost in each of its/,
    ],
    ['{}', { RABBITMQ_URL: 'amqp://a/v,amqps://b/v' }, /^The setting rabbitmqUrl must have the same scheme in each of/],
    [
      '{}',
      { RABBITMQ_URL: 'amqp://u:p@a,amqp://u:q@b' },
      /^The setting rabbitmqUrl must have the same user and password/,
    ],
    ['{}', { RABBITMQ_URL: 'amqp://a,amqp://a' }, /^The setting rabbitmqUrl must name each host and port once\.$/],
    ['{}', { RABBITMQ_URL: 'amqp://a,' }, /^The setting rabbitmqUrl must have a URL before and behind each comma/],
    ['{}', { RABBITMQ_MANAGEMENT_URL: 'http://a,http://a/' }, /^The setting rabbitmqManagementUrl must name each host/],
    [
      '{}',
      { RABBITMQ_MANAGEMENT_URL: 'http://u:p@a,http://b' },
      /^The setting rabbitmqManagementUrl must have the same u/,
    ],
    ['{}', { PUBLIC_AMQP_URL: 'amqp://a/vhost,amqp://b/w' }, /^The setting publicAmqpUrl must have the same vhost/],
    ['{}', { PUBLIC_AMQP_URL: 'amqp://a/w,amqp://b/w' }, /^PUBLIC_AMQP_URL must name the vhost of RABBITMQ_URL/],
    // What Kubernetes sets for a Service has no scheme of AMQP.
    [
      '{}',
      { RABBITMQ_URL: 'tcp://10.0.0.7:5672' },
      /^The setting rabbitmqUrl must be a URL .* amqp:\/\/ or amqps:\/\/\.$/,
    ],
    ['{}', { TASKCLUSTER_ROOT_URL: 'https://u:p@h' }, /^The setting taskclusterRootUrl must have no user and no pass/],
    ['{}', { STORE_URL: 'lmdb:~/x' }, /^The setting storeUrl must name the folder behind lmdb: itself/],
    ['{}', { STORE_URL: 'lmdb:$HOME/x' }, /^The setting storeUrl must name the folder behind lmdb: itself/],
    ['{}', { STORE_URL: 'lmdb://host/x' }, /^The setting storeUrl must be lmdb:<folder>/],
    ['{}', { STORE_URL: 'mongodb://u:p%x@h/d' }, /^The setting storeUrl must be a valid MongoDB URL/],
    ['{}', { STORE_URL: 'mongodb://h/%zz' }, /^The setting storeUrl must be a valid MongoDB URL/],
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
      { PULSE_AGENT_OPERATOR_TOKEN: GUESSED.slice(1, 32) },
      /^PULSE_AGENT_OPERATOR_TOKEN can be guessed: .* at least 32/,
    ],
    [
      '{}',
      { PULSE_AGENT_OPERATOR_TOKEN: 'changeme'.repeat(5) },
      /^PULSE_AGENT_OPERATOR_TOKEN can be guessed: .* 12 diff/,
    ],
    ['{}', { PULSE_AGENT_OPERATOR_TOKEN: `${GUESSED} ` }, /^PULSE_AGENT_OPERATOR_TOKEN has characters that an HTTP he/],
    ['{}', { PULSE_AGENT_OPERATOR_TOKEN: `${GUESSED}ä` }, /^PULSE_AGENT_OPERATOR_TOKEN has characters that an HTTP he/],
    ['{}', { PULSE_AGENT_OPERATOR_TOKEN: GOOD_ENV.PULSE_AGENT_SECRET }, /^PULSE_AGENT_OPERATOR_TOKEN must be no other/],
    [
      '{}',
      { PULSE_AGENT_OPERATOR_TOKEN: GUESSED, PULSE_AGENT_CLAIMANT_PASSWORD: GUESSED },
      /^PULSE_AGENT_OPERATOR_TOKEN must be no other secret/,
    ],
    [
      '{}',
      { PULSE_AGENT_OPERATOR_HOSTS: 'https://a.example' },
      /^The setting operatorHosts must be host names or addr/,
    ],
    [
      '{}',
      { PULSE_AGENT_OPERATOR_HOSTS: 'a.example:443' },
      /^The setting operatorHosts must be host names or addresse/,
    ],
    ['operatorHosts: "a.example,"', {}, /^The setting operatorHosts must be host names or addresses with commas/],
    ['operatorHosts: "*"', {}, /^The setting operatorHosts must be host names or addresses with commas/],
    [
      '{}',
      { PULSE_AGENT_SECRETS: 'x' },
      /^The variable PULSE_AGENT_SECRETS is unknown: known are PULSE_AGENT_CONFIG, /,
    ],
    ['{}', { PULSE_AGENT_CONFIG_FILE: 'x' }, /^The variable PULSE_AGENT_CONFIG_FILE is unknown/],
    ['{}', { NODE_ENV: 'production' }, /^The setting audience must not be the default in production/],
  ];
  for (const [yaml, env, sentence] of faults) {
    it(`has one sentence about ${yaml} ${JSON.stringify(env)}`, () => {
      const found = faultsOf(() => load(yaml, env));
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', sentence);
      assert.match(found[0] ?? '', /\.$|:$|^The configuration file .* is not YAML/);
    });
  }

  it('reports all faults together, and checks rules between settings even when another setting is malformed', () => {
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

  it('refuses a *_FILE variable besides the variable, and one whose file cannot be read', () => {
    const path = file('s'.repeat(32));
    assert.deepEqual(
      faultsOf(() => loadConfig({ ...GOOD_ENV, PULSE_AGENT_SECRET_FILE: path })),
      ['Set either PULSE_AGENT_SECRET or PULSE_AGENT_SECRET_FILE, not both.'],
    );
    assert.deepEqual(
      faultsOf(() => loadConfig({ ...GOOD_ENV, TASKCLUSTER_ACCESS_TOKEN_FILE: join(folder(), 'absent') })),
      ['The file named by TASKCLUSTER_ACCESS_TOKEN_FILE cannot be read (ENOENT).'],
    );
  });

  it('puts no secret into an error', () => {
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
});
