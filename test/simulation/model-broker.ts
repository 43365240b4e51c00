import type { BrokerUser, ListedConnection, UserLimits } from '../../src/broker/management/management.ts';
import type { PermissionsByVhost } from '../../src/broker/user-permissions.ts';
import { hashMatches } from '../../src/broker/password-hash.ts';
import { Secret } from '../../src/util/secret.ts';
import type { Credential } from './credentials.ts';
import { EPOCH_MS } from './machine.ts';
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

/** The vhost with the connections, queues and exchanges of the tenants. */
export const TENANT_VHOST = '/';

/** A user of the model. */
export interface ModelUser {
  user: BrokerUser;
  /** By the name of the vhost. */
  permissions: PermissionsByVhost;
  /** The vhosts in which it has permissions by topic. */
  topicPermissions: readonly string[];
  limits: UserLimits;
}

/** An open connection, with the credentials that it logged in with. */
export interface ModelConnection extends ListedConnection {
  readonly credential: Credential;
}

/** A queue or an exchange, and the incarnation whose credentials declared it; undefined: foreign credentials. */
export interface ModelObject {
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
  readonly incarnation: string | undefined;
}

/** A RabbitMQ in memory, as far as accounts and their use go. */
export interface ModelBroker {
  readonly users: Map<string, ModelUser>;
  readonly connections: Map<string, ModelConnection>;
  readonly objects: Map<string, ModelObject>;
  /** Whether these credentials open a connection now. */
  admits(credential: Credential): boolean;
  /**
   * Logs in, and opens the connection `waitMs` later, which takes permissions and no password. A moment after that it
   * is open and listed.
   */
  connect(credential: Credential, waitMs?: number): void;
  /** Declares a queue or an exchange over a connection. It exists a moment after the permissions were checked. */
  declare(connection: ModelConnection, kind: ModelObject['kind'], name: string): void;
  deleteUser(name: string): boolean;
  closeConnections(user: string): void;
}

/** How long a connection may take from its opening until it is listed and can be closed. Measured: 5 to 12 ms. */
const UNLISTED_MS = 12;

/** How long a declaration may take from the check of the permissions until the queue exists. */
const DECLARING_MS = 30;

/** Creates an empty broker. `onOpened` receives each connection that opens. */
export function createModelBroker(
  timeline: Timeline,
  random: Random,
  onOpened: (connection: ModelConnection) => void,
): ModelBroker {
  const users = new Map<string, ModelUser>();
  const connections = new Map<string, ModelConnection>();
  const objects = new Map<string, ModelObject>();
  let connected = 0;

  const admits = ({ account, password }: Credential): boolean => {
    const found = users.get(account);
    return found?.permissions[TENANT_VHOST] !== undefined && hashMatches(found.user.passwordHash, new Secret(password));
  };
  const closeConnections = (user: string): void => {
    for (const [name, connection] of connections) if (connection.user === user) connections.delete(name);
  };

  return {
    users,
    connections,
    objects,
    admits,
    closeConnections,
    connect(credential, waitMs = 0) {
      if (!admits(credential)) return;
      connected += 1;
      const name = `connection ${connected}`;
      const connection = { name, user: credential.account, connectedAtMs: EPOCH_MS + timeline.nowMs(), credential };
      const unlistedMs = random.between(0, UNLISTED_MS);
      const open = (): void => {
        if (users.get(credential.account)?.permissions[TENANT_VHOST] === undefined) return;
        timeline.after(unlistedMs, () => {
          connections.set(name, connection);
          onOpened(connection);
        });
      };
      if (waitMs === 0) open();
      else timeline.after(waitMs, open);
    },
    declare({ user, credential }, kind, name) {
      if (users.get(user)?.permissions[TENANT_VHOST] === undefined) return;
      timeline.after(random.between(0, DECLARING_MS), () => {
        if (!objects.has(name)) objects.set(name, { kind, name, incarnation: credential.incarnation });
      });
    },
    deleteUser(name) {
      closeConnections(name);
      return users.delete(name);
    },
  };
}
