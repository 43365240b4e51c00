import { makeOperatorRecord } from '../audit/operator-audit.ts';
import type { Management } from '../broker/management/management.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { formatInstant } from '../contract/fields.ts';
import { WireError } from '../contract/wire-errors.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { isQueueListed } from '../queues/is-queue-listed.ts';
import { openStoreToExempt } from '../store/open-store-to-exempt.ts';
import { readExemptions } from '../store/paged-listing.ts';
import { exemptionsInForce, isInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import type { ExemptionWriter } from '../store/store-reader.ts';
import { AgentError } from '../util/agent-errors.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../util/compare-and-set.ts';

/** What became of a queue that was exempted. */
export interface ExemptedQueue {
  readonly exemption: QueueExemption;
  /**
   * - `kept`: no agent deletes it.
   * - `gone`: an agent had begun to delete it, and has.
   * - `unknown`: RabbitMQ could not be asked.
   */
  readonly is: 'kept' | 'gone' | 'unknown';
}

/** Exemptions of queues by an operator, in the store of an installation. */
export interface OperatorExemptions {
  /**
   * Exempts a queue from deletion until an instant, in ms since the epoch, in place of an earlier exemption.
   *
   * @throws WireError `InputError` for the name of no queue of a namespace, `ResourceNotFound` when RabbitMQ has no such
   *   queue; AgentError
   */
  exempt(queue: string, untilMs: number, reason: string | undefined, signal: AbortSignal): Promise<ExemptedQueue>;
  /** Ends an exemption. @returns false when there is none */
  end(queue: string, signal: AbortSignal): Promise<boolean>;
  /** Those that hold. */
  list(): Promise<QueueExemption[]>;
  close(): Promise<void>;
}

/** A deletion that was under way has ended after this, in ms: another agent would take it over by then. */
const DELETION_ENDS_MS = 15_000;
const CHECK_EVERY_MS = 200;
/** An operator in a hurry does not wait longer for a RabbitMQ that does not answer, in ms. */
const ANSWER_MS = 3_000;

const COMMAND = 'pulse-agent exempt';

/**
 * Opens the store beside the agents that use it, and the management API to read. It can write exemptions and audit records
 * alone.
 *
 * @throws AgentError when the store cannot be used
 */
export async function openOperatorExemptions(config: Config): Promise<OperatorExemptions> {
  const store = await openStoreToExempt(config.storeUrl.reveal());
  const { storeId } = store;
  if (storeId === undefined) {
    await store.close();
    throw new AgentError('StoreUnavailable', 'No agent has used this store: check STORE_URL, or start an agent.');
  }
  const management = openManagement(config);
  const { queueExemptions, audit } = store;

  const write = async (
    queue: string,
    next: (known: QueueExemption | undefined) => QueueExemption | undefined,
    signal: AbortSignal,
  ): Promise<QueueExemption | undefined> =>
    await compareAndSet(`exemption of ${queue}`, signal, async (): Promise<Attempt<QueueExemption | undefined>> => {
      const known = await queueExemptions.get(queue);
      const exemption = next(known);
      if (exemption === undefined) return undefined;
      const isWritten =
        known === undefined
          ? await queueExemptions.insert(exemption)
          : await queueExemptions.replace(exemption, known.revision);
      return isWritten ? exemption : CONFLICT;
    });

  const record = async ({ queue, namespace, reason, untilMs }: QueueExemption): Promise<void> => {
    const details = { until: untilMs === 0 ? null : formatInstant(untilMs) };
    const entry = { action: 'exemption', namespace, subject: queue, reason: reason ?? COMMAND, details } as const;
    await audit.append([makeOperatorRecord({ ...entry, outcome: untilMs === 0 ? 'ended' : 'done' })]);
  };

  return {
    async exempt(queue, untilMs, reason, signal) {
      const namespace = namespaceOfQueue(config.namespacePrefix, queue);
      if (namespace === undefined) {
        throw new WireError('InputError', `${queue} is no name of a queue of a namespace: queue/<namespace>/….`);
      }
      if ((await findQueue(management, config, storeId, queue, signal)) === false) {
        throw new WireError(
          'ResourceNotFound',
          `There is no queue ${queue}: check its name, and that it was not deleted.`,
        );
      }
      const exemption = (await write(
        queue,
        (known) => ({
          queue,
          revision: (known?.revision ?? 0) + 1,
          namespace,
          untilMs,
          reason: reason ?? null,
          announcedUntilMs: known?.announcedUntilMs ?? 0,
        }),
        signal,
      )) as QueueExemption;
      await record(exemption);
      await deletionEnded(store, exemption, signal);
      const isThere = await findQueue(management, config, storeId, queue, signal);
      return { exemption, is: isThere === undefined ? 'unknown' : isThere ? 'kept' : 'gone' };
    },
    async end(queue, signal) {
      const ended = await write(
        queue,
        (known) =>
          known === undefined || !isInForce(known, systemClock.nowMs())
            ? undefined
            : { ...known, revision: known.revision + 1, untilMs: 0 },
        signal,
      );
      if (ended !== undefined) await record(ended);
      return ended !== undefined;
    },
    list: async () => [...exemptionsInForce(await readExemptions(queueExemptions), systemClock.nowMs()).values()],
    async close() {
      management.close();
      await store.close();
    },
  };
}

/**
 * Whether RabbitMQ has a queue; undefined when it does not answer, which must not prevent an exemption.
 *
 * @throws AgentError `BrokerMarked` when the broker belongs to another store
 */
async function findQueue(
  management: Management,
  config: Config,
  storeId: string,
  queue: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  try {
    const options = { signal, timeoutMs: ANSWER_MS };
    await assertNotForeign(management, { ...config, storeId }, options);
    if ((await management.getQueue(config.vhost, queue, options)) !== undefined) return true;
    return await isQueueListed(management, config.vhost, queue, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AgentError && error.code !== 'BrokerMarked') return undefined;
    throw error;
  }
}

/**
 * Waits until no agent deletes or purges the queue. An agent stores `deleting` or `purging` before it reads the exemptions, so
 * that what is neither after the exemption was written is not deleted.
 */
async function deletionEnded(
  store: ExemptionWriter,
  { queue, namespace }: QueueExemption,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  const isUnderWay = async (): Promise<boolean> => {
    const alert = await store.queueAlerts.get(queue);
    if (alert?.level === 'deleting' || alert?.level === 'purging') return true;
    const record = await store.namespaces.get(namespace);
    return record?.state === 'expiring' && record.deletionBlock === undefined;
  };
  while ((await isUnderWay()) && systemClock.monotonicMs() - startedMs < DELETION_ENDS_MS) {
    await systemSleep(CHECK_EVERY_MS, signal);
  }
}
