import assert from 'node:assert/strict';
import { type AgentProcess, startAgentProcess } from '../support/agent-process.ts';
import type { TestInstallation } from '../support/agent.ts';
import { manage, useSharedBroker } from '../support/broker.ts';
import {
  claimTeam,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  type Team,
  waitUntil,
} from '../support/watched-installation.ts';
import type { Moment } from '../support/step-observer.ts';

/** A dozen crashes, a few concurrently, each with two starts of an agent and the time until its locks expire. */
const CRASHES_MS = 400_000;

/** How many installations crash concurrently; they mostly wait until locks expire. */
const LANES = 5;

const CONTACT = 'owner@example.org';

interface Scene {
  readonly installation: TestInstallation;
  readonly events: CollectedEvents;
  readonly team: Team;
  readonly queue: string;
}

/** What happens to a queue, and what must hold after another agent has taken over. */
interface Scenario {
  readonly name: string;
  /** All steps of the agent, in order. */
  readonly steps: readonly string[];
  /** Runs before the agent is armed. */
  prepare?(scene: Scene): Promise<unknown>;
  act(scene: Scene): Promise<unknown>;
  /** The types of events that were published at least once, and the subjects of all mails. */
  readonly events: readonly string[];
  readonly mails: readonly RegExp[];
  readonly isLeft: boolean;
}

const scenarios: readonly Scenario[] = [
  {
    name: 'the deletion of a queue',
    steps: [
      'queueAlerts.insert',
      'notices.add',
      'queueAlerts.replace',
      'queueAlerts.replace 2',
      'notices.add 2',
      'queueAlerts.replace 3',
      'management.deleteQueue',
      'queueAlerts.replace 4',
      'queueAlerts.remove',
    ],
    act: ({ team, queue }) => team.fill(queue, 60),
    events: ['queue.warning', 'queue.deleted'],
    mails: [/growing too large/, /was deleted/],
    isLeft: false,
  },
  {
    name: 'the recovery of a queue',
    steps: ['queueAlerts.replace', 'notices.add', 'queueAlerts.remove'],
    async prepare({ team, queue, events, installation }) {
      await team.fill(queue, 30);
      await events.of('queue.warning', queue);
      await waitUntil(() => installation.taskcluster.mails.length === 1, 'a mail of the warning');
    },
    act: ({ team, queue }) => team.channel.purgeQueue(queue),
    events: ['queue.warning', 'queue.recovered'],
    mails: [/growing too large/, /has recovered/],
    isLeft: true,
  },
];

describe('an agent that is killed during', () => {
  useSharedBroker();

  for (const scenario of scenarios) {
    it(`${scenario.name} leaves nothing undone and sends no mail twice, at whichever step it dies`, async function () {
      this.timeout(CRASHES_MS);
      const deaths: { step: string; moment: Moment }[] = scenario.steps.map((step) => ({ step, moment: 'before' }));
      deaths.push({ step: scenario.steps.at(-1) ?? '', moment: 'after' });
      const rest = deaths[Symbol.iterator]();
      await Promise.all(
        Array.from({ length: LANES }, async () => {
          for (const { step, moment } of rest) await dieAndRecover(scenario, step, moment);
        }),
      );
    });
  }
});

async function dieAndRecover(scenario: Scenario, step: string, moment: Moment): Promise<void> {
  const installation = await makeWatchedInstallation();
  let next: AgentProcess | undefined;
  try {
    const agent = await startAgentProcess(installation.environment);
    next = agent;
    const events = await collectEvents(installation);
    const team = await claimTeam(installation, CONTACT);
    const queue = `queue/${team.namespace}/jobs`;
    await team.channel.assertQueue(queue);
    const scene = { installation, events, team, queue };
    await scenario.prepare?.(scene);
    await agent.arm(step, moment, 'SIGKILL');
    await scenario.act(scene);
    await agent.signalled('SIGKILL');
    next = await startAgentProcess(installation.environment);
    await check(scenario, scene);
    await next.stop();
  } catch (error) {
    throw new Error(
      `${scenario.name} whose agent died ${moment} ${step}: ${(error as Error).message}\nThe end of the log:\n${next?.log()}`,
      { cause: error },
    );
  } finally {
    await installation.remove();
  }
}

async function check(scenario: Scenario, { installation, events, queue }: Scene): Promise<void> {
  for (const type of scenario.events) await events.of(type, queue);
  await waitUntil(() => installation.taskcluster.mails.length >= scenario.mails.length, 'the mails');
  assert.deepEqual(
    installation.taskcluster.mails.map(({ subject }) => scenario.mails.findIndex((mail) => mail.test(subject))),
    scenario.mails.map((_, index) => index),
  );
  assert.ok(installation.taskcluster.mails.every(({ address }) => address === CONTACT));
  const path = `/queues/${encodeURIComponent(installation.config.vhost)}/${encodeURIComponent(queue)}`;
  const { status } = await manage(installation.broker, 'GET', path, undefined, [404]);
  assert.equal(status, scenario.isLeft ? 200 : 404);
}
