import { AgentError } from '../../src/util/agent-errors.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import { accountName, permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { hashMatches } from '../../src/broker/password-hash.ts';
import { createKeyring } from '../../src/namespaces/accounts/keyring.ts';
import { clockDifferenceMs, deletionStartsMs, type Intervals, settlementMs } from '../../src/namespaces/timing.ts';
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

/** Users, queues and exchanges with similar names, which agents must not touch. */
const FOREIGN_USERS = ['taskcluster-a', 'taskcluster-a-3', 'xtaskcluster-a-1', 'other-1', 'taskcluster-a-1-1-0'];
const FOREIGN_THINGS = [
  'queue/taskcluster-a',
  'queue/taskcluster-ab/q',
  'xqueue/taskcluster-a/q',
  'exchange/taskcluster',
];

/** The longest rotation interval of histories, in ms, and shorter ones. */
const ROTATIONS_MS = [8_000, 24_000, 80_000, 80_000, 3_600_000];

/** How long each job may take at the end of a history. */
export const REST_STEP_MS = 3_000;

/** The probability of clocks beyond the allowed skew, and the factor. */
const SKEWED = 0.05;
const SKEWS = [2, 10, 100, 1000];

/** A violated promise. */
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
  /** The probability that a call is not fast and successful. */
  trouble: number;
  /** Starts a process with these secrets; the last one is current. */
  startAgent(name: string, secrets: readonly Secret[]): SimulatedAgent;
  /** A random offset of a machine's clock, within the allowed skew except in a skewed world. */
  chooseOffset(): number;
  /** Runs work of an agent; failures that an agent is built for do not fail the history. */
  attempt(agent: SimulatedAgent, what: string, work: () => Promise<unknown>): void;
  /** Adds a line to the trace, if there is one. */
  readonly note: (line: () => string) => void;
}

/** Makes a world from a seed; events are added to `trace`, if there is one. */
export function createWorld(seed: number, trace?: string[]): World {
  const random = createRandom(seed);
  let violation: Violation | undefined;
  const timeline = createTimeline(() => {
    if (violation !== undefined) throw violation;
  });
  const addToTrace = (line: () => string): void =>
    void trace?.push(`${timeline.nowMs().toFixed(0).padStart(9)} ${line()}`);
  const violate = (sentence: string): void => {
    if (violation !== undefined) return;
    addToTrace(() => `VIOLATED ${sentence}`);
    violation = new Violation(sentence);
  };
  const rotationMs = random.pick(ROTATIONS_MS);
  const isSkewed = random.chance(SKEWED);
  const config = configOf(rotationMs);
  const intervals: Intervals = {
    rotationMs,
    defaultLifetimeMs: config.defaultLifetimeSeconds * 1000,
    maxLifetimeMs: config.maxLifetimeSeconds * 1000,
    handshakeMs: config.handshakeTimeoutSeconds * 1000,
  };
  const broker = createModelBroker(timeline, random, (connection) => world.invariants.opened(connection));
  for (const name of FOREIGN_USERS) {
    const user = { name, passwordHash: '', hashingAlgorithm: '', tags: [] };
    broker.users.set(name, { user, permissions: undefined, limits: {} });
  }
  for (const name of FOREIGN_THINGS) broker.things.set(name, { kind: 'queue', name, incarnation: undefined });
  const differenceMs = clockDifferenceMs(intervals);
  const credentials = createCredentials(differenceMs / 2);
  const store: ModelStore = createModelStore({
    timeline,
    random,
    trouble: () => world.trouble,
    onWrite(before, after, by) {
      addToTrace(() => `${by} wrote ${describe(after ?? before)}${after === undefined ? ', removed' : ''}`);
      world.invariants.stored(before, after, by);
    },
  });
  const world: World = {
    random,
    timeline,
    intervals,
    broker,
    store,
    credentials,
    trouble: random.pick([0, 0.03, 0.1, 0.3]),
    invariants: createInvariants({
      timeline,
      broker,
      records: store.records,
      credentials,
      namespaces: NAMESPACES,
      // After the last sweep most of an interval passes until all work is done, which short rotations do not cover.
      restMs: Math.max(
        rotationMs,
        deletionStartsMs(0, intervals) + differenceMs + settlementMs(intervals) + 3 * REST_STEP_MS,
      ),
      ...createLooks(broker),
      isSkewed,
      violate,
    }),
    note: addToTrace,
    chooseOffset: () =>
      random.pick([-0.5, 0.5, random.between(-0.5, 0.5)]) * (isSkewed ? random.pick(SKEWS) : 1) * differenceMs,

    startAgent(name, secrets) {
      const machine = startMachine(name, timeline, world.chooseOffset(), (mishap) =>
        addToTrace(() => `${name}: ${mishap.kind === 'crash' ? 'crashes' : `stopped for ${Math.round(mishap.ms)} ms`}`),
      );
      const management = createModelManagement({
        timeline,
        random,
        trouble: () => world.trouble,
        broker,
        machine,
        onBefore: (what, on) => world.invariants.before(what, on),
        onWritten(what, on, by) {
          addToTrace(() => `${by}: ${what} ${on}`);
          world.invariants.written(what, on, by);
        },
      });
      return startSimulatedAgent({ machine, store: store.seenBy(machine), management, config, random, secrets });
    },

    attempt(agent, what, work) {
      const { name } = agent.machine;
      addToTrace(() => `${name} begins ${what}`);
      work().then(
        () => addToTrace(() => `${name} ends ${what}`),
        (error: unknown) => {
          const isExpected = error instanceof AgentError || error instanceof WireError || error === DEADLINE;
          addToTrace(
            () => `${name} fails ${what}: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`,
          );
          if (!isExpected) violate(`${name} failed ${what} with ${String((error as Error).stack)}`);
        },
      );
    },
  };
  return world;
}

/** Times out a request. */
export const DEADLINE = new Error('the deadline of the request');

function createLooks(broker: ModelBroker): Pick<InvariantParts, 'isWhole' | 'isOurs'> {
  const keyring = createKeyring(SECRETS[0] as Secret, SECRETS.slice(1));
  const isOurs = (record: NamespaceRecord, account: string): boolean => {
    const found = broker.users.get(account);
    const slot = account === accountName('', record.namespace, 1) ? 1 : 2;
    const kept = record.slots[slot - 1];
    if (found === undefined || kept === undefined || found.user.tags.length > 0) return false;
    const next = { generation: record.generation + 1, secretId: record.nextSecretId };
    return [kept, next].some(
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
    isOurs,
    isWhole(record, account) {
      const seen = broker.users.get(account)?.permissions;
      const expected = permissionsOf('pulse-agent', record.namespace);
      const isGranted =
        seen?.configure === expected.configure && seen.write === expected.write && seen.read === expected.read;
      return isGranted && isOurs(record, account);
    },
  };
}

function describe(record: NamespaceRecord | undefined): string {
  if (record === undefined) return 'nothing';
  const { namespace, revision, state, incarnation, generation, slots } = record;
  const promises = slots.map((slot) => `${slot.generation}→${Math.round(slot.promisedUntilMs % 1e9)}`).join(' ');
  return `${namespace} ${state} r${revision} g${generation} [${promises}] incarnation ${incarnation.slice(0, 4)}`;
}
