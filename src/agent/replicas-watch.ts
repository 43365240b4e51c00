import {
  hasReplicaCall,
  nextReplica,
  ownQuorumQueues,
  type QueueReplicas,
  readReplicas,
  type ReplicaToAdd,
} from '../broker/queue-replicas.ts';
import { adviseReplicas, describeReplicas } from '../broker/replica-advice.ts';
import type { AgentContext } from '../context.ts';
import { reconcileSoon } from '../jobs/jobs.ts';
import type { HealthCheck } from '../observe/health.ts';
import { startDeadline } from '../util/deadline.ts';
import { createPolling } from '../util/polling.ts';

/** Watches the replicas of the agent's own queues, and adds those that are missing. */
export interface ReplicasWatch {
  /** The replicas as they were read last; undefined where they are unknown. */
  current(): readonly QueueReplicas[] | undefined;
  /** `up` where no failure of one node stops a queue, as far as other nodes could prevent that. */
  check(): HealthCheck;
  /** Adds the missing replicas, one after the other, where RabbitMQ lets it. Never rejects, except with the reason of the signal. */
  addMissing(signal: AbortSignal): Promise<void>;
  /** Reads them until {@link ReplicasWatch.close}. */
  start(): void;
  close(): Promise<void>;
}

/** The pause between two readings, in ms: each is some small calls. */
const PAUSE_MS = 15_000;
/** The time limit of a reading, in ms. */
const LIMIT_MS = 15_000;
/** Replicas that were read longer ago, in ms, are unknown. */
const KEPT_MS = 60_000;

interface Reading {
  /** When it began. */
  readonly startedMs: number;
  readonly replicas: readonly QueueReplicas[];
  /** Whether this version of RabbitMQ adds replicas over its API. */
  readonly hasCall: boolean;
}

/** Creates the watch of one agent. It logs changes alone. */
export function createReplicasWatch({
  config,
  names,
  management,
  clock,
  sleep,
  log,
  jobs,
  reporters,
}: Pick<
  AgentContext,
  'config' | 'names' | 'management' | 'clock' | 'sleep' | 'log' | 'jobs' | 'reporters'
>): ReplicasWatch {
  const queues = ownQuorumQueues(names, config);
  let latest: Reading | undefined;
  /** RabbitMQ's configuration forbids to add replicas over its API. */
  let isForbidden = false;
  let logged = '';
  let requested = '';
  let isUnknownLogged = false;

  const adviceFor = ({ replicas, hasCall }: Reading): string =>
    adviseReplicas(config.id, replicas, hasCall && !isForbidden);

  const report = (reading: Reading): void => {
    const said = describeReplicas(reading.replicas) ?? '';
    const advice = adviceFor(reading);
    if (`${said} ${advice}` === logged) return;
    const wasReduced = logged !== '' && logged !== ' ';
    logged = `${said} ${advice}`;
    if (said !== '') {
      const reduced = reading.replicas
        .filter(({ state }) => state !== 'complete')
        .map(({ name, vhost, state, leader = null, members, online }) => {
          return { queue: name, vhost, state, leader, members, online };
        });
      log.warn({ code: 'replicas_reduced', queues: reduced, advice }, said);
    } else if (wasReduced) {
      log.info({ code: 'replicas_complete' }, "the agent's queues have all of their replicas again");
    }
  };

  const reportLatest = (): void => {
    if (latest !== undefined) report(latest);
  };

  /** One agent adds them, at a reconciliation. */
  const requestMissing = ({ replicas, hasCall }: Reading): void => {
    const missing = replicas.flatMap(({ label, addable }) => addable.map((node) => `${label} ${node}`)).join();
    if (missing === requested) return;
    requested = missing;
    if (missing !== '' && hasCall) reconcileSoon(jobs);
  };

  const read = async (signal: AbortSignal): Promise<Reading> => {
    const startedMs = clock.monotonicMs();
    const deadline = startDeadline(LIMIT_MS, signal);
    try {
      const options = { signal: deadline.signal };
      const replicas = await readReplicas(management, queues, options);
      const isMissing = replicas.some(({ addable }) => addable.length > 0);
      const hasCall = isMissing && hasReplicaCall((await management.overview(options)).rabbitmqVersion);
      const reading = { startedMs, replicas, hasCall };
      if (latest === undefined || startedMs >= latest.startedMs) {
        latest = reading;
        isUnknownLogged = false;
      }
      return reading;
    } catch (error) {
      signal.throwIfAborted();
      if (!isUnknownLogged) {
        log.warn({ code: 'replicas_unknown', err: error }, "could not read the replicas of the agent's queues");
      }
      isUnknownLogged = true;
      throw error;
    } finally {
      deadline.clear();
    }
  };

  /** Whether RabbitMQ let the agent add it. */
  const add = async ({ queue, node }: ReplicaToAdd, signal: AbortSignal): Promise<boolean> => {
    isForbidden = !(await management.addQueueMember(queue.vhost, queue.name, node, { signal }));
    if (!isForbidden) reporters.replicaAdded(queue.name, node);
    return !isForbidden;
  };

  const wasAdded = async ({ queue, node }: ReplicaToAdd, signal: AbortSignal): Promise<boolean> => {
    const { replicas } = await read(signal);
    return replicas.some(({ label, members }) => label === queue.label && members.includes(node));
  };

  const addEach = async (signal: AbortSignal): Promise<void> => {
    const tried = new Set<string>();
    for (;;) {
      const reading = await read(signal);
      const next = nextReplica(reading.replicas, (replica) => tried.has(keyOf(replica)));
      if (next === undefined || !reading.hasCall) return;
      tried.add(keyOf(next));
      try {
        if (await add(next, signal)) continue;
      } catch (error) {
        signal.throwIfAborted();
        // Of two agents that add the same member at a time, RabbitMQ answers one with 500.
        if (await wasAdded(next, signal)) continue;
        const fields = { queue: next.queue.name, node: next.node };
        log.warn({ code: 'replica_not_added', err: error, ...fields }, 'could not add a replica; will retry');
      }
      // What one call failed for may delay the next, too, and with it the job that waits for them.
      return;
    }
  };

  const polling = createPolling(
    async (signal) => {
      const reading = await read(signal);
      reportLatest();
      requestMissing(reading);
    },
    () => PAUSE_MS,
    sleep,
  );

  const ageMs = (): number => (latest === undefined ? Infinity : clock.monotonicMs() - latest.startedMs);

  return {
    current: () => (ageMs() > KEPT_MS ? undefined : latest?.replicas),
    check() {
      if (latest === undefined) return { state: 'starting', reason: 'the replicas of the queues are not read yet' };
      if (ageMs() > KEPT_MS) {
        return { state: 'down', reason: `unknown: the replicas were not read for ${Math.round(ageMs() / 1000)} s` };
      }
      if (!latest.replicas.some(({ name }) => name === names.requestQueue)) {
        return { state: 'down', reason: `RabbitMQ has no quorum queue ${names.requestQueue}` };
      }
      if (latest.replicas.every(({ state }) => state === 'complete' || state === 'lacking')) return { state: 'up' };
      return { state: 'down', reason: `${describeReplicas(latest.replicas) ?? ''}. ${adviceFor(latest)}` };
    },
    async addMissing(signal) {
      try {
        await addEach(signal);
      } catch {
        // It is logged.
        signal.throwIfAborted();
      }
      reportLatest();
    },
    start: () => polling.start(),
    close: () => polling.close(),
  };
}

function keyOf({ queue, node }: ReplicaToAdd): string {
  return `${queue.label} ${node}`;
}
