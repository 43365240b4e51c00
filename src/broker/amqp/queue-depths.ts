import { AgentError, asError } from '../../util/agent-errors.ts';
import { startDeadline } from '../../util/deadline.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';
import { type QueueCounts, readQueueCounts } from './queue-counts.ts';

interface QueueDepthsOptions extends AmqpAddresses {
  readonly id: string;
  /** How long one call may take, in ms; 10 seconds when absent. */
  readonly timeoutMs?: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Reads the depth of single queues. */
export interface QueueDepths {
  /**
   * The ready messages of each of these queues, a few ms old; queues that do not exist are left out. Unacknowledged messages
   * are not counted: a queue holds at least as many.
   *
   * @throws AgentError `BrokerUnavailable`; the signal's reason
   */
  read(queues: readonly string[], signal: AbortSignal): Promise<Map<string, number>>;
  /** The same with the number of consumers. */
  readCounts(queues: readonly string[], signal: AbortSignal): Promise<Map<string, QueueCounts>>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/**
 * Creates the reader. It uses passive declarations, which need no permission on the queue and take 0.1 ms a queue. The
 * management API would list all queues (0.3 s for 10,000) and lags by two seconds with quorum queues. The connection opens
 * on demand and never publishes, so no alarm blocks it.
 */
export function createQueueDepths(options: QueueDepthsOptions): QueueDepths {
  const { id, timeoutMs = TIMEOUT_MS } = options;
  const connection = createOnDemandConnection({ ...options, connectionName: `${id} depths` });
  const readCounts: QueueDepths['readCounts'] = async (queues, signal) => {
    signal.throwIfAborted();
    if (queues.length === 0) return new Map();
    const deadline = startDeadline(timeoutMs, signal);
    try {
      return await connection.use((opened) => deadline.race(readQueueCounts(opened, queues, deadline.signal)));
    } catch (error) {
      signal.throwIfAborted();
      // A connection without answers must not be used again.
      if (deadline.passed) await connection.close();
      const { message } = asError(error);
      throw new AgentError('BrokerUnavailable', `Could not read the depth of queues (${message}).`, { cause: error });
    } finally {
      deadline.clear();
    }
  };
  return {
    readCounts,
    async read(queues, signal) {
      return new Map([...(await readCounts(queues, signal))].map(([queue, { messages }]) => [queue, messages]));
    },
    close: () => connection.close(),
  };
}
