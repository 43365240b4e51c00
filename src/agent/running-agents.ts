import { countConsumers } from '../broker/amqp/count-consumers.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { ACTIVITY_INTERVAL_MS, type StoreTransfer } from '../store/store-transfer.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Clock, Sleep } from '../util/clock.ts';

type RequestSettings = Pick<Config, 'id' | 'requestVhost' | 'rabbitmqRequestUrl' | 'rabbitmqCa'>;

/** The pause between two readings of the store, in ms. */
const PAUSE_MS = 500;

/**
 * Asserts that no agent of the installation takes requests from RabbitMQ, wherever it runs and whichever store it has.
 *
 * @throws AgentError `StoreInUse` when one does; `BrokerUnavailable`, `BrokerRefused` when that cannot be found out
 */
export async function assertNoneOnBroker(
  management: Pick<Management, 'hasVhost' | 'getQueue' | 'getQuorumQueue'>,
  { id, requestVhost, rabbitmqRequestUrl: amqpUrl, rabbitmqCa: ca }: RequestSettings,
  signal: AbortSignal,
): Promise<void> {
  const { requestQueue } = contractNames(id);
  // Where it is missing, the account of the agent may have no rights to connect.
  if (!(await management.hasVhost(requestVhost, { signal }))) return;
  if ((await management.getQueue(requestVhost, requestQueue, { signal })) === undefined) return;
  const places = await management.getQuorumQueue(requestVhost, requestQueue, { signal });
  // RabbitMQ says then that it has no consumers.
  if (places !== undefined && places.leader === undefined) {
    throw new AgentError(
      'BrokerUnavailable',
      `Whether an agent runs is unknown: ${requestQueue} has no leader, as ${places.online.length} of ${places.members.length} replicas are online. Start the nodes of RabbitMQ that are down.`,
    );
  }
  const count = await countConsumers({ amqpUrl, ca, connectionName: `${id} check` }, requestQueue, signal);
  if (count === 0) return;
  throw new AgentError(
    'StoreInUse',
    `An agent runs: ${requestQueue} has ${count === 1 ? 'a consumer' : `${count} consumers`}. Stop all agents; "rabbitmqctl list_connections user_provided_name peer_host" lists each as "${id} requests".`,
  );
}

/**
 * Asserts that no agent uses the store. With MongoDB that takes {@link ACTIVITY_INTERVAL_MS}.
 *
 * @throws AgentError `StoreInUse` when one does; `StoreUnavailable`
 */
export async function assertNoneInStore(
  store: Pick<StoreTransfer, 'activity'>,
  { clock, sleep }: { readonly clock: Clock; readonly sleep: Sleep },
  signal: AbortSignal,
): Promise<void> {
  const before = await store.activity();
  if (before === undefined) return;
  const endMs = clock.monotonicMs() + ACTIVITY_INTERVAL_MS;
  while (clock.monotonicMs() < endMs) {
    await sleep(PAUSE_MS, signal);
    if ((await store.activity()) === before) continue;
    throw new AgentError(
      'StoreInUse',
      'An agent uses the store: its jobs run. Stop all agents; "pulse-agent status" lists them.',
    );
  }
}
