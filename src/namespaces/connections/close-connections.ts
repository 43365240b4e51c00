import type { Management, ManagementCallOptions } from '../../broker/management/management.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';
import type { Sleep } from '../../util/clock.ts';

/** The calls that close connections. */
export type ConnectionCalls = Pick<Management, 'closeUserConnections' | 'listUserConnections'>;

/** The options of calls that may take a while. */
type SignalledOptions = ManagementCallOptions & { readonly signal: AbortSignal };

/** After this many ms the listing of a user shows a new connection: 5 to 12 ms were measured. */
export const CONNECTION_LISTED_MS = 40;

/**
 * A connection that logged in with the old password right before it changed is listed after this many checks at most.
 */
const MAX_CHECKS = 25;

/** Whose connections are closed, why, and with which calls. */
type Closing = readonly [
  management: ConnectionCalls,
  user: string,
  reason: string,
  options: SignalledOptions,
  sleep: Sleep,
];

/**
 * Closes the connections of a user, until two checks in a row see none. The clients receive `reason`.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when connections remain after about a second.
 */
export async function closeConnections(...closing: Closing): Promise<string[]> {
  // One empty listing may be too early: it does not show a connection that has just logged in.
  return await closeUntil({ emptyChecks: 2, isClosedOnce: false }, ...closing);
}

/**
 * Closes the connections of a user that are open now. The clients receive `reason`. Later connections are left alone,
 * because clients with newer credentials reconnect immediately.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when the broker does not close them for about a second.
 */
export async function closeOpenConnections(...closing: Closing): Promise<string[]> {
  return await closeUntil({ emptyChecks: 1, isClosedOnce: true }, ...closing);
}

/**
 * Closes them until this many checks in a row see none, or, if that is enough, until the broker has closed them once.
 */
async function closeUntil(
  enough: { readonly emptyChecks: number; readonly isClosedOnce: boolean },
  ...[management, user, reason, options, sleep]: Closing
): Promise<string[]> {
  const seen = new Set<string>();
  let isReopened = false;
  let emptyChecks = 0;
  let cause: unknown;
  for (let check = 0; check < MAX_CHECKS; check += 1) {
    const open = await management.listUserConnections(user, options);
    // New to a check that comes after a closing: a login that was under way at the first one is listed by the second.
    isReopened = check > 1 && open.some(({ name }) => !seen.has(name));
    for (const { name } of open) seen.add(name);
    emptyChecks = open.length === 0 ? emptyChecks + 1 : 0;
    if (emptyChecks >= enough.emptyChecks) return [...seen];
    try {
      // By user and not by name: in its first seconds RabbitMQ does not find a connection by its name.
      await management.closeUserConnections(user, reason, options);
      if (enough.isClosedOnce) return [...seen];
    } catch (error) {
      // RabbitMQ answers 500 and leaves the rest open when a client closes one of them at that moment. The next check
      // shows what is left, and fails if the broker is unavailable.
      if (!isAgentError(error, 'BrokerUnavailable')) throw error;
      cause = error;
    }
    await sleep(CONNECTION_LISTED_MS, options.signal);
  }
  throw new AgentError(
    'BrokerUnavailable',
    isReopened
      ? `Connections of ${user} open again as soon as they are closed: RabbitMQ accepts a password that has changed, as with rabbitmq_auth_backend_cache until its TTL.`
      : `Connections of ${user} stay open although the agent asked the broker to close them.`,
    { cause },
  );
}

/**
 * Closes the connections of an account that no client may use, because its password was not handed out in this
 * incarnation.
 *
 * @param permit checks whether that still holds, and returns the options to close them with; undefined if it does not
 *   hold. It is called after they were listed, so that a connection of a client that got the account in between is not
 *   taken for a stray one.
 * @throws AgentError `BrokerUnavailable`, and what `permit` throws
 */
export async function closeStrayConnections(
  management: ConnectionCalls,
  user: string,
  permit: () => Promise<SignalledOptions | undefined>,
  reason: string,
  options: SignalledOptions,
  sleep: Sleep,
): Promise<void> {
  if ((await management.listUserConnections(user, options)).length === 0) return;
  const permitted = await permit();
  if (permitted !== undefined) await closeOpenConnections(management, user, reason, permitted, sleep);
}
