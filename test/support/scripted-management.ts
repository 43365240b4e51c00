import { HASHING_ALGORITHM, type Management } from '../../src/broker/management/management.ts';
import type { AccountParts } from '../../src/namespaces/accounts/provision.ts';

/** One call of the management API. */
export interface ManagementCall {
  readonly name: 'putUser' | 'putPermissions' | 'putUserLimit';
  readonly user: string;
  readonly rest: readonly unknown[];
}

/** A management API in memory, and the calls that it received. */
export interface ScriptedManagement {
  readonly management: AccountParts['management'] &
    Pick<Management, 'getUser' | 'listQueueNames' | 'listExchanges' | 'getGlobalParameter'>;
  readonly calls: ManagementCall[];
  /** The existing users with their password hashes. */
  readonly users: Map<string, string>;
  /** Their tags. */
  readonly tags: Map<string, readonly string[]>;
  /** The names of queues and exchanges. */
  readonly objects: Set<string>;
  /** The global parameters. */
  readonly parameters: Map<string, unknown>;
  /** Runs before the queues are listed. */
  onList: () => Promise<void>;
  /** The users that have permissions. */
  readonly permitted: Set<string>;
  /** Runs before each call takes effect; when it throws, the call rejects with that and has no effect. */
  onCall: (call: ManagementCall) => void | Promise<void>;
}

/** Makes a management API without users. It runs `beforeSend` right before each call, as the real one does. */
export function createScriptedManagement(): ScriptedManagement {
  const calls: ManagementCall[] = [];
  const users = new Map<string, string>();
  const tags = new Map<string, readonly string[]>();
  const objects = new Set<string>();
  const parameters = new Map<string, unknown>();
  const permitted = new Set<string>();
  const scripted: ScriptedManagement = {
    calls,
    users,
    tags,
    objects,
    parameters,
    permitted,
    onList: async () => undefined,
    onCall: () => undefined,
    management: {
      async putUser(user, { passwordHash, ...rest }, options) {
        await sent({ name: 'putUser', user, rest: [rest] }, options);
        const outcome = users.has(user) ? 'updated' : 'created';
        users.set(user, passwordHash);
        tags.set(user, rest.tags);
        return outcome;
      },
      async getUser(name) {
        const passwordHash = users.get(name);
        if (passwordHash === undefined) return undefined;
        return { name, passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: tags.get(name) ?? [] };
      },
      async listQueueNames() {
        await scripted.onList();
        return [...objects].filter((name) => name.startsWith('queue/'));
      },
      listExchanges: async () =>
        [...objects].filter((name) => name.startsWith('exchange/')).map((name) => ({ name, type: 'topic' })),
      getGlobalParameter: async (name) => parameters.get(name),
      async putPermissions(vhost, user, permissions, options) {
        await sent({ name: 'putPermissions', user, rest: [vhost, permissions] }, options);
        permitted.add(user);
        return 'created';
      },
      async putUserLimit(user, limit, value, options) {
        await sent({ name: 'putUserLimit', user, rest: [limit, value] }, options);
      },
    },
  };
  async function sent(
    call: ManagementCall,
    options: Parameters<AccountParts['management']['putUser']>[2],
  ): Promise<void> {
    await scripted.onCall(call);
    options?.signal?.throwIfAborted();
    options?.beforeSend?.();
    calls.push(call);
  }
  return scripted;
}
