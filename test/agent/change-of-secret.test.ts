import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { loadConfig } from '../../src/config/config.ts';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createTestLog, linesWith } from '../support/test-log.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { assertCredentialsWork, type Claimed, openPatientRpc } from '../support/claim-assertions.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

const NAMESPACES = 3;

describe('a change of the agent secret', function () {
  this.timeout(BROKER_START_MS);
  const mongodb = useSharedMongoDB();

  it('rolls over two agents and invalidates no credentials; an agent without an old secret logs it at its start', async () => {
    const environment = { STORE_URL: mongoDatabase(mongodb()) };
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4 }, environment });
    const [older, newer] = [installation.environment['PULSE_AGENT_SECRET'] ?? '', randomBytes(33).toString('base64')];
    const begin = (current: string, previous?: string) => startWith(installation, current, previous);

    const agents = [await begin(older), await begin(older)];
    const rpc = await openPatientRpc(installation, TEAM);
    const names = Array.from({ length: NAMESPACES }, () => teamNamespace());
    const given = new Map<string, Claimed>();
    const handedOut = new Map(names.map((namespace) => [namespace, new Set<string>()]));
    const tryAll = async (): Promise<void> => {
      for (const [url, claimed] of given) {
        try {
          await assertCredentialsWork(claimed);
        } catch (error) {
          if (Date.now() < Date.parse(claimed.reclaimAt)) throw error;
          given.delete(url);
        }
      }
    };
    /** Claims every namespace, from either agent, and tries all credentials from claims so far. */
    const check = async (): Promise<void> => {
      for (const namespace of names) {
        const claimed = await rpc.request('claim-namespace', { namespace });
        given.set(claimed.connectionString, claimed);
        handedOut.get(namespace)?.add(claimed.connectionString);
      }
      await tryAll();
    };
    await check();
    // All agents get the new secret before one uses it, so that each can serve the records of the other.
    for (const [index, [current, previous]] of [
      [older, newer],
      [older, newer],
      [newer, older],
      [newer, older],
    ].entries()) {
      await agents[index % 2]?.agent.stop();
      agents[index % 2] = await begin(current ?? '', previous);
      await check();
    }
    while (names.some((namespace) => (handedOut.get(namespace)?.size ?? 0) < 4)) await check();
    assert.ok(agents.every(({ lines }) => linesWith(lines, 'secret_missing').length === 0));

    // An agent with neither secret.
    for (const { agent } of agents) await agent.stop();
    const alone = await begin(randomBytes(33).toString('base64'));
    const { msg } = await alone.logged('secret_missing', { namespaces: 3 });
    assert.match(msg, /add it to PULSE_AGENT_PREVIOUS_SECRETS/);
    // Namespaces whose credentials this agent cannot derive are rotated; credentials from claims still work.
    for (const namespace of names) {
      await alone.logged('namespace_rotated', { namespace });
      await assertCredentialsWork(await rpc.request('claim-namespace', { namespace }));
    }
    await tryAll();
  });
});

/** Starts an agent with these secrets. */
async function startWith(installation: TestInstallation, current: string, previous?: string) {
  const config = loadConfig({
    ...installation.environment,
    PULSE_AGENT_SECRET: current,
    ...(previous === undefined ? {} : { PULSE_AGENT_PREVIOUS_SECRETS: previous }),
  });
  const { lines, write, logged } = createTestLog();
  const started = await startAgent(config, { log: createLog(config, { write }) });
  let stopped: Promise<void> | undefined;
  const agent: Agent = { ...started, stop: () => (stopped ??= started.stop()) };
  addCleanup(() => agent.stop());
  return { agent, lines, logged };
}
