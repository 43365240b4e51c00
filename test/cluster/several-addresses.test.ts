import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent/agent.ts';
import type { PulseAgentClient } from '../../src/client/client.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq-node.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation, withPort } from '../support/agent.ts';
import { scrape, untilHealth, untilSample } from '../support/agent-http.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { useCluster } from '../support/cluster.ts';

describe('the addresses of a cluster', function () {
  this.timeout(BROKER_START_MS);
  const cluster = useCluster();

  /** The URL with the ports of all nodes, beginning with `first`. */
  function atAll(url: string, portOf: (node: LocalRabbitMQ) => number, first: LocalRabbitMQ): string {
    const nodes = [first, ...cluster().nodes.filter((node) => node !== first)];
    return nodes.map((node) => withPort(url, portOf(node))).join(',');
  }

  const amqpPort = (node: LocalRabbitMQ): number => node.amqpPort;

  /** Starts an agent that uses this node first. */
  async function startAt(first: LocalRabbitMQ, installation: TestInstallation): Promise<Agent> {
    const { vhost } = installation;
    const environment = {
      RABBITMQ_URL: atAll(vhost.amqpUrl, amqpPort, first),
      RABBITMQ_MANAGEMENT_URL: atAll(vhost.managementUrl, (node) => node.managementPort, first),
    };
    return await installation.start({ environment, random: () => 0 });
  }

  /** An agent that uses this node first, and a client that does, too. */
  async function start(first: LocalRabbitMQ): Promise<{
    agent: Agent;
    client: PulseAgentClient;
    installation: TestInstallation;
  }> {
    const installation = await makeInstallation({ broker: first, settings: { httpPort: 0 } });
    const agent = await startAt(first, installation);
    const url = atAll(installation.claimantUrl, amqpPort, first);
    const client = installation.client(TEAM, { url, timeoutMs: 60_000 });
    return { agent, client, installation };
  }

  /** A first claim, with credentials that open a connection to a node that runs. */
  async function claim(client: PulseAgentClient): Promise<void> {
    const { connectionStrings = [] } = await client.claimNamespace({ namespace: teamNamespace() });
    assert.equal(connectionStrings.length, cluster().nodes.length);
    const opened = await Promise.any(connectionStrings.map((url) => openConnection(url)));
    await opened.close();
  }

  it('keep first claims, and the connection of a lease, when the node in use is killed', async () => {
    const [first] = cluster().nodes;
    assert.ok(first !== undefined);
    const { client } = await start(first);
    const lease = await client.lease({ namespace: teamNamespace() });
    const connection = await lease.connect(async (opened) => await opened.createConfirmChannel());
    await claim(client);
    await first.kill();
    await claim(client);
    await connection.use(async (channel) => await channel.checkExchange('amq.topic'));
    await lease.stop();
  });

  it('make an agent without clients ready again when the node in use, which leads its queues, is killed', async () => {
    const [first] = cluster().nodes;
    assert.ok(first !== undefined);
    const { agent } = await start(first);
    await untilHealth(agent, ({ ready }) => ready);
    await first.kill();
    // The first request of the agent to itself over its new connection may meet a queue that has no leader yet.
    await untilHealth(agent, ({ parts: { cluster: seen } }) => seen.state === 'down');
    const sample = 'pulse_agent_request_probe_duration_seconds_count';
    const answered = (await scrape(agent)).get(sample) ?? 0;
    await untilSample(agent, sample, (count = 0) => count > answered);
    await untilHealth(agent, ({ ready }) => ready);
  });

  it('keep first claims when the node in use stops answering', async () => {
    const [, second] = cluster().nodes;
    assert.ok(second !== undefined);
    const { client } = await start(second);
    await claim(client);
    second.pause();
    await claim(client);
    second.resume();
  });

  it('let an agent start while the first node is down', async () => {
    const [, , last] = cluster().nodes;
    const [first] = cluster().nodes;
    assert.ok(first !== undefined && last !== undefined);
    const installation = await makeInstallation({ broker: first });
    await last.kill();
    await startAt(last, installation);
    assert.equal((await installation.client().ping()).alive, true);
  });
});
