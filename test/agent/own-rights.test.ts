import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent/agent.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../support/broker.ts';
import { declareObjects, untilDeleted } from '../support/namespace-lifecycle.ts';
import { missingPermissions, agentPermissions } from '../../src/verify/permissions.ts';
import { documentedRights } from '../support/documented-rights.ts';
import { readDocument, section } from '../docs/documents.ts';

type Permission = 'configure' | 'write' | 'read';

/** A right of the agent's account, and what shows that it is missing. */
interface Right {
  readonly where: 'vhost' | 'eventVhost';
  readonly permission: Permission;
  /** The exchanges and queues that it covers, as a regular expression. */
  readonly name: string;
  /** Without it, the error of the start (`<code>: <message>`), or the code of a log line. */
  readonly without: RegExp;
}

const NO_TOPOLOGY = /BrokerRefused.*topology/;
const NO_EVENTS = /^event_not_published$/;
const NO_BROKER_EVENTS = /^broker_events_error$/;
const NO_DELETION = /^namespace_work_failed$/;

/** All of them; `<id>` is the agent's id. In the vhost of the requests the agent grants its own. */
const RIGHTS: readonly Right[] = [
  { where: 'vhost', permission: 'configure', name: 'exchange/<id>/v1/events', without: NO_TOPOLOGY },
  ...['queue/taskcluster-.*', 'exchange/taskcluster-.*'].map(
    (name): Right => ({ where: 'vhost', permission: 'configure', name, without: NO_DELETION }),
  ),
  { where: 'vhost', permission: 'write', name: 'exchange/<id>/v1/events', without: NO_EVENTS },
  ...(['configure', 'write', 'read'] as const).map(
    (permission): Right => ({
      where: 'eventVhost',
      permission,
      name: 'queue/<id>/v1/(broker|tenant)-events',
      without: NO_BROKER_EVENTS,
    }),
  ),
  { where: 'eventVhost', permission: 'read', name: 'amq\\.rabbitmq\\.event', without: NO_BROKER_EVENTS },
];

/** The pattern of a permission that consists of these rights. */
function patternOf(rights: readonly Right[], id: string): string {
  return rights.length === 0 ? '^$' : `^(${rights.map(({ name }) => name.replace('<id>', id)).join('|')})$`;
}

