import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import { namespaceOfAccount } from '../../src/contract/names.ts';
import { storeTag } from '../../src/broker/store-tag.ts';
import { activeSlot, SLOT_NUMBERS, slotOf, slotOfGeneration } from '../../src/namespaces/slots.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Credential, Credentials } from './credentials.ts';
import { EPOCH_MS } from './machine.ts';
import type { ModelBroker, ModelConnection } from './model-broker.ts';
import { checkWrite } from './record-rules.ts';
import type { Timeline } from './timeline.ts';

/** The promises to clients and owners, checked against the broker after every step. */
export interface Invariants {
  /** Checks the result of a claim, and adds its credentials. */
  credentialsHandedOut(result: ClaimResult, by: string): Credential;
  /** A request with this nonce is answered at this address, by a result or by an error. */
  answered(nonce: string, address: string): void;
  /** A client or an operator sends this request for the first time. */
  requested(what: 'release' | 'revocation', namespace: string): void;
  /** Another user changed this account: it need not work until it is repaired. */
  accountChangedByHand(account: string): void;
  /** Around a write of an agent to the broker. */
  beforeBrokerWrite(what: string, name: string): void;
  afterBrokerWrite(what: string, name: string, by: string): void;
  /** A client opened a connection. */
  connectionOpened(connection: ModelConnection): void;
  /** After a write of an agent to the store. */
  afterStoreWrite(before: NamespaceRecord | undefined, after: NamespaceRecord | undefined, by: string): void;
  /** Whether the accounts of a revoked namespace still have to be checked. */
  hasUnfinishedRevocation(): boolean;
  /** Checks that nothing is left of deleted namespaces, and that all others are as recorded. */
  checkAtRest(): void;
}

export interface InvariantParts {
  readonly timeline: Timeline;
  readonly broker: ModelBroker;
  readonly records: ReadonlyMap<string, NamespaceRecord>;
  readonly credentials: Credentials;
  readonly namespaces: readonly string[];
  /** How long after its expiry a namespace may still exist at rest. */
  readonly restMs: number;
  /** Whether an account has the recorded password and permissions, or those of the rotation under way. */
  readonly isAsRecorded: (record: NamespaceRecord, account: string) => boolean;
  /** Whether it has one of these two passwords, and no tags. */
  readonly hasAgentPassword: (record: NamespaceRecord, account: string) => boolean;
  /**
   * Whether clocks differ by more than they may. Then there is no promise when credentials work. Still checked is that
   * nothing foreign is touched, that records change only as they may, and that credentials of a former incarnation do
   * not work at rest.
   */
  readonly isSkewed: boolean;
  readonly violate: (sentence: string) => void;
}

const PREFIXES = { usernamePrefix: '', namespacePrefix: 'taskcluster-' };
const TAG = storeTag('simulated');

