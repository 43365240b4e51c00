import { setTimeout as sleep } from 'node:timers/promises';
import type { TopologyConnection } from '../broker/amqp/topology-connection.ts';
import { ensureClaimant } from '../broker/claimant.ts';
import { claimBroker } from '../broker/marker.ts';
import { ensureRequestVhost } from '../broker/request-vhost.ts';
import type { AgentContext } from '../context.ts';
import { reconcileAndSurveySoon } from '../jobs/jobs.ts';
import type { Queues } from '../queues/queues.ts';
import { isAgentError } from '../util/agent-errors.ts';
import { startDeadline } from '../util/deadline.ts';
import { retry } from '../util/retry.ts';
import type { LimitsWatch } from './limits-watch.ts';

/** What {@link createBrokerGuard} ensures besides the marker and the claimant. */
export interface GuardedParts {
  readonly topology: Pick<TopologyConnection, 'declareAgain' | 'ensureDeclared' | 'onReconnect'>;
  readonly queues: Pick<Queues, 'applyBackstop'>;
  readonly limits: LimitsWatch;
}

/** Keeps on the broker what the agent needs there. */
export interface BrokerGuard {
  /** Aborts with an AgentError `BrokerMarked` once the broker belongs to another store: the agent must stop. */
  readonly mustStop: AbortSignal;
  /**
   * Ensures the marker, the vhost of the requests and the claimant, and waits for a broker that does not answer yet, for a minute at most.
   *
   * @throws AgentError `BrokerMarked`, `BrokerRefused`, `BrokerUnavailable`
   */
  ensureOwned(signal: AbortSignal): Promise<void>;
  /**
   * Asserts that the management API finds the request queue by its name, which has slashes.
   *
   * @throws AgentError `BrokerRefused` when a proxy in front of it changes such names
   */
  assertNamesPass(signal: AbortSignal): Promise<void>;
  /**
   * Ensures all: marker, claimant, limits, topology, backstop. Topology and backstop only log a failure, so that
   * reconciliation goes on without them.
   *
   * @throws AgentError `BrokerMarked`, `BrokerRefused`, `BrokerUnavailable`
   */
  ensure(signal: AbortSignal): Promise<void>;
  /** Declares the topology in the background, because a request queue is missing. */
  redeclareSoon(): void;
}

/** How long a start waits for a broker that does not answer, and the pause between two tries, in ms. */
const START_TIMEOUT_MS = 60_000;
const START_RETRY_MS = 1_000;

/** For so long after a declaration, in ms, a queue that was found missing was so before it. */
const REDECLARED_MS = 1_000;

/** Creates the guard of one agent. After each reconnect it ensures the ownership again, reconciles and surveys soon. */
export function createBrokerGuard(
  context: Pick<
    AgentContext,
    'config' | 'names' | 'store' | 'management' | 'clock' | 'randomBytes' | 'reporters' | 'log' | 'jobs' | 'lifecycle'
  >,
  { topology, queues, limits }: GuardedParts,
): BrokerGuard {
  const { config, names, store, management, clock, randomBytes, reporters, log, jobs, lifecycle } = context;
  const mustStop = new AbortController();
  let isRedeclaring = false;
  let redeclaredMs = -Infinity;

  /** Re-checks ownership: two first starts may have raced, or an operator ran `adopt` for another store. */
  const ensureMarker = async (signal: AbortSignal): Promise<void> => {
    try {
      await claimBroker(management, { ...config, storeId: store.storeId, adopt: false }, clock, { signal });
    } catch (error) {
      if (isAgentError(error, 'BrokerMarked')) mustStop.abort(error);
      throw error;
    }
  };

  const ensureClaimantAccount = async (signal: AbortSignal): Promise<void> => {
    if (config.claimantPassword === undefined) return;
    const claimant = {
      id: config.id,
      requestVhost: config.requestVhost,
      storeId: store.storeId,
      password: config.claimantPassword,
      maxConnections: config.claimantLimits['max-connections'] ?? -1,
      maxChannels: config.claimantLimits['max-channels'] ?? -1,
    };
    const repairs = await ensureClaimant(management, claimant, randomBytes, { signal });
    if (repairs.length > 0) reporters.claimantRepaired(names.claimantUser, repairs);
  };

  const ensureOwnedOnce = async (signal: AbortSignal): Promise<void> => {
    await ensureMarker(signal);
    const { id, requestVhost, agentUser } = config;
    await ensureRequestVhost(management, { id, requestVhost, agentUser }, { signal });
    await ensureClaimantAccount(signal);
  };

  const assertNamesPass = async (signal: AbortSignal): Promise<void> => {
    try {
      await management.getQueue(config.requestVhost, names.requestQueue, { signal });
    } catch (error) {
      signal.throwIfAborted();
      // An API that does not answer shows nothing about names.
      if (isAgentError(error, 'BrokerRefused')) throw error;
    }
  };

  const reportLostNames = async (signal: AbortSignal): Promise<void> => {
    try {
      await assertNamesPass(signal);
    } catch (error) {
      signal.throwIfAborted();
      log.error(
        { code: 'management_names_lost', err: error },
        'the management API does not find queues by their names; none can be deleted',
      );
    }
  };

  const ensureTopology = async (signal: AbortSignal): Promise<void> => {
    try {
      await topology.ensureDeclared(signal);
    } catch (error) {
      signal.throwIfAborted();
      log.error(
        { code: 'topology_not_declared', err: error },
        'could not declare the topology again; the next reconciliation does it',
      );
    }
  };

  topology.onReconnect(() => {
    lifecycle.runInBackground('restoring the ownership', async (signal) => {
      try {
        await ensureOwnedOnce(signal);
      } catch (error) {
        log.error(
          { code: 'broker_not_restored', err: error },
          'reconnected to RabbitMQ, but could not restore the marker and claimant',
        );
      }
    });
    // Broker events may have been missed while disconnected.
    reconcileAndSurveySoon(jobs);
  });

  return {
    mustStop: mustStop.signal,
    async ensureOwned(signal) {
      const deadline = startDeadline(START_TIMEOUT_MS, signal);
      const pause = async (error: unknown): Promise<void> => {
        const isPassing = isAgentError(error, 'BrokerUnavailable') || isAgentError(error, 'BrokerSplit');
        if (!isPassing || deadline.passed) throw error;
        log.warn({ code: 'broker_not_ready', err: error }, 'RabbitMQ does not answer yet');
        await sleep(START_RETRY_MS, undefined, { signal });
      };
      await retry(() => ensureOwnedOnce(signal), pause).finally(() => deadline.clear());
    },
    assertNamesPass,
    async ensure(signal) {
      await ensureOwnedOnce(signal);
      await ensureTopology(signal);
      await reportLostNames(signal);
      await queues.applyBackstop(signal);
      await limits.check(signal);
    },
    redeclareSoon() {
      // The consumer that the loss of a queue ends reports it, and so does the next one, which finds no queue.
      if (isRedeclaring || clock.monotonicMs() - redeclaredMs < REDECLARED_MS) return;
      isRedeclaring = true;
      lifecycle.runInBackground('declaring the topology', async (signal) => {
        try {
          await topology.declareAgain(signal);
        } finally {
          isRedeclaring = false;
        }
        redeclaredMs = clock.monotonicMs();
        log.warn({ code: 'request_queue_redeclared' }, 'a request queue was missing and was declared again');
      });
    },
  };
}
