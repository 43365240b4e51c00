/** The part of the table of log lines that is about the queues of namespaces. */
export const QUEUE_LOG_CODES = {
  queue_deleted: {
    level: 'warn',
    meaning: 'A queue passed `deleteAtMessages` or `deleteAtBytes` and was deleted; its owner was warned.',
  },
  queue_exempted: { level: 'info', meaning: 'An operator exempted a queue from deletion until `until`.' },
  queue_exemption_ended: {
    level: 'info',
    meaning: 'The exemption of a queue ended, by the clock or by an operator (`reason`).',
  },
  queue_left: {
    level: 'warn',
    meaning:
      'A queue passed its threshold for deletion and stays, by its rule (`onOvergrown: leave`); once until it recovers.',
  },
  queue_not_processed: {
    level: 'warn',
    meaning: 'Warning of, or deleting, a queue failed; the next survey or inspection does it.',
  },
  queue_purged: {
    level: 'warn',
    meaning:
      'A queue passed its threshold for deletion and was purged, by its rule (`onOvergrown: purge`); its owner was warned.',
  },
  queue_recovered: { level: 'info', meaning: 'A queue is below the warning threshold again.' },
  queue_expired: {
    level: 'warn',
    meaning:
      'A queue was idle for twice as long as its rule says (`idleExpirySeconds`) and was deleted; its owner was notified.',
  },
  queue_idle: {
    level: 'warn',
    meaning: 'A queue had no consumer and did not change for as long as its rule says; its owner gets a notice.',
  },
  queue_use_not_listed: {
    level: 'warn',
    meaning: 'RabbitMQ did not list the consumers of queues: no idle queue expires until it does.',
  },
  queue_warning: {
    level: 'warn',
    meaning: 'A queue passed `warnAtMessages` or `warnAtBytes`; its owner gets a notice.',
  },
} as const;
