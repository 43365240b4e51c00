import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent/agent.ts';
import { pageEventsQueue } from '../../src/contract/names.ts';
import type { EventView } from '../../src/operator-api/event-schemas.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation, useInstallation } from '../support/agent.ts';
import { cutConnections, manage, openConnection } from '../support/broker.ts';
import { readDocument } from '../docs/documents.ts';
import { documentedRights } from '../support/documented-rights.ts';
import { openEventStream } from '../support/operator-stream.ts';
import { linesWith } from '../support/test-log.ts';
import { waitUntil } from '../support/watched-installation.ts';

const TOKEN = 'the-token-of-operators-0123456789';
const WITH_PAGE = { settings: { httpPort: 0 }, environment: { PULSE_AGENT_OPERATOR_TOKEN: TOKEN } } as const;

describe('the page for operators of an agent', function () {
  this.timeout(120_000);
  const installation = useInstallation(WITH_PAGE);
  const follow = (query = '', agent: Agent = installation().agent) => openEventStream(agent, TOKEN, query);

  it('asks for its token, and answers the rest of the port as before', async () => {
    const { httpPort } = installation().agent;
    const get = (path: string, headers = {}) => fetch(`http://127.0.0.1:${httpPort}${path}`, { headers });
    assert.equal((await get('/api/v1/events')).status, 401);
    assert.equal((await get('/api/v1/nowhere', { authorization: `Bearer ${TOKEN}` })).status, 404);
    assert.equal((await get('/healthz')).status, 200);
    assert.ok([200, 503].includes((await get('/')).status));
    assert.ok(!installation().log.join('').includes(TOKEN));
  });

  it('answers each endpoint with what the agent knows, from the surveys it runs', async () => {
    const { httpPort, instance } = installation().agent;
    const get = async (path: string): Promise<Record<string, unknown>> => {
      const response = await fetch(`http://127.0.0.1:${httpPort}/api/v1/${path}`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
      return (await response.json()) as Record<string, unknown>;
    };
    const namespace = teamNamespace();
    const { connectionString } = await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
    const channel = await (await openConnection(connectionString)).createChannel();
    const queue = `queue/${namespace}/jobs`;
    await channel.assertQueue(queue);
    await waitUntil(async () => (await get(`queues?namespace=${namespace}`))['total'] === 1, 'the queue is listed');
    const encoded = encodeURIComponent(queue);
    for (const path of [
      'overview',
      'namespaces',
      `namespaces/${namespace}`,
      `queue-history?queue=${encoded}`,
      'plan',
      'audit',
      'health',
    ]) {
      assert.ok('at' in (await get(path)), path);
    }
    const { agent } = (await get('overview')) as { agent?: { instance: string } };
    assert.equal(agent?.instance, instance);
    await waitUntil(async () => {
      const { openConnections } = (await get(`namespaces/${namespace}`)) as { openConnections?: { account: string }[] };
      return openConnections?.length === 1;
    }, 'the connection is listed');
  });

  it('streams the events of all agents, each once, and resumes behind any of them', async () => {
    await installation().logged('page_events_consumed');
    const stream = await follow();
    const rpc = await installation().rpc(TEAM);
    const [first, second] = [teamNamespace(), teamNamespace()];
    await rpc.request('claim-namespace', { namespace: first });
    const claimed = await stream.event('namespace.claimed', first);
    assert.equal(claimed.instance, installation().agent.instance);
    assert.equal(claimed.data['clientId'], TEAM);
    await rpc.request('claim-namespace', { namespace: second });
    await stream.event('namespace.claimed', second);
    assert.deepEqual(repeated(stream.events()), []);
    stream.close();

    const resumed = await follow(`?after=${claimed.id}&types=namespace.claimed`);
    await resumed.event('namespace.claimed', second);
    assert.deepEqual(resumed.lines()[0], { stream: installation().agent.instance, gap: false, agents: 'all' });
    assert.deepEqual(
      resumed.events().map(({ namespace }) => namespace),
      [second],
    );
    resumed.close();

    const lost = await follow('?after=no-such-event&types=agent');
    await lost.line((line) => 'stream' in line && line.gap);
    lost.close();
  });

  it('has what another agent of the installation emits', async () => {
    const { config, vhost, broker } = installation();
    const stream = await follow('?types=namespace.claimed');
    const path = `/exchanges/${encodeURIComponent(vhost.vhost)}/${encodeURIComponent(installation().names.eventsExchange)}/publish`;
    const event = {
      specversion: '1.0',
      id: 'of-another-agent',
      source: `/${config.id}/another%20agent`,
      type: 'namespace.claimed',
      subject: 'taskcluster-other-1',
      time: '2026-11-24T12:00:00.000Z',
      datacontenttype: 'application/json',
      data: {
        namespace: 'taskcluster-other-1',
        clientId: 'other/service',
        first: true,
        created: '2026-11-24T12:00:00.000Z',
        expires: '2026-11-24T16:00:00.000Z',
        reclaimAt: '2026-11-24T13:00:00.000Z',
      },
    };
    await manage(broker, 'POST', path, {
      properties: {},
      routing_key: 'namespace.claimed.taskcluster-other-1',
      payload: JSON.stringify(event),
      payload_encoding: 'string',
    });
    const seen = await stream.event('namespace.claimed', 'taskcluster-other-1');
    assert.equal(seen.instance, 'another agent');
    assert.deepEqual(seen.data, event.data);
    stream.close();
  });

  it('says that events of others may be missing when its connection was lost, and goes on', async () => {
    const { broker, vhost } = installation();
    const stream = await follow('?types=namespace.claimed');
    await stream.line((line) => 'stream' in line && line.agents === 'all');
    stream.forget();
    await cutConnections(broker, vhost.user);
    await stream.line((line) => 'stream' in line && line.agents === 'own' && line.gap && line.reason !== undefined);
    await stream.line((line) => 'stream' in line && line.agents === 'all' && line.gap);
    const namespace = teamNamespace();
    await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
    await stream.event('namespace.claimed', namespace);
    stream.close();
  });

  it('leaves no queue behind, and has one that only it can read', async () => {
    const { broker, vhost, config } = installation();
    const ownQueues = async () => {
      const { body } = await manage(broker, 'GET', `/queues/${encodeURIComponent(vhost.vhost)}`);
      const queues = body as {
        name: string;
        exclusive: boolean;
        durable: boolean;
        arguments: Record<string, unknown>;
      }[];
      return queues.filter(({ name }) => name.startsWith(pageEventsQueue(config.id, '')));
    };
    const [queue, ...others] = await ownQueues();
    assert.deepEqual(others, []);
    assert.deepEqual([queue?.exclusive, queue?.durable], [true, false]);
    assert.equal(queue?.arguments['x-max-length'], 1000);
    await installation().agent.stop();
    assert.deepEqual(await ownQueues(), []);
  });
});

describe('the rights of an agent with a page for operators', function () {
  this.timeout(120_000);
  let installation: TestInstallation;

  before(async () => {
    installation = await makeInstallation(WITH_PAGE);
  });

  const allow = async (more: { readonly configure?: string; readonly write?: string; readonly read?: string }) => {
    const { broker, vhost, config } = installation;
    const rights = documentedRights();
    const of = (right: 'configure' | 'write' | 'read'): string => {
      const own = rights[right].replaceAll('pulse-agent', config.id);
      return more[right] === undefined ? own : `^(${more[right]})$|${own}`;
    };
    const permissions = { configure: of('configure'), write: of('write'), read: of('read') };
    await manage(broker, 'PUT', `/permissions/${encodeURIComponent(vhost.vhost)}/${vhost.user}`, permissions);
  };

  it('are those in the document, and each of them is needed', async () => {
    const { config, names } = installation;
    const rows = [...readDocument('page.md').matchAll(/^\| ((?:configure|write|read)[, a-z]*) \| `(.*?)` \| .* \|$/gm)];
    const documented = rows.flatMap(([, rights = '', name = '']) =>
      rights.split(', ').map((right) => ({ right, name: name.replace('pulse-agent', config.id) })),
    );
    const queues = pageEventsQueue(config.id, '.*');
    assert.deepEqual(documented.map(({ right, name }) => `${right} ${name}`).toSorted(), [
      `configure ${queues}`,
      `read ${names.eventsExchange}`,
      `read ${queues}`,
      `write ${queues}`,
    ]);
    for (const left of [undefined, ...documented]) {
      const of = (right: string): string =>
        documented.flatMap((one) => (one === left || one.right !== right ? [] : [one.name])).join('|') || 'none';
      await allow({ configure: of('configure'), write: of('write'), read: of('read') });
      const from = installation.log.length;
      const agent = await installation.start();
      const wanted = left === undefined ? 'page_events_consumed' : 'page_events_unavailable';
      await installation.found((lines) => linesWith(lines.slice(from), wanted)[0]);
      await agent.stop();
    }
  });

  it('without those for events it shows its own, says which are missing, and has all once they are there', async () => {
    const { config, names } = installation;
    await allow({});
    installation.log.splice(0);
    const agent = await installation.start();
    const { err } = await installation.logged('page_events_unavailable');
    assert.match(JSON.stringify(err), /needs configure, write and read on queue\/.*\/page-events/);
    const stream = await openEventStream(agent, TOKEN);
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    await rpc.request('claim-namespace', { namespace });
    await stream.event('namespace.claimed', namespace);
    const [first] = stream.lines();
    assert.ok(first !== undefined && 'stream' in first && first.agents === 'own' && first.reason !== undefined);

    const queues = pageEventsQueue(config.id, '.*');
    await allow({ configure: queues, write: queues, read: `${queues}|${names.eventsExchange}` });
    await stream.line((line) => 'stream' in line && line.agents === 'all' && line.gap);
    assert.equal(linesWith(installation.log, 'page_events_unavailable').length, 1);
    stream.close();
  });
});

/** The ids that occur more than once. */
function repeated(events: readonly EventView[]): string[] {
  const ids = events.map(({ id }) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}
