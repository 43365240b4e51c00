import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Rpc } from '../../src/client/rpc.ts';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, REVOKER, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import {
  assertCredentialsWork,
  assertNothingWaits,
  type Claimed,
  openPatientRpc,
} from '../support/claimed-namespace.ts';
import { assertRefused, claimAnew, leftOf, openDoomed, settleDown, untilGone } from '../support/lifecycle.ts';
import type { Moment } from '../support/steps.ts';

/** Some thirty deaths, a few at once, each with two starts of an agent. */
const DEATHS_MS = 400_000;

/** So many installations at once. */
const LANES = 4;

/** Short, so that a rotation and an end come soon. */
const SETTINGS = { rotationIntervalSeconds: 4, expiryNoticeSeconds: 1, defaultLifetimeSeconds: 3600 };

/** One installation with one agent that is going to die. */
interface Scene {
  readonly installation: TestInstallation;
  readonly rpc: Rpc;
  readonly namespace: string;
  readonly claimed: Claimed;
}

/** Something the agent does, and what must hold when another agent has come after it. */
interface Scenario {
  readonly name: string;
  /** Seconds after which the namespace ends, when it is not claimed again. */
  readonly lifetimeSeconds?: number;
  /** Other ones than usual. */
  readonly settings?: Partial<typeof SETTINGS>;
  /** What there is to lose; the list of steps itself comes from the agent. */
  readonly writes: readonly string[];
  /** The step after which nothing is left to do, and, where others try them, the step after which deaths are no news. */
  readonly last: string;
  readonly newsUntil?: string;
  /** Sets it off; resolves when the client has its answer, if there is one. */
  act(scene: Scene): Promise<unknown>;
  check(scene: Scene): Promise<void>;
}

const scenarios: readonly Scenario[] = [
  {
    name: 'a rotation',
    writes: ['management.putUser', 'management.putPermissions', 'namespaces.replace'],
    last: 'namespaces.replace',
    act: async () => undefined,
    async check({ rpc, namespace, claimed }) {
      await assertCredentialsWork(claimed);
      const again = await untilRotated(rpc, namespace, claimed);
      await assertCredentialsWork(again);
      if (Date.now() < Date.parse(claimed.reclaimAt)) await assertCredentialsWork(claimed);
    },
  },
  {
    name: 'an expiry',
    lifetimeSeconds: 3,
    // The end comes before the first rotation.
    settings: { rotationIntervalSeconds: 8 },
    writes: [
      'namespaces.replace 2',
      'management.deleteUser 2',
      'management.deleteQueue 2',
      'management.deleteExchange',
    ],
    last: 'namespaces.replace 3',
    act: async () => undefined,
    check: checkEnd,
  },
  {
    name: 'a release',
    writes: ['nonces.recordOutcome', 'namespaces.replace', 'reply.publish', 'request.ack', 'management.deleteUser'],
    last: 'namespaces.replace 2',
    // The deletion itself is that of an expiry.
    newsUntil: 'management.deleteUser',
    async act({ rpc, namespace }) {
      assert.equal((await rpc.request('release-namespace', { namespace })).state, 'expiring');
    },
    check: checkEnd,
  },
  {
    name: 'a revocation',
    writes: ['nonces.recordOutcome', 'namespaces.replace 2', 'management.putUser 2', 'management.closeUserConnections'],
    last: 'request.ack',
    async act({ installation, namespace }) {
      const rpc = await installation.rpc(REVOKER);
      await rpc.request('revoke-namespace', { namespace });
    },
    async check({ installation, rpc, namespace, claimed }) {
      await assertRefused(claimed.connectionString);
      const again = await rpc.request('claim-namespace', { namespace });
      await assertCredentialsWork(again);
      assert.ok((await leftOf(installation, namespace)).includes(`queue/${namespace}/one`), 'queues should stay');
    },
  },
];

describe('an agent that is killed in the middle of', () => {
  useSharedBroker();

  for (const scenario of scenarios) {
    it(`${scenario.name} leaves nothing undone, whichever step it dies at`, async function () {
      this.timeout(DEATHS_MS);
      const steps = await stepsOf(scenario);
      for (const step of scenario.writes) {
        assert.ok(steps.includes(step), `${step} should be among the steps ${steps.join(', ')}`);
      }
      const until = scenario.newsUntil === undefined ? steps.length : steps.indexOf(scenario.newsUntil) + 1;
      const deaths: { step: string; moment: Moment }[] = steps
        .slice(0, until)
        .map((step) => ({ step, moment: 'before' as const }));
      if (scenario.newsUntil === undefined) deaths.push({ step: scenario.last, moment: 'after' });
      const rest = deaths[Symbol.iterator]();
      await Promise.all(
        Array.from({ length: LANES }, async () => {
          for (const { step, moment } of rest) await dieAndRecover(scenario, step, moment);
        }),
      );
    });
  }
});

async function stepsOf(scenario: Scenario): Promise<string[]> {
  return await inScene(scenario, async (scene, agent) => {
    const steps = await agent.stepsOf(() => scenario.act(scene), scenario.last);
    await scenario.check(scene);
    await agent.stop();
    return steps;
  });
}

async function dieAndRecover(scenario: Scenario, step: string, moment: Moment): Promise<void> {
  await inScene(scenario, async (scene, agent) => {
    await agent.arm(step, moment, 'SIGKILL');
    const acted = scenario.act(scene);
    acted.catch(() => undefined);
    let next = agent;
    try {
      await agent.signalled('SIGKILL');
      next = await startAgentProcess(scene.installation.environment);
      await acted;
      await scenario.check(scene);
      await next.stop();
      await assertNothingWaits(scene.installation);
    } catch (error) {
      throw new Error(
        `${scenario.name} whose agent died ${moment} ${step}: ${(error as Error).message}\nThe end of the log:\n${next.log()}`,
        { cause: error },
      );
    }
  });
}

/** An installation of its own with one agent and a namespace that has a connection, queues and an exchange. */
async function inScene<T>(scenario: Scenario, work: (scene: Scene, agent: AgentProcess) => Promise<T>): Promise<T> {
  const installation = await makeInstallation({ settings: { ...SETTINGS, ...scenario.settings } });
  try {
    const agent = await startAgentProcess(installation.environment);
    const rpc = await openPatientRpc(installation);
    const namespace = teamNamespace();
    const lifetime = scenario.lifetimeSeconds;
    const claimed = await rpc.request('claim-namespace', {
      namespace,
      ...(lifetime === undefined ? {} : { expires: new Date(Date.now() + lifetime * 1000).toISOString() }),
    });
    const { connection } = await openDoomed(claimed.connectionString);
    await settleDown(connection, namespace);
    return await work({ installation, rpc, namespace, claimed }, agent);
  } finally {
    await installation.remove();
  }
}

/** Nothing is left, and the next life is another one. */
async function checkEnd({ installation, rpc, namespace, claimed }: Scene): Promise<void> {
  await untilGone(installation, rpc, namespace);
  await assertRefused(claimed.connectionString);
  const again = await claimAnew(rpc, namespace);
  assert.notEqual(again.connectionString, claimed.connectionString);
  await assertCredentialsWork(again);
  const connection = await openConnection(again.connectionString);
  await connection.close();
}

async function untilRotated(rpc: Rpc, namespace: string, before: Claimed): Promise<Claimed> {
  for (;;) {
    const claimed = await rpc.request('claim-namespace', { namespace });
    if (claimed.connectionString !== before.connectionString) return claimed;
    await sleep(100);
  }
}
