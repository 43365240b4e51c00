import { randomUUID } from 'node:crypto';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { backoffMs } from '../util/retry.ts';
import type { AuditRecord, AuditStore } from '../store/audit-records.ts';

/** What there is to say of a decision; what is left out: an agent by itself, `done`, and nothing. */
export type AuditEntry = Pick<AuditRecord, 'action' | 'reason'> &
  Partial<Omit<AuditRecord, 'id' | 'atMs' | 'instance' | 'action' | 'reason'>>;

/** The record of `entry`, as `instance` writes it down now. */
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

/** Writes down what was done. */
export interface Audit {
  /**
   * Writes it into the log at once and into the store in the background: it is told of after the fact and never holds it
   * up. It does not throw.
   */
  record(entry: AuditEntry): void;
  /** Writes what still waits into the store, and ends; what cannot be written is said. */
  close(): Promise<void>;
}

/** What {@link createAudit} works with. */
export interface AuditParts {
  readonly store: Pick<AuditStore, 'append'>;
  readonly log: Log;
  readonly clock: Clock;
  /** Which of the agents with this id it is. */
  readonly instance: string;
  /** How long records are gathered before they are written, in ms; 1000 when absent. */
  readonly gatherMs?: number;
}

const GATHER_MS = 1_000;
/** Records that go to the store in one call. */
const WRITTEN_AT_ONCE = 500;
/** Records that wait while the store is down; of more the oldest are in the log alone. */
const MOST_WAITING = 10_000;
/** The longest pause between two tries to write, in ms. */
const LONGEST_PAUSE_MS = 30_000;

/** For work that has no effect, or is written down by whoever asked for it. */
export const noAudit: Pick<Audit, 'record'> = { record: () => undefined };

/** The audit of one agent. */
export function createAudit(parts: AuditParts): Audit {
  const { store, log, clock, instance, gatherMs = GATHER_MS } = parts;
  // Whoever wants fewer lines in the log does not mean these.
  const line = log.child({ name: 'audit' }, { level: log.level === 'silent' ? 'silent' : 'info' });
  /** In the order in which they came. */
  const waiting = new BoundedMap<string, AuditRecord>({ maxSize: MOST_WAITING });
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<boolean> | undefined;
  let failures = 0;
  let lost = 0;

  /** Writes until nothing waits; false when the store does not take it. */
  const writeAll = async (): Promise<boolean> => {
    while (waiting.size > 0) {
      const batch = [...waiting.values()].slice(0, WRITTEN_AT_ONCE);
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
    if (failures + lost > 0)
      log.info({ code: 'audit_store_recovered', lost }, 'audit records are written to the store again');
    failures = 0;
    lost = 0;
    return true;
  };
  const write = async (): Promise<boolean> => {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeAll().finally(() => (writing = undefined));
    return await writing;
  };
  const writeSoon = (): void => {
    // A failing store is tried less and less often.
    timer ??= setTimeout(
      () => void write().then((isDone) => (isDone ? undefined : writeSoon())),
      backoffMs(failures + 1, { firstMs: gatherMs, maxMs: LONGEST_PAUSE_MS }),
    ).unref();
  };

  return {
    record(entry) {
      const record = makeAuditRecord(entry, instance, clock.nowMs());
      line.info({ code: 'audit', ...tellable(record) }, record.action);
      if (waiting.size === MOST_WAITING) {
        lost += 1;
        if (lost === 1)
          log.error(
            { code: 'audit_records_dropped' },
            'the store was unavailable for too long; the oldest audit records are only in the log',
          );
      }
      waiting.set(record.id, record);
      writeSoon();
    },
    async close() {
      // One that is under way may have begun before the latest record.
      while (waiting.size > 0 && (await write()));
      clearTimeout(timer);
      if (waiting.size + lost === 0) return;
      log.error(
        { code: 'audit_records_unwritten', records: waiting.size + lost },
        'stopped with unwritten audit records; they are only in the log',
      );
    },
  };
}

/** What the line of the log says: its time is that of the record, and what is empty is left out. */
function tellable({ details, ...record }: AuditRecord): object {
  const said = Object.entries(record).filter(([name, value]) => name !== 'atMs' && value !== null);
  return { ...Object.fromEntries(said), ...(Object.keys(details).length > 0 ? { details } : {}) };
}
