import type { ManagementCallOptions, Management } from '../../broker/management/management.ts';
import type { Sleep } from '../../util/clock.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';

/** What {@link closeConnections} and {@link closeOpenConnections} need of the broker. */
export type ConnectionCalls = Pick<Management, 'closeUserConnections' | 'listUserConnections'>;

/** How a call is made that may take a while. */
type SignalledOptions = ManagementCallOptions & { readonly signal: AbortSignal };

/** A connection shows in the listing of its user 5 to 12 ms after it was opened. */
export const CONNECTION_LISTED_MS = 40;

/** A connection that logged in with the old password right before it changed shows this late at most. */
const MOST_ROUNDS = 25;

/** What {@link closeConnections} and {@link closeOpenConnections} are given: by what calls, whose, why, and how. */
type Closing = readonly [
  management: ConnectionCalls,
  user: string,
  reason: string,
  options: SignalledOptions,
  sleep: Sleep,
];

/**
 * Closes the connections of a user, whose clients are told `reason`, until none is seen at two looks in a row.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when connections remain after about a second.
 */
export async function closeConnections(...closing: Closing): Promise<string[]> {
  // One empty listing may be too early: a connection that had just logged in is not in it yet.
  return await closeUntil({ emptyLooks: 2, isClosedOnce: false }, ...closing);
}

/**
 * Closes the connections of a user that are open now, whose clients are told `reason`. Later ones are left alone: clients
 * that hold newer credentials connect again at once.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when the broker does not do it for about a second.
 */
export async function closeOpenConnections(...closing: Closing): Promise<string[]> {
  return await closeUntil({ emptyLooks: 1, isClosedOnce: true }, ...closing);
}

/** Closes them until so many looks in a row see none, or, if that is enough, the broker has closed them once. */
async function closeUntil(
  enough: { readonly emptyLooks: number; readonly isClosedOnce: boolean },
  ...[management, user, reason, options, sleep]: Closing
): Promise<string[]> {
  const seen = new Set<string>();
  let emptyLooks = 0;
  let cause: unknown;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const open = await management.listUserConnections(user, options);
    for (const { name } of open) seen.add(name);
    emptyLooks = open.length === 0 ? emptyLooks + 1 : 0;
    if (emptyLooks >= enough.emptyLooks) return [...seen];
    try {
      // By the user and not one by one: for seconds after it was opened RabbitMQ knows no connection by its name.
      await management.closeUserConnections(user, reason, options);
      if (enough.isClosedOnce) return [...seen];
    } catch (error) {
      // RabbitMQ answers 500, and leaves the others open, when one of them ends by itself at that moment. What matters is
      // what the next look shows, and that fails too when the broker is away.
      if (!isAgentError(error, 'BrokerUnavailable')) throw error;
      cause = error;
    }
    await sleep(CONNECTION_LISTED_MS, options.signal);
  }
  throw new AgentError(
    'BrokerUnavailable',
    `Connections of ${user} stay open although the broker was told to close them.`,
    { cause },
  );
}

/**
 * Closes the connections of an account to which nobody may be connected, because it was given to nobody in this incarnation.
 *
 * @param permit reads whether that still holds. It is asked after they were listed: what was opened because the account
 *   was given out meanwhile does not pass for a stranger's. Undefined: it does not hold; else what to close them with.
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
