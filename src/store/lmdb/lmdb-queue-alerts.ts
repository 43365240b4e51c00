import type { Database, RootDatabase } from 'lmdb';
import type { StoreGate } from '../gate.ts';
import type { AlertPage, QueueAlert, QueueAlertStore } from '../queue-alert-records.ts';
import { requireRevision } from '../revision.ts';

/** Queues that have grown too large, in LMDB. The version of an entry is the alert's revision, as with namespaces. */
export class LmdbQueueAlerts implements QueueAlertStore {
  readonly #gate: StoreGate;
  readonly #alerts: Database<QueueAlert, string>;

  constructor(root: RootDatabase, gate: StoreGate) {
    this.#gate = gate;
    this.#alerts = root.openDB({ name: 'queue-alerts', encoding: 'json', useVersions: true });
  }

  async get(queue: string): Promise<QueueAlert | undefined> {
    return await this.#gate.run(() => this.#alerts.get(queue));
  }

  async insert(alert: QueueAlert): Promise<boolean> {
    requireRevision(alert, 1, alert.queue);
    return await this.#gate.run(() =>
      this.#alerts.ifNoExists(alert.queue, () => void this.#alerts.put(alert.queue, alert, alert.revision)),
    );
  }

  async replace(alert: QueueAlert, expectedRevision: number): Promise<boolean> {
    requireRevision(alert, expectedRevision + 1, alert.queue);
    return await this.#gate.run(() =>
      this.#alerts.ifVersion(
        alert.queue,
        expectedRevision,
        () => void this.#alerts.put(alert.queue, alert, alert.revision),
      ),
    );
  }

  async remove(queue: string, expectedRevision: number): Promise<boolean> {
    return await this.#gate.run(() =>
      this.#alerts.ifVersion(queue, expectedRevision, () => void this.#alerts.remove(queue)),
    );
  }

  async list({ after, limit }: AlertPage): Promise<QueueAlert[]> {
    return await this.#gate.run(() => {
      const found: QueueAlert[] = [];
      if (limit <= 0) return found;
      for (const { key, value } of this.#alerts.getRange(after === undefined ? {} : { start: after })) {
        if (key === after) continue;
        found.push(value);
        if (found.length >= limit) break;
      }
      return found;
    });
  }
}
