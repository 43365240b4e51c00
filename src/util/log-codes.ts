import { CLUSTER_LOG_CODES } from './cluster-log-codes.ts';
import { OPERATOR_LOG_CODES } from './operator-log-codes.ts';
import { QUEUE_LOG_CODES } from './queue-log-codes.ts';

/**
 * The one table of log lines: every line has a code that stays the same from version to version, the level at which it is
 * logged, and what it means for an operator. `docs/monitoring.md` lists them from here.
 */
export const LOG_CODES = {
  ...CLUSTER_LOG_CODES,
  ...OPERATOR_LOG_CODES,
  ...QUEUE_LOG_CODES,
  account_repaired: {
    level: 'warn',
    meaning:
      'Another user changed an account; the agent restored what its record says. `repaired` names what differed.',
  },
  agent_must_stop: { level: 'fatal', meaning: 'The broker belongs to another store now; the agent stops.' },
  agent_not_started: { level: 'info', meaning: 'The process was asked to stop during its start.' },
  agent_record_not_written: {
    level: 'warn',
    meaning: 'The record by which `status` and other agents see this agent could not be written; it tries again.',
  },
  agent_started: { level: 'info', meaning: 'The agent serves requests; the fields are its configuration in short.' },
  agent_stopped: { level: 'info', meaning: 'The agent stopped in order.' },
  agent_stopping: { level: 'info', meaning: 'The process was asked to stop; `signal` says how.' },
  alarm_cleared: { level: 'info', meaning: 'RabbitMQ cleared a memory or disk alarm.' },
  alarm_set: { level: 'error', meaning: 'RabbitMQ raised a memory or disk alarm and blocks all publishers.' },
  alarms_not_listed: {
    level: 'warn',
    meaning: 'Listing the alarms failed; after 30 s without a listing they are unknown, and the agent is not ready.',
  },
  audit: {
    level: 'info',
    meaning: 'One audit record: who did what, when, why, with which outcome. Logged at info unless the log is silent.',
  },
  audit_records_dropped: {
    level: 'error',
    meaning: 'More audit records waited for the store than are kept; the oldest are only in the log.',
  },
  audit_records_unwritten: {
    level: 'error',
    meaning: 'The agent stopped while the store was unavailable; `records` audit records are only in the log.',
  },
  audit_store_failing: { level: 'warn', meaning: 'Audit records wait for the store. Logged once until it recovers.' },
  audit_store_recovered: {
    level: 'info',
    meaning: 'The store takes audit records again; `lost` counts those that are only in the log.',
  },
  background_task_failed: { level: 'warn', meaning: 'A background task failed; periodic jobs do its work.' },
  probe_channel_error: { level: 'warn', meaning: 'A request of the agent to itself cannot be sent; it will retry.' },
  queue_bytes_not_listed: { level: 'warn', meaning: 'The sizes of queues could not be listed.' },
  queue_bytes_unknown: {
    level: 'warn',
    meaning: 'RabbitMQ has no statistics with the sizes of queues, so thresholds in bytes have no effect.',
  },
  backstop_changed: { level: 'info', meaning: 'A policy of the backstop was created, changed or removed.' },
  backstop_not_applied: { level: 'error', meaning: 'The backstop could not be applied.' },
  broker_event_failed: {
    level: 'warn',
    meaning: 'Handling one broker event failed; the next reconciliation or survey finds what it was about.',
  },
  broker_events_error: { level: 'warn', meaning: 'Consuming broker events failed; the agent tries again.' },
  broker_events_resumed: {
    level: 'info',
    meaning: 'RabbitMQ sends broker events again; what was missed is reconciled.',
  },
  broker_events_silent: {
    level: 'error',
    meaning: 'RabbitMQ sends no broker events although its queues are bound; `cure` says what to do.',
  },
  broker_events_started: { level: 'info', meaning: 'Broker events are consumed.' },
  broker_events_unavailable: {
    level: 'error',
    meaning: 'The event exchange of RabbitMQ is missing; switch the plugin rabbitmq_event_exchange on.',
  },
  broker_not_ready: { level: 'warn', meaning: 'A starting agent waits for RabbitMQ, for a minute at most.' },
  broker_not_restored: {
    level: 'error',
    meaning:
      'After a reconnect the marker and the claimant could not be restored; the next reconciliation tries again.',
  },
  broker_version_unknown: { level: 'warn', meaning: 'The start report lacks the version of RabbitMQ.' },
  claimant_repaired: {
    level: 'info',
    meaning: 'The claimant account differed from the configuration and was repaired.',
  },
  clock_stepped: { level: 'error', meaning: 'The system clock jumped by `byMs`. Find what sets it.' },
  depths_not_listed: {
    level: 'debug',
    meaning: "The queues could not be listed for the operators' page; it shows their last depths, and tries again.",
  },
  drift_repaired: {
    level: 'info',
    meaning: 'Reconciliation repaired what differed between the broker and the store; the fields count each kind.',
  },
  dry_run_change: { level: 'info', meaning: 'A change that an agent would make; only in a dry run.' },
  dry_run_event: { level: 'info', meaning: 'An event that an agent would publish; only in a dry run.' },
  dry_run_queue: { level: 'info', meaning: 'What a survey would do about a queue; only in a dry run.' },
  dry_run_started: { level: 'info', meaning: 'A dry run began.' },
  dry_run_stopped: { level: 'info', meaning: 'A dry run stopped.' },
  event_invalid: {
    level: 'error',
    meaning: 'An agent event does not match its schema and was not published. This is a defect: report it.',
  },
  event_not_published: {
    level: 'error',
    meaning: 'An agent event was lost; the log and the audit still have what it says.',
  },
  first_reconciliation_failed: {
    level: 'error',
    meaning: 'The reconciliation at the start failed. The agent serves all the same.',
  },
  foreign_bindings_left: {
    level: 'error',
    meaning: 'Foreign bindings in the vhost of the requests could not be removed. Delete their `sources`.',
  },
  foreign_bindings_removed: {
    level: 'warn',
    meaning: 'Foreign bindings in the vhost of the requests, made by an administrator, were removed.',
  },
  http_request_failed: { level: 'error', meaning: 'A request for health or metrics failed.' },
  http_server_error: { level: 'error', meaning: 'The HTTP server for health and metrics reported an error.' },
  http_server_started: { level: 'info', meaning: 'The HTTP server for health and metrics listens.' },
  inspection_failed: { level: 'warn', meaning: 'Inspecting growing queues failed.' },
  job_failed: { level: 'warn', meaning: 'One run of a job failed; its next run does the work again.' },
  job_locks_not_released: {
    level: 'warn',
    meaning: 'A stopping agent could not release its job locks; other agents wait until the locks expire.',
  },
  job_not_requested: {
    level: 'warn',
    meaning: 'A job that an event asked for could not be enqueued; periodic jobs do its work.',
  },
  jobs_abandoned: {
    level: 'warn',
    meaning: 'Jobs did not finish within the stop deadline; `jobs` names them. Each can be run again.',
  },
  limits_effective: { level: 'info', meaning: 'All limits of queues and exchanges are in effect again.' },
  limits_not_read: {
    level: 'warn',
    meaning: 'Reading which limits are in effect failed; the next reconciliation does it.',
  },
  limits_overridden: {
    level: 'error',
    meaning:
      'A policy or an operator policy takes limits from queues of the agent or of namespaces; `overridden` names both. See docs/recover.md.',
  },
  limits_unknown: {
    level: 'warn',
    meaning: 'An operator policy may change the limits of these `queues`, and RabbitMQ has no statistics that show it.',
  },
  management_names_lost: {
    level: 'error',
    meaning:
      'A proxy in front of the management API changes names with a slash: no single queue can be read or deleted. See docs/recover.md.',
  },
  namespace_deleted: {
    level: 'info',
    meaning: 'A namespace is deleted, with its accounts, queues and exchanges. `reason` says why.',
  },
  namespace_expiring: { level: 'info', meaning: 'A namespace expires soon, or its deletion begins.' },
  namespace_not_observed: {
    level: 'debug',
    meaning: 'Queues or connections of a namespace could not be observed in time for `describe-namespace`.',
  },
  namespace_refused: {
    level: 'warn',
    meaning:
      'A first claim was refused, because a user (`account`) or queues or exchanges (`objects`) of that name exist and are not of this store. `subject` names one.',
  },
  namespace_rotated: { level: 'debug', meaning: 'A namespace got its next credentials.' },
  namespace_work_failed: {
    level: 'warn',
    meaning:
      'A rotation, deletion, repair or revocation of one namespace failed; `retryAt` says when it is tried again.',
  },
  namespaces_not_counted: {
    level: 'debug',
    meaning: 'Queues and connections could not be counted for `get-namespace` and `list-namespaces`.',
  },
  no_drift: { level: 'debug', meaning: 'Reconciliation found no difference between the broker and the store.' },
  no_unknown_users: { level: 'info', meaning: 'Every user that matches the account naming scheme has a record again.' },
  notice_delayed: {
    level: 'warn',
    meaning: 'An attempt to send a notice failed; `nextAttempt` says when the next one is.',
  },
  notice_failed: {
    level: 'error',
    meaning: 'A notice is abandoned; `error` is the reason. See docs/queues-and-notices.md.',
  },
  notice_sent: {
    level: 'info',
    meaning:
      'Taskcluster accepted a notice to the owner of a namespace. Of a message about several queues each has a line: one with `queues`, their number, the others with its id as `sentWith`.',
  },
  notice_withdrawn: { level: 'info', meaning: 'A notice became pointless before it was sent.' },
  outage_continues: {
    level: 'warn',
    meaning:
      'Logged each minute of an outage: `parts` with the seconds since they went, and how many lines of which code were `suppressed`, which are logged at debug.',
  },
  part_down: {
    level: 'warn',
    meaning:
      'A part of the agent went: `part`, as in `/readyz`. `because` is the code of the line that reported it, with its fields. What fails because of it is logged at debug from then on.',
  },
  part_up: {
    level: 'info',
    meaning:
      'A part works again. It was down for `seconds`; `jobs` and `namespaces` count what failed and is done again, `events` the agent events that were lost.',
  },
  record_advanced: {
    level: 'warn',
    meaning: 'The store was restored from a backup: the accounts had a later generation than the record.',
  },
  records_pruned: {
    level: 'debug',
    meaning: 'Expired nonces, notices, audit records and tombstones were removed; the fields count each kind.',
  },
  repair_burst: {
    level: 'warn',
    meaning:
      'Accounts of many namespaces changed within a short time, so the agent reconciles all instead of repairing each.',
  },
  replies_dropped: {
    level: 'warn',
    meaning: 'Replies (their number: `dropped`) were not sent, because the node of their requesters went down.',
  },
  reply_channel_closed: { level: 'debug', meaning: 'A reply is sent again after the reconnect.' },
  reply_channel_error: { level: 'warn', meaning: 'The reply channel reported an error and is opened again.' },
  reply_channel_not_opened: { level: 'warn', meaning: 'The reply channel could not be opened.' },
  reply_connection_error: {
    level: 'warn',
    meaning: 'The reply connection reported an error; it reconnects by itself.',
  },
  reply_connection_lost: {
    level: 'warn',
    meaning:
      'The reply connection was lost; `unconfirmed` replies are sent again, or dropped if the node of their requester is down. `isolated`: the separate connection on which they are sent one at a time.',
  },
  reply_unconfirmed: {
    level: 'warn',
    meaning:
      'RabbitMQ has not confirmed a reply for 30 s, as during an alarm: the request goes back to its queue, and the reply connection is opened again.',
  },
  reply_unsendable: { level: 'error', meaning: 'A reply could not be encoded; its request goes to the dead letters.' },
  request_channel_closed: {
    level: 'debug',
    meaning: 'The broker redelivers a request whose channel closed before its acknowledgement.',
  },
  request_channel_error: { level: 'warn', meaning: 'The request channel reported an error and is opened again.' },
  request_connection_error: {
    level: 'warn',
    meaning: 'The request connection reported an error; it reconnects by itself.',
  },
  request_connection_lost: {
    level: 'warn',
    meaning: 'The request connection was lost; the broker redelivers what was in hand.',
  },
  request_dead_lettered: { level: 'error', meaning: 'Serving a request failed without an answer.' },
  request_failed: {
    level: 'error',
    meaning: 'One request was answered with an error of the agent; `err` is the cause.',
  },
  request_given_back: {
    level: 'warn',
    meaning:
      'A claim went back to the queue for another agent, because this one does not reach the management API or lacks a secret.',
  },
  request_handler_threw: { level: 'error', meaning: 'A request handler threw. This is a defect: report it.' },
  request_queue_redeclared: {
    level: 'warn',
    meaning: 'Another client deleted a request queue; the agent declared it again.',
  },
  request_served: {
    level: 'info',
    meaning: 'One request was answered or dead-lettered: method, namespace, client, outcome and duration.',
  },
  requests_not_consumed: { level: 'warn', meaning: 'Consuming the request queues failed.' },
  risky_choice: {
    level: 'warn',
    meaning: 'A setting that works and may not be intended; `choice` names it, the message says what to do.',
  },
  scheduler_error: {
    level: 'warn',
    meaning: 'The job scheduler cannot reach its store. Logged once a minute at most.',
  },
  service_links_ignored: {
    level: 'info',
    meaning:
      'Kubernetes set `variables` for a Service; they are no settings. `enableServiceLinks: false` in the pod leaves them out.',
  },
  secret_missing: {
    level: 'warn',
    meaning:
      'Namespaces need an agent secret that this agent does not have; `secretId` and `namespaces` say which and how many. `lostSince`: no agent has had it since then.',
  },
  statistics_available: {
    level: 'info',
    meaning: "RabbitMQ's statistics are up to date again, so the agent can do all of its duties.",
  },
  statistics_missing: {
    level: 'warn',
    meaning:
      'RabbitMQ collects no statistics, or rarely; `duties` are those that the agent cannot do, or not fully, without.',
  },
  statistics_unknown: {
    level: 'warn',
    meaning: "The age of RabbitMQ's statistics could not be measured; the agent tries again.",
  },
  survey_done: { level: 'debug', meaning: 'A survey read the depth of every queue; the fields count what it saw.' },
  topology_connection_error: {
    level: 'warn',
    meaning:
      'The connection that declares the topology and publishes agent events reported an error; it reconnects by itself.',
  },
  topology_not_declared: {
    level: 'error',
    meaning: 'A queue, exchange or policy of the agent could not be declared again.',
  },
  unknown_users: {
    level: 'warn',
    meaning:
      'Users without a record match the account naming scheme. The agent leaves them untouched; see docs/recover.md.',
  },
} as const satisfies Record<string, { readonly level: LogLevel; readonly meaning: string }>;

/** A level at which the agent logs. */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug';

/** The codes that are logged at `Level`; all codes without one. */
export type LogCode<Level extends LogLevel = LogLevel> = {
  [Code in keyof typeof LOG_CODES]: (typeof LOG_CODES)[Code]['level'] extends Level ? Code : never;
}[keyof typeof LOG_CODES];
