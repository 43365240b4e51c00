import { HASHING_ALGORITHM, type BrokerUser } from '../../broker/management/management.ts';
import { hashPassword } from '../../broker/password-hash.ts';
import { hasOnlyStoreTag, storesOfTags, storeTag } from '../../broker/store-tag.ts';
import { NAMESPACE_PATTERN } from '../../contract/names.ts';
import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { matchesAny } from '../../util/name-pattern.ts';
import { Secret } from '../../util/secret.ts';
import { accountNames } from '../accounts/account-names.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { intervalsOf, nameReusableMs } from '../timing.ts';

/**
 * Lets the next first claim take a name with its queues and exchanges, on the operator's command. It marks the accounts
 * that another store's agents created, or creates the first account, which cannot do anything until the claim.
 *
 * @returns `ours`: nothing was to be done
 * @throws WireError `InputError` or `RequestConflict` when the name cannot be adopted; AgentError
 */
export type AdoptNamespace = (namespace: string, signal: AbortSignal) => Promise<'adopted' | 'ours'>;

const RANDOM_PASSWORD_BYTES = 32;
const SALT_BYTES = 4;

/** Creates the adoption of an installation. */
export function createNamespaceAdoption({
  config,
  management,
  store,
  storeId,
  clock,
  randomBytes,
}: Pick<NamespaceContext, 'config' | 'management' | 'store' | 'storeId' | 'clock' | 'randomBytes'>): AdoptNamespace {
  const tags = [storeTag(storeId)];

  /** A tombstone makes the agents delete what they find under its name. */
  const removeTombstone = async (record: NamespaceRecord): Promise<void> => {
    const { namespace, revision } = record;
    const reusableMs = nameReusableMs(record.deletedAtMs ?? clock.nowMs(), intervalsOf(config));
    if (record.state === 'expiring' || clock.nowMs() < reusableMs) {
      throw conflict(`${namespace} is being deleted. Adopt it when that is done, in about a minute.`, true);
    }
    if (!(await store.remove(namespace, revision))) {
      throw conflict(`${namespace} changed in this moment. Run the command again.`, true);
    }
  };

  const adoptUsers = async (users: readonly BrokerUser[], signal: AbortSignal): Promise<'adopted' | 'ours'> => {
    const foreign = users.find((user) => storesOfTags(user.tags).length === 0);
    if (foreign !== undefined) {
      throw conflict(
        `The RabbitMQ user ${foreign.name} was not created by an agent. Rename or delete it before you adopt its name.`,
      );
    }
    const others = users.filter((user) => !hasOnlyStoreTag(user.tags, storeId));
    for (const { name, passwordHash, hashingAlgorithm } of others) {
      await management.putUser(name, { passwordHash, hashingAlgorithm, tags }, { signal });
    }
    return others.length > 0 ? 'adopted' : 'ours';
  };

  return async (namespace, signal) => {
    checkName(config, namespace);
    const names = accountNames(config.usernamePrefix, namespace);
    const record = await store.get(namespace);
    if (record?.state === 'active' || record?.state === 'provisioning') return 'ours';
    const users = await Promise.all(names.map((name) => management.getUser(name, { signal })));
    const existing = users.filter((user) => user !== undefined);
    if (record !== undefined) await removeTombstone(record);
    if (existing.length > 0) return await adoptUsers(existing, signal);
    const passwordHash = hashPassword(
      new Secret(randomBytes(RANDOM_PASSWORD_BYTES).toString('base64url')),
      randomBytes(SALT_BYTES),
    );
    await management.putUser(names[0], { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags }, { signal });
    return 'adopted';
  };
}

function checkName(
  { namespacePrefix, reservedNamespaces }: Pick<NamespaceContext['config'], 'namespacePrefix' | 'reservedNamespaces'>,
  namespace: string,
): void {
  if (!NAMESPACE_PATTERN.test(namespace) || !namespace.startsWith(namespacePrefix)) {
    throw new WireError('InputError', `${namespace} is no name of a namespace that begins with ${namespacePrefix}.`);
  }
  if (matchesAny(reservedNamespaces, namespace)) {
    throw new WireError('InputError', `${namespace} is one of the reservedNamespaces, which are never claimed.`);
  }
}

function conflict(message: string, retryable = false): WireError {
  return new WireError('RequestConflict', message, { retryable });
}
