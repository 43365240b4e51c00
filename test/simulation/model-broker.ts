import type { BrokerUser, ClusterNode, ListedConnection, UserLimits } from '../../src/broker/management/management.ts';
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

/** The nodes of RabbitMQ that run in one cluster, as far as accounts and their use go. */
export interface ModelSide {
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

/** Of three nodes one is cut off from the others, or each from each. */
export type Cut = 'one' | 'all';

/** A RabbitMQ in memory. While it is split this is the side whose state is kept. */
export interface ModelBroker extends ModelSide {
  /** The side whose state is lost when the split ends; undefined: there is no split. */
  readonly cutOff: ModelSide | undefined;
  /** Whether these credentials opened a connection when the latest split began. */
  admittedAtCut(credential: Credential): boolean;
  /** When the latest split began; -Infinity: none did. */
  readonly cutMs: number;
  /** What the process with this name reaches. */
  sideOf(machine: string): ModelSide;
  /** The nodes as that process sees them. */
  nodesFor(machine: string): ClusterNode[];
  /** Splits it: from now on each host (by the first letter of its processes) reaches one side. */
  split(cut: Cut): void;
  /** Ends the split: the nodes that were cut off take over the state of the others. */
  heal(): void;
}

/** How long a connection may take from its opening until it is listed and can be closed. Measured: 5 to 12 ms. */
const UNLISTED_MS = 12;

/** How long a declaration may take from the check of the permissions until the queue exists. */
const DECLARING_MS = 30;

/** Creates an empty broker. `onOpened` receives each connection that opens, except on a side that is lost. */
export function createModelBroker(
  timeline: Timeline,
  random: Random,
  onOpened: (connection: ModelConnection) => void,
): ModelBroker {
  let connected = 0;
  const createSide = (from?: ModelSide): ModelSide => {
    const users = new Map<string, ModelUser>([...(from?.users ?? [])].map(([name, user]) => [name, { ...user }]));
    const connections = new Map<string, ModelConnection>();
    const objects = new Map<string, ModelObject>(from?.objects);
    const isKept = from === undefined;

    const admits = ({ account, password }: Credential): boolean => {
      const found = users.get(account);
      return (
        found?.permissions[TENANT_VHOST] !== undefined && hashMatches(found.user.passwordHash, new Secret(password))
      );
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
            if (isKept) onOpened(connection);
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
  };

  const kept = createSide();
  let cutOff: ModelSide | undefined;
  let atCut: ModelSide | undefined;
  let cutMs = -Infinity;
  let cutHosts = new Set<string>();
  let kind: Cut = 'one';
  const isCutOff = (machine: string): boolean => cutHosts.has(machine.charAt(0));
  return {
    ...kept,
    get cutOff() {
      return cutOff;
    },
    admittedAtCut: (credential) => atCut?.admits(credential) ?? false,
    get cutMs() {
      return cutMs;
    },
    sideOf: (machine) => (cutOff !== undefined && isCutOff(machine) ? cutOff : kept),
    nodesFor(machine) {
      const own = isCutOff(machine) ? 2 : 0;
      const reaches = (node: number): boolean => {
        if (cutOff === undefined || node === own) return true;
        return kind === 'one' && own === 0 && node === 1;
      };
      return [0, 1, 2].map((node) => ({ name: `node-${node}`, running: reaches(node), partitions: undefined }));
    },
    split(cut) {
      cutOff = createSide(kept);
      atCut = createSide(kept);
      cutMs = timeline.nowMs();
      cutHosts = new Set(['A', 'B', 'C'].filter(() => random.chance(0.5)));
      kind = cut;
      // These connections are to the node that is cut off.
      for (const [name, connection] of kept.connections) {
        if (!random.chance(1 / 3)) continue;
        kept.connections.delete(name);
        cutOff.connections.set(name, connection);
      }
    },
    heal() {
      cutOff = undefined;
      cutHosts = new Set();
    },
  };
}
