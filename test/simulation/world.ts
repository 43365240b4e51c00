import { AgentError } from '../../src/util/agent-errors.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import { accountName, permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { hasExpectedPermissions } from '../../src/broker/user-permissions.ts';
import type { Config } from '../../src/config/config.ts';
import { hasOnlyStoreTag } from '../../src/broker/store-tag.ts';
import { hashMatches } from '../../src/broker/password-hash.ts';
import { createKeyring } from '../../src/namespaces/accounts/keyring.ts';
import {
  clockDifferenceMs,
  deletionStartsMs,
  type Intervals,
  intervalsOf,
  settlementMs,
} from '../../src/namespaces/timing.ts';
import { slotOf } from '../../src/namespaces/slots.ts';
import type { Secret } from '../../src/util/secret.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { createCredentials, type Credentials } from './credentials.ts';
import { createInvariants, type InvariantParts, type Invariants } from './invariants.ts';
import { startMachine } from './machine.ts';
import { createModelBroker, type ModelBroker } from './model-broker.ts';
import { createModelManagement } from './model-management.ts';
import { createModelStore, type ModelStore } from './model-store.ts';
import { createRandom, type Random } from './random.ts';
import { configOf, SECRETS, type SimulatedAgent, startSimulatedAgent } from './simulated-agent.ts';
import { createTimeline, type Timeline } from './timeline.ts';

/** One is a prefix of the other. */
export const NAMESPACES = ['taskcluster-a', 'taskcluster-a-1'] as const;

/** Users, queues and exchanges with similar names that do not belong to the agents. */
const FOREIGN_USERS = ['taskcluster-a', 'taskcluster-a-3', 'xtaskcluster-a-1', 'other-1', 'taskcluster-a-1-1-0'];
const FOREIGN_OBJECTS = [
  'queue/taskcluster-a',
  'queue/taskcluster-ab/q',
  'xqueue/taskcluster-a/q',
  'exchange/taskcluster',
];

/** Rotation intervals, in ms. */
const ROTATIONS_MS = [8_000, 24_000, 80_000, 80_000, 3_600_000];

/** How long each job has when a history settles, in ms. */
export const REST_STEP_MS = 3_000;

/** How often clocks differ by more than they may, and by which factor. */
const SKEWED_RATE = 0.05;
const SKEWS = [2, 10, 100, 1000];

/** In one of this many histories RabbitMQ is a cluster. */
const CLUSTER_EVERY = 4;

/** An invariant was violated. */
export class Violation extends Error {}

/** The environment of a history. */
export interface World {
  readonly random: Random;
  readonly timeline: Timeline;
  readonly intervals: Intervals;
  readonly broker: ModelBroker;
  readonly store: ModelStore;
  readonly credentials: Credentials;
  readonly invariants: Invariants;
  /** Whether RabbitMQ has three nodes, which may split. */
  readonly isCluster: boolean;
  /** How often a call is slow or lost. */
  faultRate: number;
  /** Starts a process with these secrets, of which the last is the current one. */
  startAgent(name: string, secrets: readonly Secret[]): SimulatedAgent;
  /** The offset of a machine's clock, within the allowed difference unless the world is skewed. */
  chooseOffset(): number;
  /** Makes an agent do something. Failures that agents expect are ignored. */
  attempt(agent: SimulatedAgent, what: string, work: () => Promise<unknown>): void;
  /** Adds a line to the trace, if there is one. */
  readonly log: (line: () => string) => void;
}

