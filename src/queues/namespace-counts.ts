import type { ListedQueue, Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { accountNames } from '../namespaces/accounts/account-names.ts';
import type { Clock } from '../util/clock.ts';
import { startDeadline, waitAtMost } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { namespaceOfQueue } from './queue-names.ts';
import { surveyPauseMs } from './survey-pause.ts';

/** What a namespace has on the broker. */
export interface NamespaceCount {
  readonly queues: number;
  /** The messages of the queues whose depth is known. */
  readonly messages: number;
  /** The queues whose depth is unknown: streams, and queues whose node is down. */
  readonly uncountedQueues: number;
  readonly connections: number;
}

/** The counts of all namespaces, from one listing. */
export interface ListedCounts {
  /** When they were requested, in ms since the epoch. */
  readonly seenMs: number;
  /** A namespace with nothing on the broker has zeros. */
  of(namespace: string): NamespaceCount;
}

/** Returns the latest counts; undefined: unknown. It never rejects. */
export type NamespaceCounts = () => Promise<ListedCounts | undefined>;

interface NamespaceCountsParts {
  readonly management: Pick<Management, 'visitQueues' | 'listOpenConnections'>;
  readonly config: Pick<Config, 'vhost' | 'namespacePrefix' | 'usernamePrefix'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'debug'>;
}

/** Counts are reused for so long at least, and at most, in ms. In between they take a twentieth of the time. */
const MIN_KEPT_MS = 5_000;
const MAX_KEPT_MS = 60_000;

/** Counts that are older, because listings fail, are unknown, in ms. */
const MAX_AGE_MS = 2 * MAX_KEPT_MS;

/** How long a request waits for counts, in ms, from when they were requested: they are an addition to its answer. */
const PATIENCE_MS = 2_000;

/** The time limit of the listings, in ms. */
const LIMIT_MS = 60_000;

/**
 * Counts the queues, messages and connections of namespaces when they are asked for. All requests share two listings,
 * however many namespaces there are.
 */
export function createNamespaceCounts(parts: NamespaceCountsParts): NamespaceCounts {
  const { clock, log } = parts;
  let latest: { readonly counts: ListedCounts; readonly startedMs: number; readonly keptMs: number } | undefined;
  let running: { readonly done: Promise<void>; readonly startedMs: number } | undefined;
  let failedMs = -Infinity;

  const count = async (startedMs: number): Promise<void> => {
    const deadline = startDeadline(LIMIT_MS);
    try {
      const counts = await deadline.race(listCounts(parts, deadline.signal));
      const keptMs = Math.max(MIN_KEPT_MS, surveyPauseMs(clock.monotonicMs() - startedMs, MAX_KEPT_MS));
      latest = { counts, startedMs, keptMs };
    } catch (error) {
      failedMs = clock.monotonicMs();
      log.debug({ code: 'namespaces_not_counted', err: error }, 'could not count queues and connections');
    } finally {
      deadline.clear();
      running = undefined;
    }
  };
  const ageMs = (): number => (latest === undefined ? Infinity : clock.monotonicMs() - latest.startedMs);

  return async () => {
    const nowMs = clock.monotonicMs();
    const keptMs = latest?.keptMs ?? 0;
    // From half of their time on they are renewed, and no request waits while they are asked for often.
    if (running === undefined && ageMs() >= keptMs / 2 && nowMs - failedMs >= MIN_KEPT_MS) {
      running = { startedMs: nowMs, done: count(nowMs) };
    }
    if (running !== undefined && ageMs() >= keptMs) {
      await waitAtMost(Math.max(0, PATIENCE_MS - (nowMs - running.startedMs)), running.done);
    }
    return ageMs() <= MAX_AGE_MS ? latest?.counts : undefined;
  };
}

async function listCounts(
  { management, config, clock }: NamespaceCountsParts,
  signal: AbortSignal,
): Promise<ListedCounts> {
  const { vhost, namespacePrefix, usernamePrefix } = config;
  const seenMs = clock.nowMs();
  const queues = new Map<string, { queues: number; messages: number; uncountedQueues: number }>();
  const add = ({ name, messages }: ListedQueue): void => {
    const namespace = namespaceOfQueue(namespacePrefix, name);
    if (namespace === undefined) return;
    let counted = queues.get(namespace);
    if (counted === undefined) queues.set(namespace, (counted = { queues: 0, messages: 0, uncountedQueues: 0 }));
    counted.queues += 1;
    if (messages === undefined) counted.uncountedQueues += 1;
    else counted.messages += messages;
  };
  await management.visitQueues(vhost, add, { signal });
  const connections = new Map<string, number>();
  for (const { user } of await management.listOpenConnections({ signal })) {
    connections.set(user, (connections.get(user) ?? 0) + 1);
  }
  return {
    seenMs,
    of(namespace) {
      const [first, second] = accountNames(usernamePrefix, namespace);
      return {
        queues: 0,
        messages: 0,
        uncountedQueues: 0,
        ...queues.get(namespace),
        connections: (connections.get(first) ?? 0) + (connections.get(second) ?? 0),
      };
    },
  };
}
