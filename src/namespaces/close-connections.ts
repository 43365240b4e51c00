import type { CallOptions, Management } from '../broker/management.ts';
import type { Sleep } from '../clock.ts';
import { AgentError, isAgentError } from '../errors.ts';

/** What {@link closeConnections} needs of the broker. */
export type ConnectionCalls = Pick<Management, 'closeUserConnections' | 'listUserConnections'>;

/** What {@link closeEarlierConnections} needs of the broker. */
export type SingleConnectionCalls = Pick<Management, 'listUserConnections' | 'getConnection' | 'closeConnection'>;

/** A connection shows in the listing of its user 5 to 12 ms after it was opened. */
const LOOK_AGAIN_MS = 40;

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
  options: CallOptions & { readonly signal: AbortSignal },
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
    try {
      await management.closeUserConnections(user, reason, options);
    } catch (error) {
      // RabbitMQ answers 500, and leaves the others open, when one of them ends by itself at that moment. What matters is
      // what the next look shows, and that fails too when the broker is away.
      if (!isAgentError(error, 'BrokerUnavailable')) throw error;
      cause = error;
    }
    await sleep(LOOK_AGAIN_MS, options.signal);
  }
  throw new AgentError(
    'BrokerUnavailable',
    `Connections of ${user} stay open although the broker was told to close them.`,
    { cause },
  );
}

/**
 * Closes the connections of a user that began before an instant, and leaves later ones alone.
 *
 * RabbitMQ looks at a password once, when a client logs in. A client may stop there, for as long as the time-out for
 * handshakes allows (ten seconds), and open its connection then; no listing shows it before that.
 *
 * @param openedBeforeMs in ms since the epoch; compared with the broker's clock
 * @returns the names of the connections that were closed.
 * @throws AgentError `BrokerUnavailable`
 */
export async function closeEarlierConnections(
  management: SingleConnectionCalls,
  user: string,
  openedBeforeMs: number,
  reason: string,
  options: CallOptions,
): Promise<string[]> {
  const closed: string[] = [];
  for (const { name } of await management.listUserConnections(user, options)) {
    const connection = await management.getConnection(name, options);
    // Names are made of addresses and ports: by now it may be somebody else's.
    if (connection?.user !== user || (connection.connectedAtMs ?? Infinity) >= openedBeforeMs) continue;
    if (await management.closeConnection(name, reason, options)) closed.push(name);
  }
  return closed;
}