/** Creates a world from a seed. What happens in it is added to `trace`, if there is one. */
export function createWorld(seed: number, trace?: string[]): World {
  const random = createRandom(seed);
  let violation: Violation | undefined;
  const timeline = createTimeline(() => {
    if (violation !== undefined) throw violation;
  });
  const log = (line: () => string): void => void trace?.push(`${timeline.nowMs().toFixed(0).padStart(9)} ${line()}`);
  const violate = (sentence: string): void => {
    if (violation !== undefined) return;
    log(() => `VIOLATED ${sentence}`);
    violation = new Violation(sentence);
  };
  const rotationMs = random.pick(ROTATIONS_MS);
  const isSkewed = random.chance(SKEWED_RATE);
  const config = configOf(rotationMs);
  const intervals = intervalsOf(config);
  const broker = createModelBroker(timeline, random, (connection) => world.invariants.connectionOpened(connection));
  for (const name of FOREIGN_USERS) {
    const user = { name, passwordHash: '', hashingAlgorithm: '', tags: [] };
    broker.users.set(name, { user, permissions: {}, topicPermissions: [], limits: {} });
  }
  for (const name of FOREIGN_OBJECTS) broker.objects.set(name, { kind: 'queue', name, incarnation: undefined });
  const differenceMs = clockDifferenceMs(intervals);
  const credentials = createCredentials(differenceMs / 2);
  const store: ModelStore = createModelStore({
    timeline,
    random,
    faultRate: () => world.faultRate,
    onWrite(before, after, by) {
      log(() => `${by} wrote ${describe(after ?? before)}${after === undefined ? ', removed' : ''}`);
      world.invariants.afterStoreWrite(before, after, by);
    },
  });
  const world: World = {
    random,
    timeline,
    intervals,
    broker,
    store,
    credentials,
    // Not by chance, so that the other histories stay as they are.
    isCluster: seed % CLUSTER_EVERY === 0,
    faultRate: random.pick([0, 0.03, 0.1, 0.3]),
    invariants: createInvariants({
      timeline,
      broker,
      records: store.records,
      credentials,
      namespaces: NAMESPACES,
      // From the last expiry to the check at rest most of a round passes, which short rotations do not cover.
      restMs: Math.max(
        rotationMs,
        deletionStartsMs(0, intervals) + differenceMs + settlementMs(intervals) + 3 * REST_STEP_MS,
      ),
      ...createAccountChecks(broker, config),
      isSkewed,
      violate,
    }),
    log,
    chooseOffset: () =>
      random.pick([-0.5, 0.5, random.between(-0.5, 0.5)]) * (isSkewed ? random.pick(SKEWS) : 1) * differenceMs,

    startAgent(name, secrets) {
      const machine = startMachine(name, timeline, world.chooseOffset(), (mishap) =>
        log(() => `${name}: ${mishap.kind === 'crash' ? 'crashes' : `stopped for ${Math.round(mishap.ms)} ms`}`),
      );
      const management = createModelManagement({
        timeline,
        random,
        faultRate: () => world.faultRate,
        broker,
        machine,
        onBefore: (what, on) => world.invariants.beforeBrokerWrite(what, on),
        onWritten(what, on, by) {
          log(() => `${by}: ${what} ${on}`);
          world.invariants.afterBrokerWrite(what, on, by);
        },
      });
      return startSimulatedAgent({
        machine,
        store: store.viewFrom(machine),
        management,
        config,
        random,
        secrets,
        isCluster: world.isCluster,
      });
    },

    attempt(agent, what, work) {
      const { name } = agent.machine;
      log(() => `${name} starts ${what}`);
      work().then(
        () => log(() => `${name} finishes ${what}`),
        (error: unknown) => {
          const isExpected = error instanceof AgentError || error instanceof WireError || error === DEADLINE;
          log(
            () => `${name} fails ${what}: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`,
          );
          if (!isExpected) violate(`${name} failed ${what} with ${String((error as Error).stack)}`);
        },
      );
    },
  };
  return world;
}

/** The reason of a request that takes too long. */
export const DEADLINE = new Error('the deadline of the request');

function createAccountChecks(
  broker: ModelBroker,
  config: Config,
): Pick<InvariantParts, 'isAsRecorded' | 'hasAgentPassword'> {
  const keyring = createKeyring(SECRETS[0] as Secret, SECRETS.slice(1));
  const hasAgentPassword = (record: NamespaceRecord, account: string): boolean => {
    const found = broker.users.get(account);
    const slot = account === accountName('', record.namespace, 1) ? 1 : 2;
    const recorded = slotOf(record, slot);
    if (found === undefined || !hasOnlyStoreTag(found.user.tags, 'simulated')) return false;
    const next = { generation: record.generation + 1, secretId: record.nextSecretId };
    return [recorded, next].some(
      ({ generation, secretId }) =>
        secretId !== '' &&
        hashMatches(
          found.user.passwordHash,
          keyring.derive({
            secretId,
            storeId: 'simulated',
            incarnation: record.incarnation,
            username: account,
            generation,
          }),
        ),
    );
  };
  return {
    hasAgentPassword,
    isAsRecorded(record, account) {
      const seen = broker.users.get(account);
      const isGranted = seen !== undefined && hasExpectedPermissions(seen, permissionsOf(config, record.namespace));
      return isGranted && hasAgentPassword(record, account);
    },
  };
}

function describe(record: NamespaceRecord | undefined): string {
  if (record === undefined) return 'nothing';
  const { namespace, revision, state, incarnation, generation, slots } = record;
  const promises = slots.map((slot) => `${slot.generation}→${Math.round(slot.promisedUntilMs % 1e9)}`).join(' ');
  return `${namespace} ${state} r${revision} g${generation} [${promises}] incarnation ${incarnation.slice(0, 4)}`;
}
