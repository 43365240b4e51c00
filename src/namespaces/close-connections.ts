import type { CallOptions, Management } from '../broker/management.ts';
import type { Sleep } from '../clock.ts';
import { AgentError, isAgentError } from '../errors.ts';

/** What {@link closeConnections} and {@link closeOpenConnections} need of the broker. */
export type ConnectionCalls = Pick<Management, 'closeUserConnections' | 'listUserConnections'>;

/** How a call is made that may take a while. */
type SignalledOptions = CallOptions & { readonly signal: AbortSignal };

/** A connection shows in the listing of its user 5 to 12 ms after it was opened. */
export const LOOK_AGAIN_MS = 40;

/** A connection that logged in with the old password right before it changed shows this late at most. */
const MOST_ROUNDS = 25;

/** One empty listing may be too early: a connection that had just logged in is not in it yet. */
const EMPTY_LOOKS = 2;

/**
 * Closes the connections of a user, whose clients are told `reason`, until none is seen at two looks in a row.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when connections remain after about a second.
 */
export async function closeConnections(
  management: ConnectionCalls,
  user: string,
  reason: string,
  options: SignalledOptions,
  sleep: Sleep,
): Promise<string[]> {
  const seen = new Set<string>();
  let emptyLooks = 0;
  let cause: unknown;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const open = await management.listUserConnections(user, options);
    emptyLooks = open.length === 0 ? emptyLooks + 1 : 0;
    for (const { name } of open) seen.add(name);
    if (round > 0 && emptyLooks >= EMPTY_LOOKS) return [...seen];
    cause = (await closeAll(management, user, reason, options)) ?? cause;
    await sleep(LOOK_AGAIN_MS, options.signal);
  }
  throw stayOpen(user, cause);
}

/**
 * Closes the connections of a user that are open now, whose clients are told `reason`. Later ones are left alone: clients
 * that hold newer credentials connect again at once.
 *
 * @returns the names of the connections that were seen.
 * @throws AgentError `BrokerUnavailable` when the broker does not do it for about a second.
 */
export async function closeOpenConnections(
  management: ConnectionCalls,
  user: string,
  reason: string,
  options: SignalledOptions,
  sleep: Sleep,
): Promise<string[]> {
  const seen = new Set<string>();
  let cause: unknown;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const open = await management.listUserConnections(user, options);
    if (open.length === 0) return [...seen];
    for (const { name } of open) seen.add(name);
    // By the user and not one by one: for seconds after it was opened RabbitMQ knows no connection by its name.
    cause = await closeAll(management, user, reason, options);
    if (cause === undefined) return [...seen];
    await sleep(LOOK_AGAIN_MS, options.signal);
  }
  throw stayOpen(user, cause);
}

/**
 * Closes the connections of an account to which nobody may be connected, because it was given to nobody in this life.
 *
 * @param permit reads whether that still holds. It is asked after they were listed: what was opened because the account
 *   was given out meanwhile does not pass for a stranger's. Undefined: it does not hold; else what to close them with.
 * @throws AgentError `BrokerUnavailable`, and what `permit` throws
 */
export async function closeStrangers(
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

/**
 * Has the broker close the connections of a user that it sees now.
 *
 * @returns why it did not. It answers 500, and leaves the others open, when one of them ends by itself at that moment. What
 * matters is what the next look shows, and that fails too when the broker is away.
 */
async function closeAll(
  management: ConnectionCalls,
  user: string,
  reason: string,
  options: CallOptions,
): Promise<AgentError | undefined> {
  try {
    await management.closeUserConnections(user, reason, options);
    return undefined;
  } catch (error) {
    if (isAgentError(error, 'BrokerUnavailable')) return error;
    throw error;
  }
}

function stayOpen(user: string, cause: unknown): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `Connections of ${user} stay open although the broker was told to close them.`,
    { cause },
  );
}
