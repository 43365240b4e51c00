import { BrokerRefusal, type Management, type ManagementCallOptions } from '../broker/management/management.ts';
import type { AgentContext } from '../context.ts';
import type { Config } from '../config/config.ts';
import { accountNames } from '../namespaces/accounts/account-names.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Sleep } from '../util/clock.ts';
import { isQueueListed } from './is-queue-listed.ts';

interface DeleteFromBrokerParts {
  readonly management: Pick<
    Management,
    | 'deleteQueue'
    | 'getQueue'
    | 'listQueueNames'
    | 'listDownQueues'
    | 'getQueueOwner'
    | 'listUserConnections'
    | 'closeConnection'
  >;
  readonly config: Pick<Config, 'vhost' | 'usernamePrefix'>;
  readonly sleep: Sleep;
  readonly reporters: Pick<AgentContext['reporters'], 'connectionClosed'>;
}

/**
 * Deletes a queue of a namespace from the broker. Only the connection that declared an exclusive queue may delete it, so
 * that connection is closed, and the queue with it, if an account of the namespace opened it.
 *
 * @returns false when there was no such queue
 * @throws AgentError `BrokerUnavailable`, also when its node is down; `BrokerRefused`, also when the connection that declared an exclusive queue is
 *   unknown or not the namespace's; the signal's reason
 */
export type DeleteFromBroker = (
  namespace: string,
  queue: string,
  options: ManagementCallOptions & { readonly signal: AbortSignal },
) => Promise<boolean>;

/** The connection of an account that declared an exclusive queue. */
interface Declarer {
  readonly namespace: string;
  readonly account: string;
  readonly connection: string;
}

const REASON = 'A queue that only this connection may use had grown too large and is deleted with it.';

/** RabbitMQ's reason for a refusal to delete an exclusive queue. */
const EXCLUSIVE = /RESOURCE_LOCKED|exclusive/i;

/** RabbitMQ deletes an exclusive queue some ms after it closed the connection. */
const RECHECK_MS = 50;
const MAX_CHECKS = 20;

/** Uses the management API, with which the agent may delete any queue that is not exclusive. */
export function createDeleteFromBroker(parts: DeleteFromBrokerParts): DeleteFromBroker {
  const { management, sleep, reporters } = parts;
  const { vhost, usernamePrefix } = parts.config;

  const findDeclarer = async (
    namespace: string,
    connection: string,
    options: ManagementCallOptions,
  ): Promise<Declarer | undefined> => {
    for (const account of accountNames(usernamePrefix, namespace)) {
      const open = await management.listUserConnections(account, options);
      if (open.some(({ name }) => name === connection)) return { namespace, account, connection };
    }
    return undefined;
  };

  const assertMissing = async (queue: string, signal: AbortSignal): Promise<void> => {
    if (!(await isQueueListed(management, vhost, queue, { signal }))) return;
    const down = (await management.listDownQueues(vhost, { signal })).find(({ name }) => name === queue);
    throw new AgentError(
      'BrokerUnavailable',
      down === undefined
        ? `RabbitMQ lists the queue ${queue} and answers 404 to its deletion, and names no node that is down: see RabbitMQ's log.`
        : `The queue ${queue} is on node ${down.node}, which is down, and cannot be deleted until that node runs. Start it.`,
    );
  };

  const waitUntilMissing = async (queue: string, signal: AbortSignal): Promise<void> => {
    for (let checks = 0; checks < MAX_CHECKS; checks += 1) {
      if ((await management.getQueue(vhost, queue, { signal })) === undefined)
        return await assertMissing(queue, signal);
      await sleep(RECHECK_MS, signal);
    }
    throw new AgentError('BrokerUnavailable', `The exclusive queue ${queue} still exists after its connection closed.`);
  };

  return async (namespace, queue, options) => {
    const { signal } = options;
    try {
      if (await management.deleteQueue(vhost, queue, options)) return true;
    } catch (error) {
      if (!(error instanceof BrokerRefusal)) throw error;
      const connection = await management.getQueueOwner(vhost, queue, { signal });
      if (connection === undefined && EXCLUSIVE.test(error.reason)) throw ownerUnknown(queue, error);
      const declarer = connection === undefined ? undefined : await findDeclarer(namespace, connection, { signal });
      if (declarer === undefined) throw error;
      if (await management.closeConnection(declarer.connection, REASON, options)) {
        reporters.connectionClosed({ ...declarer, reason: 'overgrown' });
      }
      await waitUntilMissing(queue, signal);
      return true;
    }
    await assertMissing(queue, signal);
    return false;
  };
}

/** The owner is one of the statistics: RabbitMQ has it some seconds after the connection was opened, or never. */
function ownerUnknown(queue: string, cause: BrokerRefusal): AgentError {
  return new AgentError(
    'BrokerRefused',
    `The exclusive queue ${queue} cannot be deleted, as RabbitMQ does not say which connection declared it. If this persists, close that connection, and switch on RabbitMQ's statistics ("pulse-agent verify" says how).`,
    { cause },
  );
}