/** Creates the invariants of a history that has not begun. */
export function createInvariants(parts: InvariantParts): Invariants {
  const {
    timeline,
    broker,
    records,
    credentials,
    namespaces,
    isAsRecorded,
    hasAgentPassword,
    isSkewed,
    violate: violateAlways,
  } = parts;
  /** For what depends on clocks. */
  const violate = isSkewed ? (): void => undefined : violateAlways;
  const changed = new Set<string>();
  const released = new Set<string>();
  /** By incarnation: generations below this one were revoked. */
  const revoked = new Map<string, number>();
  /** How many requests may still have an effect. */
  const pending = new Map<string, number>();
  /** By nonce. */
  const answeredAt = new Map<string, string>();
  let existed = false;

  const isRevoked = ({ incarnation, generation }: Credential): boolean => generation < (revoked.get(incarnation) ?? 0);
  const isPromised = (credential: Credential): boolean =>
    timeline.nowMs() <= credential.untilMs && !released.has(credential.incarnation) && !isRevoked(credential);
  /**
   * Whether the account need not work: it was changed by hand, or a write from before a revocation may still arrive,
   * which the recheck of the revocation repairs.
   */
  const isExcused = ({ account, namespace }: Credential): boolean =>
    changed.has(account) || (records.get(namespace)?.recheckAtMs ?? null) !== null;
  /** Whether credentials must never work again. */
  const isDead = (credential: Credential): boolean => {
    const record = records.get(credential.namespace);
    if (record === undefined || record.state === 'deleted' || record.state === 'expiring') return false;
    return record.incarnation !== credential.incarnation || (isRevoked(credential) && record.recheckAtMs === null);
  };
  const describe = ({ account, generation, untilMs }: Credential): string =>
    `the credentials of ${account}, generation ${generation}, promised until ${Math.round(untilMs)}`;

  /**
   * What was handed out before a cut, and worked then, works on both sides; what is handed out during one works where it is
   * kept.
   */
  const isAdmitted = (credential: Credential): boolean => {
    const { cutOff, cutMs } = broker;
    const isOlder = credential.firstMs < cutMs && broker.admittedAtCut(credential);
    return broker.admits(credential) && (cutOff === undefined || !isOlder || cutOff.admits(credential));
  };

  const checkAccount = (account: string, why: string): void => {
    for (const credential of credentials.of(account)) {
      if (isPromised(credential)) {
        if (!isExcused(credential) && !isAdmitted(credential)) violate(`${why}: ${describe(credential)}, do not work`);
      } else if (isDead(credential) && !isPromised(credential) && broker.admits(credential)) {
        violate(`${why}: ${describe(credential)}, which are dead, work again`);
      }
    }
  };
  /** One request has one effect, however often it is delivered. */
  const countEffect = (key: string, why: string): void => {
    const left = (pending.get(key) ?? 0) - 1;
    if (left < 0) violate(`${why}: the ${key} happened more often than it was requested`);
    pending.set(key, left);
  };
  const checkDead = (namespace: string, why: string): void => {
    for (const slot of [1, 2]) checkAccount(`${namespace}-${slot}`, why);
    for (const { name, credential } of broker.connections.values()) {
      if (credential.namespace === namespace && isDead(credential)) {
        violate(`${why}: ${name} with ${describe(credential)}, which are dead, is open`);
      }
    }
  };
  const ownerOf = (name: string): string | undefined =>
    name.includes('/') ? /^(?:queue|exchange)\/([^/]+)\//.exec(name)?.[1] : namespaceOfAccount(PREFIXES, name);

  return {
    credentialsHandedOut(result, by) {
      const { record, reclaimAtMs } = result;
      if (record.state !== 'active')
        violateAlways(`${by} handed out credentials of a namespace that is ${record.state}`);
      if (reclaimAtMs > record.expiresMs) violateAlways(`${by} promised more than the lifetime of the namespace`);
      if (reclaimAtMs > slotOf(record, activeSlot(record)).promisedUntilMs)
        violateAlways(`${by} promised unrecorded time`);
      const credential = credentials.add(result, timeline.nowMs());
      if (credential.incarnation !== record.incarnation)
        violateAlways(`${by} handed out a password of a former incarnation`);
      checkAccount(credential.account, `right after ${by} answered a claim`);
      return credential;
    },

    answered(nonce, address) {
      const first = answeredAt.get(nonce) ?? address;
      answeredAt.set(nonce, first);
      if (first !== address) violateAlways(`the ${nonce} is answered at two addresses`);
    },

    requested(what, namespace) {
      const key = `${what} of ${namespace}`;
      pending.set(key, (pending.get(key) ?? 0) + 1);
    },

    accountChangedByHand(account) {
      changed.add(account);
    },

    beforeBrokerWrite(_what, name) {
      existed = name.includes('/') ? broker.objects.has(name) : broker.users.has(name);
    },

    afterBrokerWrite(what, name, by) {
      const owner = ownerOf(name);
      const why = `after ${what} ${name} by ${by}`;
      if (owner === undefined || !namespaces.includes(owner)) {
        violateAlways(`${why}: it does not belong to the agents`);
        return;
      }
      const record = records.get(owner);
      const hasAccounts = record?.state === 'active' || record?.state === 'provisioning';
      if (hasAccounts && existed && /^delete (user|queue|exchange)$/.test(what)) {
        violate(`${why}: it belongs to a namespace that is ${record.state}`);
      }
      if (what.startsWith('delete ') && name.includes('/')) return;
      if (changed.has(name) && record !== undefined && isAsRecorded(record, name)) changed.delete(name);
      checkAccount(name, why);
    },

    connectionOpened({ name, credential }) {
      if (isDead(credential)) violate(`${name} is opened with ${describe(credential)}, which are dead`);
    },

    afterStoreWrite(before, after, by) {
      const namespace = (after ?? before)!.namespace;
      const why = `after ${by} wrote ${namespace}`;
      for (const fault of checkWrite(before, after)) violateAlways(`${why}: ${fault}`);
      if (after === undefined) return;
      if (after.state === 'expiring' && after.deletionReason === 'released' && !released.has(after.incarnation)) {
        released.add(after.incarnation);
        countEffect(`release of ${namespace}`, why);
      }
      if (after.incarnation === before?.incarnation && after.generation === before.generation + 2) {
        revoked.set(after.incarnation, after.generation);
        countEffect(`revocation of ${namespace}`, why);
      }
      checkDead(namespace, why);
      if (after.state !== 'provisioning' || before?.incarnation === after.incarnation) return;
      for (const { name, incarnation } of broker.objects.values()) {
        if (ownerOf(name) === namespace && incarnation !== undefined)
          violate(`${why}: a new incarnation begins, and ${name} exists`);
      }
    },

    hasUnfinishedRevocation() {
      return [...records.values()].some(({ state, recheckAtMs }) => isLive(state) && recheckAtMs !== null);
    },

    checkAtRest() {
      const nowMs = EPOCH_MS + timeline.nowMs();
      for (const credential of credentials.all) {
        const isFormer = records.get(credential.namespace)?.incarnation !== credential.incarnation;
        if (isFormer && broker.admits(credential)) violateAlways(`at rest ${describe(credential)}, work again`);
      }
      for (const namespace of namespaces) {
        const record = records.get(namespace);
        const users = [1, 2].map((slot) => `${namespace}-${slot}`).filter((user) => broker.users.has(user));
        if (record !== undefined && isLive(record.state)) {
          if (record.expiresMs < nowMs - parts.restMs) violate(`${namespace} expired long ago and is not deleted`);
          if (record.recheckAtMs !== null) violate(`the revocation of ${namespace} is not finished`);
          for (const slot of SLOT_NUMBERS) {
            const isProvisioned = slotOf(record, slot).generation > 0;
            const isActive = slotOfGeneration(record.generation) === slot;
            const account = `${namespace}-${slot}`;
            // An interrupted first claim leaves an account to the next claim.
            if (isActive && record.state === 'active' && !isAsRecorded(record, account))
              violate(`${account} is not as recorded`);
            if (
              !isProvisioned &&
              record.state === 'active' &&
              users.includes(account) &&
              !hasAgentPassword(record, account)
            )
              violate(`${account} is stray, and has a foreign password`);
          }
          checkDead(namespace, 'at rest');
        } else if (record === undefined || record.state === 'deleted') {
          const objects = [...broker.objects.keys()].filter((name) => ownerOf(name) === namespace);
          // A user whose tags were changed by hand is not the agent's any more, nor are its connections.
          const isOwn = (user: string): boolean => broker.users.get(user)?.user.tags.includes(TAG) ?? true;
          const open = [...broker.connections.values()].filter(
            ({ user, credential }) => credential.namespace === namespace && isOwn(user),
          );
          const own = users.filter(isOwn);
          const left = [...own, ...objects, ...open.map(({ name }) => name)];
          if (left.length > 0) violate(`${namespace} is deleted and left behind: ${left.join(', ')}`);
        } else violate(`${namespace} stays ${record.state}`);
      }
    },
  };
}

function isLive(state: NamespaceRecord['state']): boolean {
  return state === 'active' || state === 'provisioning';
}