describe("the rights of the agent's own account", function () {
  this.timeout(180_000);
  let installation: TestInstallation;

  before('prepare an installation', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
    installation = await makeInstallation({ settings: { stopDeadlineSeconds: 1 } });
  });
  after(async () => {
    await giveRights(RIGHTS);
    await installation.remove();
  });

  const giveRights = async (rights: readonly Right[], tags = 'administrator'): Promise<void> => {
    const { broker, vhost, config } = installation;
    for (const [where, name] of [
      ['vhost', config.vhost],
      ['eventVhost', config.eventVhost],
    ] as const) {
      const of = (permission: Permission): string =>
        patternOf(
          rights.filter((right) => right.where === where && right.permission === permission),
          config.id,
        );
      const permissions = { configure: of('configure'), write: of('write'), read: of('read') };
      await manage(broker, 'PUT', `/permissions/${encodeURIComponent(name)}/${vhost.user}`, permissions);
    }
    await manage(broker, 'PUT', `/users/${vhost.user}`, { password: vhost.password, tags });
  };

  /** Makes the agent use each of its rights. It does not return while one is missing. */
  const doEverything = async (): Promise<void> => {
    const { broker, names, config, vhost } = installation;
    const namespace = teamNamespace();
    const client = await installation.rpc(TEAM);
    await client.request('ping', {});
    await client.request('claim-namespace', { namespace });

    const watching = await (await openConnection(vhost.requestUrl)).createChannel();
    const deadLetter = new Promise((resolve, reject) => {
      watching.consume(names.deadQueue, resolve, { noAck: true }).catch(reject);
    });
    // Without some right the test ends before it awaits this.
    deadLetter.catch(() => undefined);
    const stranger = await installation.requester();
    await stranger.publish(stranger.compose({ method: 'ping', replyTo: 'a queue of another user' }));
    await deadLetter;

    await manage(broker, 'DELETE', `/users/${config.usernamePrefix}${namespace}-1`);
    await installation.logged('account_repaired', { namespace });

    const again = await client.request('claim-namespace', { namespace });
    await declareObjects(await openConnection(again.connectionString), namespace);
    await client.request('release-namespace', { namespace });
    await untilDeleted(installation, client, namespace);
  };

  /** The error of the agent's start, or the first wanted code that it logs. */
  const symptomOf = async (wanted: RegExp): Promise<string> => {
    const from = installation.log.length;
    let agent: Agent;
    try {
      agent = await installation.start();
    } catch (error) {
      assert.ok(error instanceof AgentError, String(error));
      return `${error.code}: ${error.message}`;
    }
    const over = new AbortController();
    const done = doEverything().then(
      () => 'no symptom',
      (error: unknown) => `another failure: ${String(error)}`,
    );
    const codes = (lines: readonly string[]): string[] =>
      lines.slice(from).map((line) => String((JSON.parse(line) as { code?: unknown }).code));
    const seen = installation.found((lines) => codes(lines).find((code) => wanted.test(code)), over.signal);
    try {
      return await Promise.race([seen, done]);
    } finally {
      over.abort();
      await agent.stop();
    }
  };

  it('are enough for everything that the agent does', async () => {
    await giveRights(RIGHTS);
    assert.equal(await symptomOf(/(?!)/), 'no symptom');
  });

  for (const right of RIGHTS) {
    it(`without ${right.permission} on ${right.name} in its ${right.where} are too few`, async () => {
      await giveRights(RIGHTS.filter((other) => other !== right));
      assert.match(await symptomOf(right.without), right.without);
    });
  }

  for (const tags of ['', 'management', 'monitoring', 'policymaker,monitoring']) {
    it(`do not let the agent start with the tags "${tags}" in place of administrator`, async () => {
      await giveRights(RIGHTS, tags);
      await assert.rejects(installation.start(), { code: 'BrokerRefused' });
    });
  }

  it('are those in the documentation', () => {
    const text = section(readDocument('operations.md'), "### The agent's RabbitMQ account");
    const documented = [...text.matchAll(/^\| ((?:configure|write|read)[, a-z]*) \| (`.*?) \| .* \| .* \|$/gm)].flatMap(
      ([, permissions = '', on = '']) =>
        permissions.split(', ').flatMap((permission) =>
          [...on.matchAll(/`([^`]+)`/g)]
            // In a table, a bar in a pattern is escaped.
            .map(([, name = '']) => name.replaceAll(String.raw`\|`, '|'))
            .filter((name) => name !== 'eventVhost')
            .map((name) => `${permission} ${name}`),
        ),
    );
    const measured = RIGHTS.map(({ permission, name }) => `${permission} ${name.replace('<id>', 'pulse-agent')}`);
    assert.deepEqual(documented.toSorted(), measured.toSorted());
  });

  it('match the documented patterns, and are what verify checks', () => {
    const documented = documentedRights();
    const exactly = { configure: of('configure'), write: of('write'), read: of('read') };
    for (const { where, permission, name } of RIGHTS) {
      if (where === 'eventVhost') continue;
      const one = name.replace('<id>', 'pulse-agent').replace('.*', 'a/b').replace('\\', '');
      assert.match(one, new RegExp(documented[permission]), `${permission} ${one}`);
    }
    assert.deepEqual(missingPermissions(exactly, agentPermissions('pulse-agent', 'taskcluster-')), []);

    function of(permission: Permission): string {
      const rights = RIGHTS.filter((right) => right.where === 'vhost' && right.permission === permission);
      return patternOf(rights, 'pulse-agent');
    }
  });
});
