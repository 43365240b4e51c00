import { randomBytes as systemRandomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAgentBroker } from '../broker/amqp/agent-broker.ts';
import { ensureClaimant } from '../broker/claimant.ts';
import type { ManagementCallOptions, Management } from '../broker/management/management.ts';
import { claimBroker } from '../broker/marker.ts';
import { createBindingRemover } from '../broker/foreign-bindings.ts';
import { auditConfiguration } from '../audit/configuration-audit.ts';
import { createBackgroundTasks } from './background.ts';
import { startBrokerWatch } from './broker-watch.ts';
import { createLifecycle } from './lifecycle.ts';
import { createBatcher } from '../util/batcher.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { createObservation } from '../observe/observation.ts';
import { reportStart } from './start-report.ts';
import { checkConnection } from '../observe/health.ts';
import type { StartReport } from '../observe/start-summary.ts';
import { type Clock, type RandomBytes, systemClock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { isAgentError } from '../util/agent-errors.ts';
import { createJobQueue } from '../jobs/job-queue.ts';
import { checkSecrets, createJobTable } from '../jobs/job-table.ts';
import { runSoon } from '../jobs/jobs.ts';
import { type Scheduler, startScheduler } from '../jobs/scheduler.ts';
import type { Log } from '../util/log.ts';
import { createNamespaces } from '../namespaces/namespaces.ts';
import { createAudit } from '../audit/audit.ts';
import { createAgentEvents } from '../events/agent-events.ts';
import type { TaskclusterAuth } from '../requests/taskcluster-auth.ts';
import { createNotices } from '../notices/notices.ts';
import { createQueues } from '../queues/queues.ts';
import { createReporters } from './reporters.ts';
import { createHandlers } from '../requests/methods/handlers.ts';
import { createRequestServer } from '../requests/server.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { VERSION } from '../version.ts';

/** What an agent may be started with in place of the real thing; tests put faults between two calls there. */
export interface AgentOptions {
  readonly log: Log;
  /** Ends the start. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly randomBytes?: RandomBytes;
  /** At least 0, less than 1. */
  readonly random?: () => number;
  readonly wrapStore?: (store: Store) => Store;
  readonly wrapManagement?: (management: Management) => Management;
  readonly authenticator?: TaskclusterAuth;
}

/** A running agent. */
export interface Agent {
  /** Which of the agents with this id it is. */
  readonly instance: string;
  /** What became of the requests so far, by `<method> <outcome>`. */
  readonly requestCounts: ReadonlyMap<string, number>;
  /** Where health and metrics are served; undefined: nowhere. */
  readonly httpPort: number | undefined;
  /** What it is and does, and what about that is risky. */
  readonly report: StartReport;
  /**
   * Aborted when the agent must not go on, with the AgentError as its reason: the broker is another store's by now. Whoever
   * runs it stops it.
   */
  readonly mustEnd: AbortSignal;
  /** Takes no more requests, finishes those it holds within the configured deadline, and closes everything. */
  stop(): Promise<void>;
}

/** How long a starting agent waits for a broker that does not answer, and how often it looks, in ms. */
const START_PATIENCE_MS = 60_000;
const START_RETRY_MS = 1_000;

/** Releases that come within so many ms are carried out together: each by itself would list all queues of the broker. */
const RELEASES_WITHIN_MS = 100;

/** How long a stopping agent waits for jobs, which are told to end and can all be done again, in ms. */
const JOBS_STOP_MS = 5_000;

/** What an agent that has come to its deadline may still take for what is usually done at once, in ms. */
const LAST_WORDS_MS = 250;

/**
 * Builds an agent from its parts and starts them in order: what serves requests comes last and stops first.
 *
 * @throws AgentError when it cannot start; the message says what to do.
 */
export async function startAgent(config: Config, options: AgentOptions): Promise<Agent> {
  const { log } = options;
  const clock = options.clock ?? systemClock;
  const randomBytes = options.randomBytes ?? systemRandomBytes;
  const startedMs = clock.monotonicMs();
  const names = contractNames(config.id);
  const instance = `${hostname()}-${randomUUID().slice(0, 8)}`;
  const closers = createLifecycle();

  try {
    const observation = await createObservation({ config, instance, clock, log });
    closers.push(() => observation.close());
    await observation.start();
    const management = observation.measureManagement(openManagement(config, options));
    closers.push(() => management.close());
    const opened = await openStore(config.storeUrl.reveal(), { clock, randomBytes });
    closers.push(() => opened.close());
    const store = observation.measureStore(options.wrapStore?.(opened) ?? opened);
    const audit = createAudit({ store: store.audit, log, clock, instance });
    closers.push(() => audit.close());

    const mustEnd = new AbortController();
    /** Two first starts at the same moment may both have found no mark, and an operator may adopt the broker for another. */
    const keepMark = async (call: ManagementCallOptions): Promise<void> => {
      try {
        await claimBroker(management, { ...config, storeId: store.storeId, adopt: false }, clock, call);
      } catch (error) {
        if (isAgentError(error, 'BrokerMarked')) mustEnd.abort(error);
        throw error;
      }
    };
    const keepBroker = async (signal?: AbortSignal): Promise<void> => {
      const call = signal === undefined ? {} : { signal };
      await keepMark(call);
      if (config.claimantPassword === undefined) return;
      const claimant = {
        id: config.id,
        vhost: config.vhost,
        password: config.claimantPassword,
        maxConnections: config.claimantLimits['max-connections'] ?? -1,
        maxChannels: config.claimantLimits['max-channels'] ?? -1,
      };
      const repairs = await ensureClaimant(management, claimant, randomBytes, call);
      if (repairs.length === 0) return;
      const subject = names.claimantUser;
      const reason = 'it was not as configured';
      audit.record({ action: 'repair', subject, reason, details: { repaired: repairs.join() } });
      log.info({ code: 'claimant_repaired', claimant: subject, repairs }, 'claimant account repaired');
    };
    await patiently(() => keepBroker(options.signal), log, options.signal);
    auditConfiguration(audit, config);

    const background = createBackgroundTasks(log);
    // The event bus and the job queue exist before the connections behind them.
    const events = createAgentEvents({ agent: config.id, instance, clock, log, onEmit: observation.observeAgentEvent });
    const jobs = createJobQueue();
    let schedule: Scheduler | undefined;
    const reporters = createReporters({ events, audit, log, clock });
    const context = {
      config,
      store,
      management,
      clock,
      sleep: systemSleep,
      randomBytes,
      random: options.random ?? Math.random,
      log,
      jobs,
      reporters,
    };
    const bindings = createBindingRemover({
      amqpUrl: config.rabbitmqUrl,
      ca: config.rabbitmqCa,
      id: config.id,
      vhost: config.vhost,
      management,
    });
    closers.pushTogether(() => bindings.close());
    const namespaces = createNamespaces(context, bindings);
    const reconcile: typeof namespaces.reconcile = async (signal) => {
      await keepMark({ signal });
      // At the start it has just been declared.
      if (schedule !== undefined) await declareAgain(signal);
      await queues.applyBackstop(signal);
      const outcome = await namespaces.reconcile(signal);
      observation.observeJobSuccess('reconcile-broker');
      return outcome;
    };
    const queues = createQueues(context);
    closers.pushTogether(() => queues.close());
    const handlers = createHandlers(context, {
      ...namespaces,
      startDeletion: createBatcher({
        start: (work) => background.run('deletion', work),
        together: namespaces.delete,
        sleep: systemSleep,
        withinMs: RELEASES_WITHIN_MS,
      }),
    });
    const broker = await openAgentBroker(
      {
        amqpUrl: config.rabbitmqUrl,
        ca: config.rabbitmqCa,
        id: config.id,
        methods: Object.keys(handlers),
        maxSkewSeconds: config.maxSkewSeconds,
        management,
        onFault: (error) =>
          log.warn(
            { code: 'topology_connection_error', err: error },
            'error on the connection for topology and events',
          ),
      },
      options.signal,
    );
    closers.pushTogether(() => broker.close());
    observation.watchPart(
      'topology',
      checkConnection(() => broker.connected, 'the connection for topology and events is gone'),
    );
    events.attach(broker.publishEvent);
    /** Somebody may have deleted a part of the topology; that it cannot be declared holds up nothing else. */
    const declareAgain = async (signal: AbortSignal): Promise<void> => {
      try {
        await broker.declareAgain(signal);
      } catch (error) {
        signal.throwIfAborted();
        log.error(
          { code: 'topology_not_declared', err: error },
          'could not declare the topology again; the next reconciliation does it',
        );
      }
    };
    const lookAtAll = (): void => {
      runSoon(jobs, 'reconcile-broker');
      runSoon(jobs, 'survey-queues');
    };
    broker.onReconnect(() => {
      keepBroker().catch((error: unknown) =>
        log.error(
          { code: 'broker_not_restored', err: error },
          'reconnected to RabbitMQ, but could not restore the marker and claimant',
        ),
      );
      // What happened meanwhile was told to nobody.
      lookAtAll();
    });
    // Before anything is claimed, rotated or ended: a store from a backup is brought up to what the broker has.
    await reconcile(options.signal ?? new AbortController().signal).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      log.error(
        { code: 'first_reconciliation_failed', err: error },
        'the first reconciliation failed; the next one does its work',
      );
    });

    const server = createRequestServer(
      { config, names, store, management, clock, log },
      {
        handlers,
        authenticator: options.authenticator,
        observer: observation,
        onQueueGone: () =>
          background.run('declaring the topology again', async (signal) => {
            await broker.declareAgain(signal);
            log.warn({ code: 'request_queue_redeclared' }, 'a request queue was missing and was declared again');
          }),
      },
    );
    closers.pushTogether(() => server.close());
    await server.start();

    observation.watchPart(
      'requests',
      checkConnection(() => server.consuming, 'no requests are taken'),
    );
    observation.watchPart(
      'replies',
      checkConnection(() => server.canReply, 'the reply connection is gone'),
    );

    closers.push(() => background.stop(JOBS_STOP_MS));
    const table = createJobTable(
      { config, store, log },
      {
        ...namespaces,
        reconcile,
        survey: queues.survey,
        inspect: queues.inspect,
        notices: createNotices(context),
      },
    );
    schedule = await startScheduler({
      store: opened,
      recurring: observation.measureRecurringJobs(table.recurring),
      triggered: observation.measureTriggeredJobs(table.triggered),
      observer: observation.schedulerObserver,
      log,
    });
    jobs.attach(schedule);
    const started = schedule;
    closers.push(() => started.stop(JOBS_STOP_MS));
    const watch = await startBrokerWatch({
      config,
      management,
      clock,
      log,
      events,
      jobs,
      bindings,
      reporters,
      queues,
      background,
      compare: reconcile,
      lookAtAll,
      onEvent: observation.observeBrokerEvent,
    });
    closers.push(() => watch.close());
    observation.watchAlarms(watch.alarms);
    observation.watchPart(
      'broker-events',
      checkConnection(() => watch.flowing, 'no broker events are consumed'),
    );
    background.run('check of secrets', (signal) => checkSecrets(namespaces.rotation, log, signal));

    events.emit('agent.started', { version: VERSION });
    const report = await reportStart({
      config,
      management,
      store,
      log,
      instance,
      brokerEvents: watch.flowing,
      httpPort: observation.port,
    });
    return {
      instance,
      requestCounts: server.counts,
      httpPort: observation.port,
      report,
      mustEnd: mustEnd.signal,
      async stop() {
        observation.drain();
        const deadlineMs = config.stopDeadlineSeconds * 1000;
        const lateMs = clock.monotonicMs() + deadlineMs;
        const leftMs = (): number => Math.max(LAST_WORDS_MS, lateMs - clock.monotonicMs());
        // It is waited for below, with the other connections.
        void watch.close();
        await Promise.all([
          server.drain(deadlineMs).then(() => background.stop(leftMs())),
          started.stop(Math.min(JOBS_STOP_MS, deadlineMs)),
        ]);
        const uptimeSeconds = Math.floor((clock.monotonicMs() - startedMs) / 1000);
        events.emit('agent.stopped', { version: VERSION, uptimeSeconds });
        await events.flush(leftMs());
        await closers.closeAll();
        log.info({ code: 'agent_stopped', instance, uptimeSeconds }, 'the agent has stopped');
      },
    };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

/** A broker that starts at the same time as the agent is waited for; one that refuses is not. */
async function patiently(work: () => Promise<void>, log: Log, signal: AbortSignal | undefined): Promise<void> {
  const patience = AbortSignal.timeout(START_PATIENCE_MS);
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isAgentError(error, 'BrokerUnavailable') || patience.aborted || signal?.aborted) throw error;
      log.warn({ code: 'broker_not_ready', err: error }, 'RabbitMQ does not answer yet');
      await sleep(START_RETRY_MS, undefined, signal === undefined ? {} : { signal });
    }
  }
}
