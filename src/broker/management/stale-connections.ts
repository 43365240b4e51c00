import type { Clock } from '../../util/clock.ts';
import type { Log } from '../../util/log.ts';
import type { ListedConnection } from './management-schemas.ts';
import type { Management } from './management.ts';

/** The calls that list and close connections. */
type ConnectionListings = Pick<Management, 'listUserConnections' | 'listOpenConnections' | 'closeUserConnections'>;

interface StaleConnectionsParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Pick<Log, 'warn'>;
}

/** A connection that was listed. */
interface SeenConnection {
  /** When RabbitMQ first said that it has closed it; undefined: it was not asked to. */
  closedMs: number | undefined;
  isReported: boolean;
}

/** This long after RabbitMQ closes a connection, it is gone: it waits 30 s for the client to confirm, then cuts it off. */
const CLOSED_WITHIN_MS = 45_000;

/**
 * The management API without connections that exist only in its listings. RabbitMQ 3.10 can miss the end of a connection
 * that a client closes right after it has opened: on a busy machine, one of 400. Until the node restarts it lists that
 * connection, and answers each time that it has closed it, so that a deletion would wait for its end for ever.
 *
 * Left out is a connection that is listed {@link CLOSED_WITHIN_MS} after RabbitMQ has closed it. No other call shows the
 * difference sooner: a live connection is not found by its name in its first seconds either.
 */
export function withoutStaleConnections<Calls extends ConnectionListings>(
  management: Calls,
  { clock, log }: StaleConnectionsParts,
): Calls {
  /** By user and name. Every reconciliation lists all connections, and what it does not list is forgotten. */
  const seenOf = new Map<string, Map<string, SeenConnection>>();

  const forgetUnlisted = (listed: readonly ListedConnection[], isListed: (user: string) => boolean): void => {
    const names = new Set(listed.map(({ name }) => name));
    for (const [user, seen] of seenOf) {
      if (!isListed(user)) continue;
      for (const name of seen.keys()) if (!names.has(name)) seen.delete(name);
      if (seen.size === 0) seenOf.delete(user);
    }
  };
  const isLive = ({ user, name }: ListedConnection): boolean => {
    const seen = seenOf.get(user)?.get(name);
    if (seen?.closedMs === undefined || clock.monotonicMs() - seen.closedMs < CLOSED_WITHIN_MS) return true;
    if (!seen.isReported) {
      seen.isReported = true;
      log.warn(
        { code: 'stale_connection_ignored', account: user, connection: name },
        'RabbitMQ lists a connection that it has closed',
      );
    }
    return false;
  };

  return {
    ...management,
    async listUserConnections(user, options) {
      const listed = await management.listUserConnections(user, options);
      forgetUnlisted(listed, (other) => other === user);
      for (const { name } of listed) {
        const seen = seenOf.get(user) ?? new Map<string, SeenConnection>();
        if (!seen.has(name)) seen.set(name, { closedMs: undefined, isReported: false });
        seenOf.set(user, seen);
      }
      return listed.filter(isLive);
    },
    async listOpenConnections(options) {
      const listed = await management.listOpenConnections(options);
      forgetUnlisted(listed, () => true);
      return listed.filter(isLive);
    },
    async closeUserConnections(user, reason, options) {
      const before = [...(seenOf.get(user)?.values() ?? [])];
      await management.closeUserConnections(user, reason, options);
      for (const seen of before) seen.closedMs ??= clock.monotonicMs();
    },
  };
}
