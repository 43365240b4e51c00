import { BrokerRefusal, type Management, type ManagementCallOptions } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { accountName } from '../namespaces/accounts/account-names.ts';
import type { Reporters } from '../agent/reporters.ts';
import type { Sleep } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';

/** A connection that was closed as it held a queue that was to be deleted. */
export interface ClosedHolder {
  readonly namespace: string;
  readonly account: string;
  readonly connection: string;
}

/** What {@link createRemoveQueue} works with. */
export interface RemoveQueueParts {
  readonly management: Pick<
    Management,
    'deleteQueue' | 'getQueue' | 'getQueueOwner' | 'listUserConnections' | 'closeConnection'
  >;
  readonly config: Pick<Config, 'vhost' | 'usernamePrefix'>;
  readonly sleep: Sleep;
  readonly reporters: Pick<Reporters, 'connectionClosed'>;
}

/**
 * Deletes a queue of a namespace. Nobody but the connection that declared it may delete an exclusive one: it goes with that
 * connection, which is closed if it is the namespace's.
 *
 * @returns false when there was no such queue
 * @throws AgentError `BrokerUnavailable`; `BrokerRefused`, also when nobody knows whose connection holds it, or when that is
 *   a stranger's; the signal's reason
 */
export type RemoveQueue = (
  namespace: string,
  queue: string,
  options: ManagementCallOptions & { readonly signal: AbortSignal },
) => Promise<boolean>;

const REASON = 'A queue that only this connection may use had grown too large and is deleted with it.';

/** An exclusive queue goes some ms after its connection. */
const LOOK_AGAIN_MS = 50;
const MOST_LOOKS = 20;

/** Makes it. */
export function createRemoveQueue({ management, config, sleep, reporters }: RemoveQueueParts): RemoveQueue {
  const { vhost, usernamePrefix } = config;
  /** The connection that holds an exclusive queue, where it is one of the namespace. */
  const findHolder = async (
    namespace: string,
    queue: string,
    options: ManagementCallOptions,
  ): Promise<ClosedHolder | undefined> => {
    const connection = await management.getQueueOwner(vhost, queue, options);
    if (connection === undefined) return undefined;
    for (const slot of [1, 2] as const) {
      const account = accountName(usernamePrefix, namespace, slot);
      const open = await management.listUserConnections(account, options);
      if (open.some(({ name }) => name === connection)) return { namespace, account, connection };
    }
    return undefined;
  };

  return async (namespace, queue, options) => {
    try {
      return await management.deleteQueue(vhost, queue, options);
    } catch (error) {
      if (!(error instanceof BrokerRefusal)) throw error;
      const holder = await findHolder(namespace, queue, { signal: options.signal });
      if (holder === undefined) throw error;
      if (await management.closeConnection(holder.connection, REASON, options)) {
        reporters.connectionClosed({ ...holder, reason: 'overgrown' });
      }
    }
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      if ((await management.getQueue(vhost, queue, { signal: options.signal })) === undefined) return true;
      await sleep(LOOK_AGAIN_MS, options.signal);
    }
    throw new AgentError('BrokerUnavailable', `The queue ${queue} stays although its connection was closed.`);
  };
}
