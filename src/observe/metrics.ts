import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { REFUSAL_REASONS } from './refusal-reasons.ts';

/** Upper bounds in seconds: what a client waits for, up to the ten seconds that the contract promises. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Upper bounds in seconds: single calls, which are given up after five. */
const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Upper bounds in seconds: work that nobody waits for. */
const JOB_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/**
 * Makes all metrics, in a registry of their own. The values of every label come from a closed set, methods, operations,
 * jobs, states: a label with namespaces or queues in it would grow with what strangers name. `job` and `instance` are
 * Prometheus's own labels, so that jobs are `job_name`.
 */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const refusals = new Counter({
    registers,
    name: 'pulse_agent_refusals_total',
    help: 'Requests in order that were refused, because they would take over what exists or one client asks for too much.',
    labelNames: ['reason'],
  });
  for (const reason of REFUSAL_REASONS) refusals.inc({ reason }, 0);
  return {
    registry,
    info: new Gauge({
      registers,
      name: 'pulse_agent_info',
      help: 'Always 1; what the agent is.',
      labelNames: ['version', 'store'],
    }),
    ready: new Gauge({ registers, name: 'pulse_agent_ready', help: '1 when the agent can serve, as /readyz says.' }),
    partUp: new Gauge({
      registers,
      name: 'pulse_agent_part_up',
      help: '1 when this part works, as /readyz says.',
      labelNames: ['part'],
    }),
    requestDuration: new Histogram({
      registers,
      name: 'pulse_agent_request_duration_seconds',
      help: 'From the delivery of a request until the broker has confirmed what was sent for it.',
      labelNames: ['method', 'outcome'],
      buckets: REQUEST_BUCKETS,
    }),
    authDuration: new Histogram({
      registers,
      name: 'pulse_agent_auth_duration_seconds',
      help: 'Asking Taskcluster about a signature, with all tries and the wait for a free place.',
      labelNames: ['outcome'],
      buckets: CALL_BUCKETS,
    }),
    managementDuration: new Histogram({
      registers,
      name: 'pulse_agent_management_duration_seconds',
      help: "Calls of RabbitMQ's management API, with the wait for a free place.",
      labelNames: ['operation', 'outcome'],
      buckets: CALL_BUCKETS,
    }),
    storeDuration: new Histogram({
      registers,
      name: 'pulse_agent_store_duration_seconds',
      help: 'Calls of the store.',
      labelNames: ['operation', 'outcome'],
      buckets: CALL_BUCKETS,
    }),
    namespaces: new Gauge({
      registers,
      name: 'pulse_agent_namespaces',
      help: 'Records in the store by state; every agent of an installation tells the same.',
      labelNames: ['state'],
    }),
    queueAlerts: new Gauge({
      registers,
      name: 'pulse_agent_queue_alerts',
      help: 'Queues that have grown too large, by level; every agent of an installation tells the same.',
      labelNames: ['level'],
    }),
    noticesWaiting: new Gauge({
      registers,
      name: 'pulse_agent_notices_waiting',
      help: 'Notices to owners that are still to be sent; every agent of an installation tells the same.',
    }),
    jobDuration: new Histogram({
      registers,
      name: 'pulse_agent_job_duration_seconds',
      help: 'Runs of jobs on this agent.',
      labelNames: ['job_name', 'outcome'],
      buckets: JOB_BUCKETS,
    }),
    jobLag: new Histogram({
      registers,
      name: 'pulse_agent_job_lag_seconds',
      help: 'How long after it was due a run of a job began on this agent.',
      labelNames: ['job_name'],
      buckets: JOB_BUCKETS,
    }),
    jobLastSuccess: new Gauge({
      registers,
      name: 'pulse_agent_job_last_success_timestamp_seconds',
      help: 'When a run of the job last succeeded on this agent, since the epoch.',
      labelNames: ['job_name'],
    }),
    refusals,
    suppressedAudit: new Counter({
      registers,
      name: 'pulse_agent_audit_suppressed_total',
      help: 'Audit records that are only in the log, because one namespace caused too many.',
    }),
    agentEvents: new Counter({
      registers,
      name: 'pulse_agent_events_total',
      help: 'Events that this agent has published, or tried to.',
      labelNames: ['type'],
    }),
    brokerEvents: new Counter({
      registers,
      name: 'pulse_agent_broker_events_total',
      help: 'Events of the broker that this agent has taken.',
      labelNames: ['type'],
    }),
    brokerEventLag: new Histogram({
      registers,
      name: 'pulse_agent_broker_event_lag_seconds',
      help: 'From what the broker tells of until this agent took the event, by their two clocks.',
      buckets: JOB_BUCKETS,
    }),
    brokerAlarms: new Gauge({
      registers,
      name: 'pulse_agent_broker_alarms',
      help: 'Nodes of the broker that have set this alarm.',
      labelNames: ['alarm'],
    }),
  };
}

/** What {@link createMetrics} makes. */
export type Metrics = ReturnType<typeof createMetrics>;
