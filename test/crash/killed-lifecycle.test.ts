import assert from 'node:assert/strict';
import type { Rpc } from '../../src/client/rpc.ts';
import { permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { type AgentProcess, startAgentProcess, startCrashingAgent } from '../support/agent-process.ts';
import { makeInstallation, REVOKER, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { manage, openConnection, useSharedBroker } from '../support/broker.ts';
import {
  assertCredentialsWork,
  assertHonoured,
  assertNoRequestLeft,
  type Claimed,
  openPatientRpc,
} from '../support/claim-assertions.ts';
import {
  assertLoginRefused,
  claimOnceAllowed,
  objectsOf,
  openAndAwaitClose,
  declareObjects,
  untilDeleted,
} from '../support/namespace-lifecycle.ts';
import type { Moment } from '../support/step-observer.ts';

/** One or two dozen crashes, a few concurrently. */
const CRASHES_MS = 400_000;

/** How long a repair after an event may take, in ms. */
const REPAIR_MS = 10_000;

/** How many installations crash concurrently, each again and again. They mostly wait for what is due. */
const LANES = 6;

/** Connections are closed until none is listed: once or twice, and more often on a slow machine, which varies. */
const MORE_CLOSINGS = /^management\.closeUserConnections ([4-9]|\d\d)$/;

/** A step that was taken again. */
const REPEATED = / \d+$/;

/** One namespace of an installation whose agent will crash. */
interface Scene {
  readonly installation: TestInstallation;
  readonly rpc: Rpc;
  readonly namespace: string;
  readonly claimed: Claimed;
}

/** Work of the agent, and what must hold after another agent has taken over. */
interface Scenario {
  readonly name: string;
  readonly rotationIntervalSeconds: number;
  /** The lifetime of the namespace without further claims. */
  readonly lifetimeSeconds?: number;
  /** Some of its steps; the agent provides the complete list. */
  readonly writes: readonly string[];
  /** The last step, and, where another scenario covers the later steps, the last step at which this one crashes. */
  readonly last: string;
  readonly crashUntil?: string;
  /** Each change has its own event, and one repair may come between them or after both. */
  readonly mayRepeat?: true;
  /** Causes the work; resolves when the client has its answer, if there is one. */
  act(scene: Scene): Promise<unknown>;
  check(scene: Scene, agent: AgentProcess): Promise<void>;
}

const scenarios: readonly Scenario[] = [
  {
    name: 'a rotation',
    rotationIntervalSeconds: 4,
    writes: ['management.putUser', 'management.putPermissions', 'namespaces.replace'],
    last: 'namespaces.replace',
    act: async () => undefined,
    async check({ rpc, namespace, claimed }, agent) {
      await assertHonoured(claimed);
      await assertHonoured(await untilRotated(agent, rpc, namespace, claimed));
      await assertHonoured(claimed);
    },
  },
  {
    name: 'an expiry',
    // It expires before the first rotation.
    rotationIntervalSeconds: 8,
    lifetimeSeconds: 5,
    writes: [
      'namespaces.replace 2',
      'management.deleteUser 2',
      'management.deleteQueue 2',
      'management.deleteExchange',
    ],
    last: 'namespaces.replace 3',
    act: async () => undefined,
    check: checkDeletion,
  },
  {
    name: 'a release',
    rotationIntervalSeconds: 8,
    writes: ['nonces.recordOutcome', 'namespaces.replace', 'reply.publish', 'request.ack', 'management.deleteUser'],
    last: 'namespaces.replace 2',
    // The deletion is covered by the expiry.
    crashUntil: 'management.deleteUser',
    async act({ rpc, namespace }) {
      assert.equal((await rpc.request('release-namespace', { namespace })).state, 'expiring');
    },
    check: checkDeletion,
  },
  {
    name: 'a revocation',
    rotationIntervalSeconds: 60,
    writes: ['nonces.recordOutcome', 'namespaces.replace 2', 'management.putUser 2', 'management.closeUserConnections'],
    last: 'request.ack',
    async act({ installation, namespace }) {
      const rpc = await openPatientRpc(installation, REVOKER);
      await rpc.request('revoke-namespace', { namespace });
    },
    async check({ installation, rpc, namespace, claimed }) {
      await assertLoginRefused(claimed.connectionString);
      const again = await rpc.request('claim-namespace', { namespace });
      await assertCredentialsWork(again);
      assert.ok((await objectsOf(installation, namespace)).includes(`queue/${namespace}/one`), 'queues should stay');
    },
  },
  {
    name: 'the repair of an account that was deleted',
    rotationIntervalSeconds: 60,
    writes: ['management.putUser', 'management.putPermissions'],
    mayRepeat: true,
    last: 'management.putPermissions',
    act: ({ installation, namespace }) =>
      manage(installation.broker, 'DELETE', `/users/${userOf(installation, namespace)}`),
    async check({ rpc, namespace, claimed }, agent) {
      await untilRepaired(agent, claimed);
      const again = await rpc.request('claim-namespace', { namespace });
      assert.equal(again.connectionString, claimed.connectionString);
    },
  },
  {
    name: 'the repair of rights and limits',
    rotationIntervalSeconds: 60,
    writes: ['management.putPermissions', 'management.putUserLimit'],
    mayRepeat: true,
    last: 'management.putUserLimit',
    async act({ installation, namespace }) {
      const { broker } = installation;
      const user = userOf(installation, namespace);
      await manage(broker, 'PUT', `/user-limits/${user}/max-channels`, { value: 1 });
      const vhost = encodeURIComponent(installation.config.vhost);
      await manage(broker, 'PUT', `/permissions/${vhost}/${user}`, { configure: '', write: '', read: '.*' });
    },
    async check({ installation, namespace, claimed }, agent) {
      await untilRepaired(agent, claimed);
      const user = userOf(installation, namespace);
      const { body } = await manage(installation.broker, 'GET', `/users/${user}/permissions`);
      const expected = Object.entries(permissionsOf(installation.config, namespace));
      assert.deepEqual(
        new Set(body as object[]),
        new Set(expected.map(([vhost, granted]) => ({ user, vhost, ...granted }))),
      );
    },
  },
];

describe('an agent that is killed during', () => {
  useSharedBroker();

  for (const scenario of scenarios) {
    it(`${scenario.name} leaves nothing undone, before and after whichever step it dies`, async function () {
      this.timeout(CRASHES_MS);
      const lanes = await Promise.all(Array.from({ length: LANES }, () => openLane(scenario)));
      const left = scenario.mayRepeat === true ? REPEATED : MORE_CLOSINGS;
      const steps = ((await lanes[0]?.stepsOf()) ?? []).filter((step) => !left.test(step));
      for (const step of scenario.writes) {
        assert.ok(steps.includes(step), `${step} should be among the steps ${steps.join(', ')}`);
      }
      const until = scenario.crashUntil === undefined ? steps.length : steps.indexOf(scenario.crashUntil) + 1;
      const deaths = steps
        .slice(0, until)
        .flatMap((step) => (['before', 'after'] as const).map((moment) => ({ step, moment })));
      const rest = deaths[Symbol.iterator]();
      await Promise.all(
        lanes.map(async (lane) => {
          for (const { step, moment } of rest) await lane.dieAndRecover(step, moment);
          await lane.finish();
        }),
      );
    });
  }

  it('a request, and whose successor is killed during it too, leaves the request to a third one', async function () {
    this.timeout(CRASHES_MS);
    const scenario = scenarios.find(({ name }) => name === 'a revocation') ?? assert.fail();
    const lane = await openLane(scenario);
    await lane.dieAndRecover('management.putUser 2', 'before', {
      step: 'management.closeUserConnections',
      moment: 'before',
    });
    await lane.dieAndRecover('namespaces.replace', 'after', { step: 'reply.publish', moment: 'after' });
    await lane.finish();
  });
});

/** Opens an installation in which one agent after another crashes, each with its own namespace. */
async function openLane(scenario: Scenario) {
  const { rotationIntervalSeconds } = scenario;
  const installation = await makeInstallation({
    settings: { rotationIntervalSeconds, expiryAnnouncementSeconds: 1, defaultLifetimeSeconds: 3600 },
  });
  const { environment } = installation;
  let agent: AgentProcess = await startAgentProcess(environment);
  const rpc = await openPatientRpc(installation, TEAM);

  /** Claims a namespace with a connection, queues and an exchange. */
  const prepare = async (namespace: string): Promise<Scene> => {
    const lifetime = scenario.lifetimeSeconds;
    const claimed = await rpc.request('claim-namespace', {
      namespace,
      ...(lifetime === undefined ? {} : { expires: new Date(Date.now() + lifetime * 1000).toISOString() }),
    });
    const { connection } = await openAndAwaitClose(claimed.connectionString);
    await declareObjects(connection, namespace);
    return { installation, rpc, namespace, claimed };
  };

  return {
    async stepsOf(): Promise<string[]> {
      const scene = await prepare(teamNamespace());
      const steps = await agent.stepsOf(() => scenario.act(scene), scenario.last, scene.namespace);
      await scenario.check(scene, agent);
      return steps;
    },

    /** @param then where the next agent crashes too, while it completes the work */
    async dieAndRecover(step: string, moment: Moment, then?: { step: string; moment: Moment }): Promise<void> {
      const scene = await prepare(teamNamespace());
      await agent.arm(step, moment, 'SIGKILL', scene.namespace);
      const acted = scenario.act(scene);
      acted.catch(() => undefined);
      try {
        await agent.signalled('SIGKILL');
        if (then !== undefined) {
          const second = await startCrashingAgent(environment, then.step, then.moment);
          await second.signalled('SIGKILL');
        }
        agent = await startAgentProcess(environment);
        await acted;
        await scenario.check(scene, agent);
      } catch (error) {
        throw new Error(
          `${scenario.name} whose agent died ${moment} ${step}: ${(error as Error).message}\nThe end of the log:\n${agent.log()}`,
          { cause: error },
        );
      }
    },

    async finish(): Promise<void> {
      await agent.stop();
      await assertNoRequestLeft(installation);
      await installation.remove();
    },
  };
}

/** Checks that everything is deleted and that the next incarnation has other credentials. */
async function checkDeletion({ installation, rpc, namespace, claimed }: Scene): Promise<void> {
  await untilDeleted(installation, rpc, namespace);
  await assertLoginRefused(claimed.connectionString);
  const again = await claimOnceAllowed(rpc, namespace);
  assert.notEqual(again.connectionString, claimed.connectionString);
  await assertCredentialsWork(again);
  const connection = await openConnection(again.connectionString);
  await connection.close();
}

/** Waits until the repair after an event is complete. */
async function untilRepaired(agent: AgentProcess, claimed: Claimed): Promise<void> {
  let fault: unknown;
  const check = async (): Promise<true | undefined> => {
    try {
      await assertCredentialsWork(claimed);
      return true;
    } catch (error) {
      fault = error;
      return undefined;
    }
  };
  await agent.until(check, REPAIR_MS).catch((error: unknown) => {
    throw fault ?? error;
  });
}

async function untilRotated(agent: AgentProcess, rpc: Rpc, namespace: string, before: Claimed): Promise<Claimed> {
  return await agent.until(async () => {
    const claimed = await rpc.request('claim-namespace', { namespace });
    return claimed.connectionString === before.connectionString ? undefined : claimed;
  });
}

function userOf({ config }: TestInstallation, namespace: string): string {
  return `${config.usernamePrefix}${namespace}-1`;
}
