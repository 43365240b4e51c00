import { randomUUID } from 'node:crypto';
import type { AuditRecord, AuditStore } from '../store/audit-records.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { backoffMs } from '../util/retry.ts';
import { createAuditLimit } from './limit-audit.ts';

/** A decision to record. Fields that are left out stand for: this agent, `done`, and nothing. */
export type AuditEntry = Pick<AuditRecord, 'action' | 'reason'> &
  Partial<Omit<AuditRecord, 'id' | 'atMs' | 'instance' | 'action' | 'reason'>>;

/** The record of `entry`, written by `instance` at `nowMs`. */
export function makeAuditRecord(entry: AuditEntry, instance: string, nowMs: number): AuditRecord {
  return {
    actor: 'agent',
    actorName: instance,
    userId: null,
    namespace: null,
    subject: null,
    outcome: 'done',
    requestId: null,
    details: {},
    ...entry,
    id: randomUUID(),
    atMs: nowMs,
    instance,
  };
}

/** The audit of one agent. */
export interface Audit {
  /**
   * Writes a record to the log immediately and to the store in the background. It does not throw and delays no work. Records
   * beyond the limit of a namespace are only in the log; a minute later one record in the store has their number.
   */
  record(entry: AuditEntry): void;
  /** Writes the waiting records to the store; logs how many it could not write. */
  close(): Promise<void>;
}

/** What {@link createAudit} uses. */
export interface AuditOptions {
  readonly store: Pick<AuditStore, 'append'>;
  readonly log: Log;
  readonly clock: Clock;
  /** Which of the agents with this id it is. */
  readonly instance: string;
  /** How long records are collected before they are written, in ms; 1000 when absent. */
  readonly windowMs?: number;
  /** After how long one record says how many were left out, in ms; a minute when absent. */
  readonly summaryMs?: number;
  /** A record was left out of the store, because there were too many of its namespace. */
  readonly onSuppressed?: () => void;
}

const WINDOW_MS = 1_000;
const SUMMARY_MS = 60_000;
const BATCH_SIZE = 500;
/** The records that wait while the store is down. Beyond that, the oldest are only in the log. */
const MAX_WAITING = 10_000;
/** The longest pause after a failed write, in ms. */
const MAX_PAUSE_MS = 30_000;

/** For work without an effect, or whose caller records it. */
export const noAudit: Pick<Audit, 'record'> = { record: () => undefined };

/** Creates the audit of one agent. */
export function createAudit(options: AuditOptions): Audit {
  const { store, log, clock, instance, windowMs = WINDOW_MS, summaryMs = SUMMARY_MS } = options;
  const limit = createAuditLimit(clock);
  let summaryTimer: NodeJS.Timeout | undefined;
  // A higher log level does not silence the audit.
  const auditLog = log.child({ name: 'audit' }, { level: log.level === 'silent' ? 'silent' : 'info' });
  /** Not in the store yet, from the oldest on. */
  const waiting = new BoundedMap<string, AuditRecord>({ maxSize: MAX_WAITING });
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<boolean> | undefined;
  let failures = 0;
  let dropped = 0;

  /** Writes until no record waits; false when the store fails. */
  const writeAll = async (): Promise<boolean> => {
    while (waiting.size > 0) {
      const batch = [...waiting.values()].slice(0, BATCH_SIZE);
      try {
        await store.append(batch);
      } catch (error) {
        failures += 1;
        if (failures === 1)
          log.warn(
            { code: 'audit_store_failing', err: error },
            'cannot write audit records to the store; they are in the log',
          );
        return false;
      }
      for (const { id } of batch) waiting.delete(id);
    }
    if (failures + dropped > 0)
      log.info({ code: 'audit_store_recovered', lost: dropped }, 'audit records are written to the store again');
    failures = 0;
    dropped = 0;
    return true;
  };
  const write = async (): Promise<boolean> => {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeAll().finally(() => (writing = undefined));
    return await writing;
  };
  const writeSoon = (): void => {
    timer ??= setTimeout(
      () => void write().then((isDone) => (isDone ? undefined : writeSoon())),
      backoffMs(failures + 1, { firstMs: windowMs, maxMs: MAX_PAUSE_MS }),
    ).unref();
  };

  const keep = (record: AuditRecord): void => {
    if (waiting.size === MAX_WAITING) {
      dropped += 1;
      if (dropped === 1)
        log.error(
          { code: 'audit_records_dropped' },
          'the store was unavailable for too long; the oldest audit records are only in the log',
        );
    }
    waiting.set(record.id, record);
    writeSoon();
  };
  const summarize = (): void => {
    clearTimeout(summaryTimer);
    summaryTimer = undefined;
    for (const { namespace, action, suppressed } of limit.takeLeftOut()) {
      const reason = 'too many records of this kind; the rest is in the log';
      keep(logged({ action, namespace, reason, outcome: 'suppressed', details: { suppressed } }));
    }
  };
  const logged = (entry: AuditEntry): AuditRecord => {
    const record = makeAuditRecord(entry, instance, clock.nowMs());
    auditLog.info({ code: 'audit', ...logFieldsOf(record) }, record.action);
    return record;
  };

  return {
    record(entry) {
      const record = logged(entry);
      if (limit.admit(record)) {
        keep(record);
        return;
      }
      options.onSuppressed?.();
      summaryTimer ??= setTimeout(summarize, summaryMs).unref();
    },
    async close() {
      summarize();
      // A write in progress may have started before the latest record.
      while (waiting.size > 0 && (await write()));
      clearTimeout(timer);
      if (waiting.size + dropped === 0) return;
      log.error(
        { code: 'audit_records_unwritten', records: waiting.size + dropped },
        'stopped with unwritten audit records; they are only in the log',
      );
    },
  };
}

/** A log line has its own time, and leaves out what is empty. */
function logFieldsOf({ details, ...record }: AuditRecord): object {
  const present = Object.entries(record).filter(([name, value]) => name !== 'atMs' && value !== null);
  return { ...Object.fromEntries(present), ...(Object.keys(details).length > 0 ? { details } : {}) };
}
