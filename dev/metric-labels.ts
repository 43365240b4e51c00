import { BROKER_EVENT_TYPES } from '../src/broker/amqp/broker-events.ts';
import { CONTACT_MEDIA } from '../src/contract/contact.ts';
import { EVENT_TYPES } from '../src/contract/event-types.ts';
import { METHODS } from '../src/contract/methods.ts';
import { WIRE_ERRORS } from '../src/contract/wire-errors.ts';
import { PARTS } from '../src/observe/health.ts';
import { CLUSTER_STATES, LIMITS_OWNERS } from '../src/observe/observation.ts';
import { NOTICE_OUTCOMES } from '../src/notices/notifier.ts';
import { REFUSAL_REASONS } from '../src/observe/refusal-reasons.ts';
import { NAMESPACE_STATES } from '../src/store/namespace-record.ts';
import { QUEUE_ALERT_LEVELS } from '../src/store/queue-alert-records.ts';
import { AGENT_ERRORS } from '../src/util/agent-errors.ts';

/** The values that a label of some metrics has. */
export interface MetricLabel {
  readonly label: string;
  /** The metrics without `pulse_agent_`, and without the suffixes of histograms. */
  readonly metrics: readonly string[];
  /** All of them; absent: they are no closed set. */
  readonly values?: readonly string[];
  /** What it names. */
  readonly meaning: string;
}

const CALL_OUTCOMES = ['ok', ...Object.keys(AGENT_ERRORS), 'aborted', 'error'];

/** Every label of the agent's metrics; `docs/monitoring.md` has them as a table. */
export const METRIC_LABELS: readonly MetricLabel[] = [
  { label: 'version', metrics: ['info'], meaning: 'of the agent' },
  { label: 'store', metrics: ['info'], values: ['lmdb', 'mongodb'], meaning: 'where the agent keeps its records' },
  { label: 'part', metrics: ['part_up'], values: Object.keys(PARTS), meaning: 'of the agent, as in `/readyz`' },
  {
    label: 'method',
    metrics: ['request_duration_seconds'],
    values: [...Object.keys(METHODS), 'unknown'],
    meaning: 'of the request',
  },
  {
    label: 'outcome',
    metrics: ['request_duration_seconds'],
    values: ['result', ...Object.keys(WIRE_ERRORS), 'dead-lettered', 'dropped', 'requester-gone', 'given-back'],
    meaning: 'a result, an error, or why there was no reply',
  },
  {
    label: 'outcome',
    metrics: ['auth_duration_seconds'],
    values: ['auth-success', 'auth-failed', 'no-auth', 'AuthUnavailable', 'Stopping', 'aborted', 'error'],
    meaning: 'what Taskcluster said, or why it said nothing',
  },
  {
    label: 'outcome',
    metrics: ['management_duration_seconds', 'store_duration_seconds', 'job_duration_seconds'],
    values: CALL_OUTCOMES,
    meaning: '`aborted`: a time limit passed, or the agent stops; `error`: a defect',
  },
  {
    label: 'outcome',
    metrics: ['notice_attempts_total'],
    values: NOTICE_OUTCOMES,
    meaning: "of [Taskcluster's answer](queues-and-notices.md#notices-to-owners); `not-sent` is its 204",
  },
  {
    label: 'medium',
    metrics: ['notice_attempts_total'],
    values: [...CONTACT_MEDIA, 'unknown'],
    meaning: 'of a contact; `unknown`: its form is of a later version',
  },
  {
    label: 'operation',
    metrics: ['management_duration_seconds'],
    meaning: 'the call, such as `putUser`; `src/broker/management/management.ts` has all',
  },
  {
    label: 'operation',
    metrics: ['store_duration_seconds'],
    meaning: 'kind of record and call, such as `namespaces.insert`; `src/store/store.ts` has all',
  },
  {
    label: 'job_name',
    metrics: ['job_duration_seconds', 'job_lag_seconds', 'job_last_success_timestamp_seconds'],
    values: [
      'rotate-namespaces',
      'expire-namespaces',
      'announce-expiry',
      'reconcile-broker',
      'check-secrets',
      'survey-queues',
      'announce-exemptions',
      'sweep-request-vhost',
      'send-notices',
      'prune',
      'repair-account',
      'finish-revocation',
      'inspect-queue',
      'reconcile-broker-soon',
      'survey-queues-soon',
    ],
    meaning: 'the [job](operations.md#jobs)',
  },
  {
    label: 'state',
    metrics: ['cluster'],
    values: CLUSTER_STATES,
    meaning: 'of the nodes of RabbitMQ: less than half missing is `incomplete`',
  },
  { label: 'state', metrics: ['broker_nodes'], values: ['running', 'missing'], meaning: 'of a node' },
  {
    label: 'state',
    metrics: ['agents'],
    values: ['running', 'lost'],
    meaning: 'of an agent; `lost`: killed, or without the store, and no other has started in its place',
  },
  { label: 'state', metrics: ['namespaces'], values: NAMESPACE_STATES, meaning: 'of a record' },
  {
    label: 'level',
    metrics: ['queue_alerts'],
    values: QUEUE_ALERT_LEVELS,
    meaning: 'of an alert: `warned` is past `warnAtMessages` or `warnAtBytes`, `over` past the threshold for deletion',
  },
  { label: 'reason', metrics: ['refusals_total'], values: REFUSAL_REASONS, meaning: 'of a refusal' },
  {
    label: 'type',
    metrics: ['events_total'],
    values: Object.keys(EVENT_TYPES),
    meaning: 'of an [event](protocol.md#events)',
  },
  { label: 'type', metrics: ['broker_events_total'], values: BROKER_EVENT_TYPES, meaning: 'of an event of RabbitMQ' },
  { label: 'of', metrics: ['limits_overridden'], values: LIMITS_OWNERS, meaning: 'whose queues they are' },
  {
    label: 'queue',
    metrics: ['queue_replicas', 'queue_replicas_online'],
    values: ['requests', 'unknown-methods', 'dead', 'broker-events', 'tenant-events'],
    meaning: 'a queue of the agents, without `queue/<id>/v1/`',
  },
  {
    label: 'queue',
    metrics: ['queue_messages', 'queue_consumers'],
    values: ['requests', 'unknown-methods', 'dead'],
    meaning: 'the same',
  },
  { label: 'alarm', metrics: ['broker_alarms'], values: ['memory', 'disk'], meaning: 'of a node of RabbitMQ' },
  {
    label: 'secret_id',
    metrics: ['secret_namespaces'],
    meaning: 'names an agent secret without revealing it, as in the log and in `verify`',
  },
  { label: 'held', metrics: ['secret_namespaces'], values: ['true', 'false'], meaning: 'whether this agent has it' },
];
