import assert from 'node:assert/strict';
import type { Rpc } from '../../src/client/rpc.ts';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import {
  assertNamespaceIsComplete,
  assertNoRequestLeft,
  type Claimed,
  openPatientRpc,
} from '../support/claim-assertions.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import type { Moment } from '../support/step-observer.ts';

/** Fifteen crashes and restarts of one or two seconds each, on a busy machine. */
const CRASHES_MS = 240_000;

/** How many installations crash concurrently, each again and again. */
const LANES = 4;

/** With these limits a first claim makes every broker call that it can make. */
const SETTINGS = { accountLimits: { 'max-connections': 20, 'max-channels': 40 } };

/** Some steps of a first claim; the agent provides the complete list. */
const WRITES = ['namespaces.insert', 'management.putUser', 'management.putPermissions', 'namespaces.replace'];

/** The writes of a re-claim to the store. Its nonce is among their arguments. */
const RENEWAL = ['namespaces.replace'];

/** The last step of every request. */
const LAST_STEP = 'request.ack';

describe('an agent that is killed in the middle of a claim', () => {
  useSharedBroker();

  describe('on LMDB', () => {
    it('leaves nothing undone, at whichever step it dies', async function () {
      this.timeout(CRASHES_MS);
      await dieAtEveryStep(() => makeInstallation({ settings: SETTINGS }));
    });
  });

  describe('on MongoDB', () => {
    const mongodb = useSharedMongoDB();

    it('leaves nothing undone, at whichever step it dies', async function () {
      this.timeout(CRASHES_MS);
      await dieAtEveryStep(() =>
        makeInstallation({ settings: SETTINGS, environment: { STORE_URL: mongoDatabase(mongodb()) } }),
      );
    });
  });
});

async function dieAtEveryStep(install: () => Promise<TestInstallation>): Promise<void> {
  const lanes = await Promise.all(Array.from({ length: LANES }, async () => await openLane(await install())));
  const [lane] = lanes;
  assert.ok(lane !== undefined);

  const claimed = teamNamespace();
  const first = await lane.stepsOf(claimed);
  for (const step of [...WRITES, 'reply.publish']) {
    assert.ok(first.includes(step), `${step} should be among the steps ${first.join(', ')}`);
  }
  const again = await lane.stepsOf(claimed);
  assert.deepEqual(
    again.filter((step) => step.startsWith('management.')),
    [],
    'a re-claim should not call the broker',
  );
  assert.deepEqual(
    again.filter((step) => /^(namespaces|nonces)\./.test(step)),
    RENEWAL,
    'a re-claim should make one write to the store',
  );

  const deaths = [
    ...deathsOf(first).map((death) => ({ ...death, of: 'first claim' as const })),
    ...deathsOf(again).map((death) => ({ ...death, of: 're-claim' as const })),
  ];
  await Promise.all(
    lanes.map(async (each, index) => {
      for (const death of deaths.filter((_, at) => at % LANES === index)) await each.dieAndRecover(death);
      await each.finish();
    }),
  );
}

interface Death {
  readonly of: 'first claim' | 're-claim';
  readonly step: string;
  readonly moment: Moment;
}

/** Before each step, and after the last: a crash after one step is the same as a crash before the next. */
function deathsOf(steps: readonly string[]): Pick<Death, 'step' | 'moment'>[] {
  return [...steps.map((step) => ({ step, moment: 'before' as const })), { step: LAST_STEP, moment: 'after' }];
}

async function openLane(installation: TestInstallation): Promise<Lane> {
  // The agent first: it creates the claimant's account.
  const agent = await startAgentProcess(installation.environment);
  return new Lane(installation, agent, await openPatientRpc(installation));
}

/** An installation whose agent crashes again and again. */
class Lane {
  readonly #installation: TestInstallation;
  readonly #rpc: Rpc;
  #agent: AgentProcess;

  constructor(installation: TestInstallation, agent: AgentProcess, rpc: Rpc) {
    this.#installation = installation;
    this.#agent = agent;
    this.#rpc = rpc;
  }

  /** The steps of a claim of this namespace. */
  stepsOf(namespace: string): Promise<string[]> {
    return this.#agent.stepsOf(() => this.#claim(namespace), LAST_STEP);
  }

  /** Sends one claim, during which the agent crashes; the next agent has to answer the same request. */
  async dieAndRecover({ of, step, moment }: Death): Promise<void> {
    const namespace = teamNamespace();
    const before = of === 're-claim' ? await this.#claim(namespace) : undefined;
    await this.#agent.arm(step, moment, 'SIGKILL');
    const answer = this.#claim(namespace);
    answer.catch(() => undefined);
    try {
      await this.#agent.signalled('SIGKILL');
      this.#agent = await startAgentProcess(this.#installation.environment);
      const claimed = await answer;
      if (before !== undefined) assert.equal(claimed.connectionString, before.connectionString);
      await assertNamespaceIsComplete(this.#installation, this.#rpc, claimed);
    } catch (error) {
      throw new Error(
        `A ${of} whose agent died ${moment} ${step}: ${(error as Error).message}\nThe end of the log:\n${this.#agent.log()}`,
        { cause: error },
      );
    }
  }

  async finish(): Promise<void> {
    await this.#agent.stop();
    await assertNoRequestLeft(this.#installation);
  }

  async #claim(namespace: string): Promise<Claimed> {
    return await this.#rpc.request('claim-namespace', { namespace });
  }
}
