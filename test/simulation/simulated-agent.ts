import { setMaxListeners } from 'node:events';
import { noAudit } from '../../src/audit/audit.ts';
import { UNGUARDED } from '../../src/broker/cluster.ts';
import { guardByCluster } from '../../src/broker/management/guarded-changes.ts';
import type { Management } from '../../src/broker/management/management.ts';
import { createReporters } from '../../src/reporters.ts';
import { createNamespaces, type Namespaces } from '../../src/namespaces/namespaces.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { createPrune } from '../../src/jobs/prune.ts';
import { createLog } from '../../src/util/log.ts';
import { createUseNonce, type UseNonce } from '../../src/requests/nonce-use.ts';
import { momentOf, type Sleep } from '../../src/util/clock.ts';
import { Secret } from '../../src/util/secret.ts';
import type { Store } from '../../src/store/store.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';
import type { NonceStore } from '../../src/store/nonce-records.ts';

/** One process: what a real agent does for namespaces, on a machine of the model. */
export interface SimulatedAgent extends Namespaces {
  readonly machine: Machine;
  readonly nonces: NonceStore;
  readonly useNonce: UseNonce;
  /** Never aborted: here jobs end with their process. */
  readonly signal: AbortSignal;
  prune(): Promise<void>;
}

/** The secrets of an installation, in the order in which they are used. */
export const SECRETS: readonly Secret[] = Array.from(
  { length: 4 },
  (_, index) => new Secret(`secret ${index} of the simulated installation`),
);

const BASE = loadConfig({
  RABBITMQ_URL: 'amqp://agent:password@broker.example/',
  TASKCLUSTER_ROOT_URL: 'https://tc.example',
  PULSE_AGENT_SECRET: (SECRETS[0] as Secret).reveal(),
  LOG_LEVEL: 'fatal',
});
const LOG = createLog(BASE, { write: () => undefined });

/** The settings of an installation with this rotation interval. */
export function configOf(rotationMs: number): Config {
  const rotationIntervalSeconds = rotationMs / 1000;
  return {
    ...BASE,
    rotationIntervalSeconds,
    defaultLifetimeSeconds: 4 * rotationIntervalSeconds,
    maxLifetimeSeconds: 100 * rotationIntervalSeconds,
    expiryAnnouncementSeconds: rotationIntervalSeconds,
    managementConcurrency: 4,
  };
}

/** For how long after its last call to the broker a process lists the nodes: longer than a call takes. */
const LISTING_MS = 12_000;

/**
 * Guards changes as a real agent, which lists the nodes every 2 s. Listings that concern no change are left out: in an hour
 * without work there would be thousands.
 */
function watchNodes(management: Management, machine: Machine): ReturnType<typeof guardByCluster> {
  const { clock } = machine;
  let calledMs = -Infinity;
  let wake: (() => void) | undefined;
  const sleep: Sleep = (ms) =>
    new Promise((resolve) => {
      if (clock.monotonicMs() - calledMs < LISTING_MS) machine.after(ms, resolve);
      else wake = () => machine.after(ms, resolve);
    });
  const watched = Object.entries(management).map(([name, call]) => [
    name,
    (...given: never[]): unknown => {
      if (name !== 'listNodes') {
        calledMs = clock.monotonicMs();
        wake?.();
        wake = undefined;
      }
      return (call as (...all: never[]) => unknown)(...given);
    },
  ]);
  const guarded = guardByCluster(Object.fromEntries(watched) as Management, { clock, sleep });
  guarded.cluster.start();
  return guarded;
}

/** Starts a process. */
export function startSimulatedAgent({
  machine,
  store,
  management,
  config,
  random,
  secrets,
  isCluster,
}: {
  readonly machine: Machine;
  readonly store: Store;
  readonly management: Management;
  readonly config: Config;
  readonly random: Random;
  /** The last one is the current one. */
  readonly secrets: readonly Secret[];
  readonly isCluster: boolean;
}): SimulatedAgent {
  const guarded = isCluster ? watchNodes(management, machine) : { management, cluster: undefined };
  const { cluster } = guarded;
  const context = {
    config: { ...config, agentSecret: secrets.at(-1) as Secret, previousAgentSecrets: secrets.slice(0, -1) },
    store,
    management: guarded.management,
    cluster: cluster ?? UNGUARDED,
    clock: machine.clock,
    sleep: machine.sleep,
    randomBytes: (size: number) => random.bytes(size),
    random: () => random.next(),
    reporters: createReporters({
      events: { emit: () => undefined, emitAndWait: async () => undefined },
      audit: noAudit,
      log: LOG,
      clock: machine.clock,
    }),
  };
  const namespaces = createNamespaces(context);
  const prune = createPrune({ store, bounds: namespaces.bounds, log: LOG, auditRetentionDays: 30 });
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return {
    machine,
    nonces: store.nonces,
    useNonce: createUseNonce(store.nonces),
    signal,
    ...namespaces,
    // As an agent does it.
    async reconcile(until) {
      await cluster?.permit(until);
      const beganAt = momentOf(machine.clock);
      const outcome = await namespaces.reconcile(until);
      cluster?.reconciled(beganAt);
      return outcome;
    },
    prune: () => prune(signal),
  };
}
