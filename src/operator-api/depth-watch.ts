import type { AgentContext } from '../context.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { momentOf } from '../util/clock.ts';
import { createPolling } from '../util/polling.ts';
import { createDepthHistory, type DepthHistory } from './depth-history.ts';
import { MAX_AGE_MS, snapshotPauseMs } from './snapshot.ts';

/** Keeps a history of depths: from the surveys of this agent, and from listings of its own where it runs none. */
export interface DepthWatch {
  /** Surveys give it what they list. */
  readonly history: DepthHistory;
  /**
   * Lists the queues where no listing is recent.
   *
   * @throws AgentError `BrokerUnavailable`
   */
  ensureListed(): Promise<void>;
  /** @param onCheck called every few seconds */
  start(onCheck: () => void): void;
  close(): Promise<void>;
}

/** While no page is open, the queues are listed this often at least, in ms. */
const IDLE_EVERY_MS = 60_000;
const CHECK_EVERY_MS = 5_000;

/** The listing of a survey may be a little older than its pause: the next one is about to come. */
const PATIENCE = 1.5;

/** How long a listing may take, in ms: 100,000 queues take some seconds. */
const LISTING_LIMIT_MS = 30_000;

/** Creates a watch that has listed nothing. */
export function createDepthWatch({
  config,
  management,
  clock,
  sleep,
  log,
}: Pick<AgentContext, 'config' | 'management' | 'clock' | 'sleep' | 'log'>): DepthWatch {
  const history = createDepthHistory(clock);
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let tookMs = 0;
  let checked: (() => void) | undefined;

  const list = async (): Promise<void> => {
    const startedAt = momentOf(clock);
    const listing = history.begin(startedAt);
    await management.visitQueueDepths(
      config.vhost,
      (queue) => {
        const namespace = namespaceOfQueue(config.namespacePrefix, queue.name);
        if (namespace !== undefined) listing.add(queue, namespace);
      },
      { signal: closing.signal, timeoutMs: LISTING_LIMIT_MS },
    );
    listing.end();
    tookMs = clock.monotonicMs() - startedAt.monotonicMs;
  };
  const listOnce = (): Promise<void> => (running ??= list().finally(() => (running = undefined)));
  const ageMs = (): number => clock.monotonicMs() - (history.latestAt?.monotonicMs ?? -Infinity);

  const polling = createPolling(
    async () => {
      checked?.();
      if (ageMs() < IDLE_EVERY_MS) return;
      await listOnce().catch((error: unknown) => {
        log.debug(
          { code: 'depths_not_listed', err: error },
          'could not list the queues for the history of their depths',
        );
      });
    },
    () => CHECK_EVERY_MS,
    sleep,
  );

  return {
    history,
    async ensureListed() {
      if (ageMs() < PATIENCE * snapshotPauseMs(tookMs)) return;
      try {
        await listOnce();
      } catch (error) {
        if (ageMs() > MAX_AGE_MS) throw error;
      }
    },
    start(onCheck) {
      checked = onCheck;
      polling.start();
    },
    async close() {
      closing.abort(new Error('The agent stops.'));
      await polling.close();
      await running?.catch(() => undefined);
    },
  };
}
