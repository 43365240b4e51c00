import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { ACTIVITY_INTERVAL_MS, type StoreTransfer } from '../store/store-transfer.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Clock, Sleep } from '../util/clock.ts';

/** The pause between two readings of the store, in ms. */
const PAUSE_MS = 500;

/**
 * Asserts that no agent of the installation takes requests from RabbitMQ, wherever it runs and whichever store it has.
 *
 * @throws AgentError `StoreInUse` when one does; `BrokerUnavailable`, `BrokerRefused` when that cannot be found out
 */
export async function assertNoneOnBroker(
  management: Pick<Management, 'listConsumers' | 'hasVhost'>,
  { id, requestVhost }: Pick<Config, 'id' | 'requestVhost'>,
  signal: AbortSignal,
): Promise<void> {
  if (!(await management.hasVhost(requestVhost, { signal }))) return;
  const { requestQueue } = contractNames(id);
  const consumers = (await management.listConsumers(requestVhost, { signal })).filter(
    ({ queue }) => queue === requestQueue,
  );
  if (consumers.length === 0) return;
  const from = consumers.flatMap(({ connection }) => (connection === undefined ? [] : [connection]));
  const where = from.length === 0 ? '' : ` (${from.join(', ')})`;
  throw new AgentError(
    'StoreInUse',
    `An agent runs: ${requestQueue} has ${consumers.length === 1 ? 'a consumer' : `${consumers.length} consumers`}${where}. Stop all agents; "rabbitmqctl list_connections user_provided_name peer_host" lists each as "${id} requests".`,
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
      'An agent uses the store: its jobs run. Stop all agents; each is a connection "<id> requests" in RabbitMQ.',
    );
  }
}
