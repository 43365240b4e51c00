import assert from 'node:assert/strict';
import type { Rpc } from '../../src/client/rpc.ts';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import {
  assertCredentialsWork,
  assertNamespaceIsComplete,
  assertNoRequestLeft,
  type Claimed,
  listAccounts,
} from '../support/claim-assertions.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

/** How many claims are sent concurrently. */
const RACERS = 16;
const NAMESPACES = 64;

/** How many connections are opened concurrently. */
const CONNECTIONS = 8;

describe('two agents that share a store', () => {
  useSharedBroker();
  const mongodb = useSharedMongoDB();
  let installation: TestInstallation;
  let agents: AgentProcess[];
  let rpc: Rpc;

  beforeEach(async function () {
    this.timeout(60_000);
    installation = await makeInstallation({ environment: { STORE_URL: mongoDatabase(mongodb()) } });
    // Concurrently, so that they also race for the markers of a new store and a new broker.
    agents = await Promise.all([1, 2].map(() => startAgentProcess(installation.environment)));
    rpc = await installation.rpc(TEAM);
  });

  const claim = (namespace: string): Promise<Claimed> => rpc.request('claim-namespace', { namespace });

  /** Stops both, and asserts that both have served claims. */
  const finish = async (): Promise<void> => {
    for (const agent of agents) {
      const { 'claim-namespace result': served = 0 } = await agent.requestCounts();
      assert.ok(served > 0, 'both agents should have served claims');
      await agent.stop();
    }
    await assertNoRequestLeft(installation);
  };

  it(`answers ${RACERS} first claims of one namespace with the same credentials, and as many re-claims`, async function () {
    this.timeout(60_000);
    const namespace = teamNamespace();
    const first = await Promise.all(Array.from({ length: RACERS }, () => claim(namespace)));
    const [one] = first;
    assert.ok(one !== undefined);
    assertAllAlike(first, one);
    await assertNamespaceIsComplete(installation, rpc, one);

    assertAllAlike(await Promise.all(Array.from({ length: RACERS }, () => claim(namespace))), one);
    const { namespaces } = await rpc.request('list-namespaces', {});
    assert.deepEqual(
      namespaces.map(({ namespace: name, state }) => [name, state]),
      [[namespace, 'active']],
    );
    await finish();
  });

  it(`answers ${NAMESPACES} first claims of different namespaces, each with credentials that work`, async function () {
    this.timeout(60_000);
    const claimed = await Promise.all(Array.from({ length: NAMESPACES }, () => claim(teamNamespace())));
    const left = [...claimed];
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        for (let next = left.pop(); next !== undefined; next = left.pop()) await assertCredentialsWork(next);
      }),
    );
    assert.equal((await listAccounts(installation, 'taskcluster-team')).length, NAMESPACES);
    const { namespaces } = await rpc.request('list-namespaces', { limit: 2 * NAMESPACES });
    assert.equal(namespaces.filter(({ state }) => state === 'active').length, NAMESPACES);
    await finish();
  });
});

function assertAllAlike(claims: readonly Claimed[], one: Claimed): void {
  for (const { created, connectionString } of claims) {
    assert.deepEqual({ created, connectionString }, { created: one.created, connectionString: one.connectionString });
  }
}
