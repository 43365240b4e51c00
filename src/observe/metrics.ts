import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { BROKER_EVENT_TYPES } from '../broker/amqp/broker-events.ts';
import { EVENT_TYPES } from '../contract/event-types.ts';
import { METHODS } from '../contract/methods.ts';
import { CONTACT_MEDIA } from '../contract/contact.ts';
import { NOTICE_OUTCOMES } from '../notices/notifier.ts';
import { REFUSAL_REASONS } from './refusal-reasons.ts';

/** Upper bounds in seconds, up to the ten seconds in which the contract promises an answer. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Upper bounds in seconds: single calls, which time out after five. */
const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Upper bounds in seconds: background work. */
const JOB_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/**
 * Creates all metrics in a registry of their own. The values of every label come from a closed set: methods, operations, jobs,
 * states; ids of secrets are as few as an operator's changes of the secret. Names of namespaces or queues would let clients
 * create any number of series. Jobs are labelled `job_name`, as Prometheus itself uses `job`.
 *
 * Counters begin at 0: of one that begins at 1, Prometheus does not see the first increase.
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
  const agentEvents = new Counter({
    registers,
    name: 'pulse_agent_events_total',
    help: 'Agent events that this agent has emitted.',
    labelNames: ['type'],
  });
  for (const type of Object.keys(EVENT_TYPES)) agentEvents.inc({ type }, 0);
  const noticeAttempts = new Counter({
    registers,
    name: 'pulse_agent_notice_attempts_total',
    help: 'Attempts of this agent to send messages to owners. One message may be about several queues.',
    labelNames: ['medium', 'outcome'],
  });
  for (const medium of CONTACT_MEDIA) for (const outcome of NOTICE_OUTCOMES) noticeAttempts.inc({ medium, outcome }, 0);
  const brokerEvents = new Counter({
    registers,
    name: 'pulse_agent_broker_events_total',
    help: 'Broker events that this agent has consumed.',
    labelNames: ['type'],
  });
  for (const type of BROKER_EVENT_TYPES) brokerEvents.inc({ type }, 0);
  const requestDuration = new Histogram({
    registers,
    name: 'pulse_agent_request_duration_seconds',
    help: 'From the delivery of a request until the broker has confirmed what was sent for it.',
    labelNames: ['method', 'outcome'],
    buckets: REQUEST_BUCKETS,
  });
  for (const method of Object.keys(METHODS)) requestDuration.zero({ method, outcome: 'result' });
  return {
    registry,
    info: new Gauge({
      registers,
      name: 'pulse_agent_info',
      help: 'Always 1; version and store are in the labels.',
      labelNames: ['version', 'store'],
    }),
    ready: new Gauge({ registers, name: 'pulse_agent_ready', help: '1 when the agent can serve, as in /readyz.' }),
    partUp: new Gauge({
      registers,
      name: 'pulse_agent_part_up',
      help: '1 when this part works, as in /readyz.',
      labelNames: ['part'],
    }),
    cluster: new Gauge({
      registers,
      name: 'pulse_agent_cluster',
      help: 'What this agent knows of the nodes of RabbitMQ: 1 for the state that holds, 0 for the others.',
      labelNames: ['state'],
    }),
    brokerNodes: new Gauge({
      registers,
      name: 'pulse_agent_broker_nodes',
      help: 'Nodes of RabbitMQ by state, as the management API lists them; none while they are unknown.',
      labelNames: ['state'],
    }),
    requestDuration,
    probeDuration: new Histogram({
      registers,
      name: 'pulse_agent_request_probe_duration_seconds',
      help: 'From a request of this agent to itself, sent every two seconds, until its answer; any agent may answer it.',
      buckets: REQUEST_BUCKETS,
    }),
    authDuration: new Histogram({
      registers,
      name: 'pulse_agent_auth_duration_seconds',
      help: 'Checking a signature with Taskcluster, including retries and the wait for a free slot.',
      labelNames: ['outcome'],
      buckets: CALL_BUCKETS,
    }),
    managementDuration: new Histogram({
      registers,
      name: 'pulse_agent_management_duration_seconds',
      help: "Calls of RabbitMQ's management API, including the wait for a free slot.",
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
      help: 'Records in the store by state; the same for every agent of an installation.',
      labelNames: ['state'],
    }),
    queueAlerts: new Gauge({
      registers,
      name: 'pulse_agent_queue_alerts',
      help: 'Queues that have grown too large, by level; the same for every agent of an installation.',
      labelNames: ['level'],
    }),
    noticesWaiting: new Gauge({
      registers,
      name: 'pulse_agent_notices_waiting',
      help: 'Notices to owners that are still to be sent; the same for every agent of an installation.',
    }),
    agents: new Gauge({
      registers,
      name: 'pulse_agent_agents',
      help: 'Agents of this installation by their records in the store: running, or lost and not replaced.',
      labelNames: ['state'],
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
      help: 'The delay between when a run of a job was due and its start on this agent.',
      labelNames: ['job_name'],
      buckets: JOB_BUCKETS,
    }),
    jobLastSuccess: new Gauge({
      registers,
      name: 'pulse_agent_job_last_success_timestamp_seconds',
      help: 'When a run of the job last succeeded on this agent, in seconds since the epoch.',
      labelNames: ['job_name'],
    }),
    refusals,
    suppressedAudit: new Counter({
      registers,
      name: 'pulse_agent_audit_suppressed_total',
      help: 'Audit records that are only in the log, because one namespace caused too many.',
    }),
    agentEvents,
    noticeAttempts,
    brokerEvents,
    brokerEventLag: new Histogram({
      registers,
      name: 'pulse_agent_broker_event_lag_seconds',
      help: 'From a change on the broker until this agent consumed its event, by their two clocks.',
      buckets: JOB_BUCKETS,
    }),
    overriddenLimits: new Gauge({
      registers,
      name: 'pulse_agent_limits_overridden',
      help: 'Queues and exchanges, of the agent or of namespaces, whose limits another policy takes away.',
      labelNames: ['of'],
    }),
    queueMessages: new Gauge({
      registers,
      name: 'pulse_agent_queue_messages',
      help: 'Messages that wait in a queue of the agents; the same for every agent of an installation.',
      labelNames: ['queue'],
    }),
    queueConsumers: new Gauge({
      registers,
      name: 'pulse_agent_queue_consumers',
      help: 'Agents that take messages from a queue of theirs; the same for every agent of an installation.',
      labelNames: ['queue'],
    }),
    secretNamespaces: new Gauge({
      registers,
      name: 'pulse_agent_secret_namespaces',
      help: 'Namespaces that need an agent secret, by its id, and whether this agent has it.',
      labelNames: ['secret_id', 'held'],
    }),
    queueReplicas: new Gauge({
      registers,
      name: 'pulse_agent_queue_replicas',
      help: "Replicas of one of the agent's own queues, wherever they are.",
      labelNames: ['queue'],
    }),
    queueReplicasOnline: new Gauge({
      registers,
      name: 'pulse_agent_queue_replicas_online',
      help: 'Those of the replicas that run; a queue is served while more than half of its replicas do.',
      labelNames: ['queue'],
    }),
    brokerAlarms: new Gauge({
      registers,
      name: 'pulse_agent_broker_alarms',
      help: 'Nodes of the broker that have raised this alarm.',
      labelNames: ['alarm'],
    }),
  };
}

/** The metrics of one agent. */
export type Metrics = ReturnType<typeof createMetrics>;
