import { forEachConcurrently } from '../../util/concurrency.ts';
import type { ListedConnection, Management } from '../../broker/management/management.ts';

/** A connection that is older than `connectionMaxAgeSeconds`. */
export interface OldConnection {
  readonly namespace: string;
  readonly account: string;
  readonly connection: string;
}

/**
 * The connections of accounts that were opened before an instant.
 *
 * @param namespaceOf the namespace of an account, undefined for any other user
 */
export function findOldConnections(
  listed: readonly ListedConnection[],
  openedBeforeMs: number,
  namespaceOf: (user: string) => string | undefined,
): OldConnection[] {
  return listed.flatMap(({ name, user, connectedAtMs }) => {
    if (connectedAtMs === undefined || connectedAtMs >= openedBeforeMs) return [];
    const namespace = namespaceOf(user);
    return namespace === undefined ? [] : [{ namespace, account: user, connection: name }];
  });
}

const REASON = 'This connection has been open for as long as it may. Claim credentials and connect again.';

/** Closes at the same time: the clients all connect again. */
const CONCURRENCY = 8;

/**
 * Closes these connections. One that is closed already does not count.
 *
 * @returns how many it closed.
 */
export async function closeOldConnections(
  management: Pick<Management, 'closeConnection'>,
  old: readonly OldConnection[],
  onClosed: (closed: OldConnection) => void,
  signal: AbortSignal,
): Promise<number> {
  let closed = 0;
  await forEachConcurrently(old, CONCURRENCY, async (connection) => {
    if (!(await management.closeConnection(connection.connection, REASON, { signal }))) return;
    closed += 1;
    onClosed(connection);
  });
  return closed;
}
