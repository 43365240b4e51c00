import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import type { PulseAgentClient } from '../../src/client/client.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation, withPort } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import type { Claimed } from '../support/claim-assertions.ts';
import { useCluster } from '../support/cluster.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

/** A rotation every 6 s, so that each test meets several. */
const SETTINGS = { rotationIntervalSeconds: 6 };

/** Namespaces that are claimed all the time while nodes restart. */
const NAMESPACES = 10;

describe('two agents on a cluster of three nodes', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();
  const mongodb = useSharedMongoDB();
  let installation: TestInstallation;

  before('start two agents', async () => {
    const environment = { STORE_URL: mongoDatabase(mongodb()) };
    installation = await makeInstallation({ broker: node(0), settings: SETTINGS, environment });
    await Promise.all([installation.start(), installation.start({ through: node(1) })]);
  });
  after('remove the installation', async () => {
    await installation?.remove();
  });

  it('grant credentials through each node that open a connection on every node', async () => {
    for (const asked of cluster().nodes) {
      const claimed = await claim(clientAt(asked));
      for (const used of cluster().nodes) assert.equal(await logIn(claimed, used), 'opened');
    }
  });

  it('serve claims again after the leader of the request queue was killed', async () => {
    const { body } = await manage(
      node(0),
      'GET',
      `/queues/${encodeURIComponent(installation.config.requestVhost)}/${encodeURIComponent(installation.names.requestQueue)}`,
    );
    const { leader } = body as { leader: string };
    const killed = cluster().nodes.find(({ nodeName: name }) => name === leader) ?? assert.fail(`no node is ${leader}`);
    const left = cluster().nodes.filter((each) => each !== killed);
    await killed.kill();
    for (const asked of left) {
      const claimed = await claim(clientAt(asked));
      for (const used of left) assert.equal(await logIn(claimed, used), 'opened');
    }
  });

  it('have no login refused and no claim fail while one node after the other restarts', async () => {
    const namespaces = Array.from({ length: NAMESPACES }, teamNamespace);
    const clients = cluster().nodes.map(clientAt);
    const counts = { claims: 0, opened: 0, unreachable: 0 };
    const generations = new Set<string>();
    const restarted = new AbortController();
    const useIt = async (namespace: string, index: number): Promise<void> => {
      for (let turn = index; !restarted.signal.aborted; turn++) {
        // The library sends a request again, also through a node that is away for a while.
        const claimed = await claim(clients[turn % clients.length] ?? assert.fail(), namespace);
        counts.claims++;
        generations.add(claimed.connectionString);
        const outcome = await logIn(claimed, node(turn % 3));
        if (outcome === 'refused') assert.ok(Date.now() >= Date.parse(claimed.reclaimAt), `${namespace} was refused`);
        else counts[outcome]++;
      }
    };
    const using = Promise.all(namespaces.map(useIt));
    const restarting = (async () => {
      for (const each of cluster().nodes) await each.restart();
    })().finally(() => restarted.abort());
    await Promise.all([using, restarting]);
    assert.ok(generations.size > NAMESPACES, 'credentials were rotated meanwhile');
    assert.ok(counts.opened > counts.unreachable, JSON.stringify(counts));
  });

  it('serve through a node that joins, and have their accounts there', async () => {
    const earlier = teamNamespace();
    await claim(clientAt(node(0)), earlier);
    const joined = await cluster().add();
    // Claimed again: joining takes longer than two rotations.
    assert.equal(await logIn(await claim(clientAt(node(0)), earlier), joined), 'opened');
    assert.equal(await logIn(await claim(clientAt(joined)), joined), 'opened');
    const agent = await installation.start({ through: joined });
    for (const other of cluster().nodes) {
      assert.equal(await logIn(await claim(clientAt(other)), joined), 'opened');
    }
    await agent.stop();
  });

  function node(index: number): LocalRabbitMQ {
    return cluster().nodes[index] ?? assert.fail();
  }

  function clientAt(asked: LocalRabbitMQ): PulseAgentClient {
    return installation.client(TEAM, { url: withPort(installation.claimantUrl, asked.amqpPort), timeoutMs: 120_000 });
  }

  /** Opens a connection with the credentials on this node. */
  async function logIn(claimed: Claimed, used: LocalRabbitMQ): Promise<'opened' | 'refused' | 'unreachable'> {
    try {
      await (await connect(withPort(claimed.connectionString, used.amqpPort))).close();
      return 'opened';
    } catch (error) {
      return /ACCESS_REFUSED|403/.test((error as Error).message) ? 'refused' : 'unreachable';
    }
  }

  async function claim(client: PulseAgentClient, namespace = teamNamespace()): Promise<Claimed> {
    return await client.claimNamespace({ namespace });
  }
});
