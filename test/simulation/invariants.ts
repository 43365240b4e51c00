import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import { namespaceOfAccount } from '../../src/namespaces/accounts/account-names.ts';
import { activeSlot, slotOfGeneration } from '../../src/namespaces/slots.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Credential, Credentials } from './credentials.ts';
import { EPOCH_MS } from './machine.ts';
import type { ModelBroker, ModelConnection } from './model-broker.ts';
import { checkWrite } from './record-rules.ts';
import type { Timeline } from './timeline.ts';

/** The promises to clients and owners, checked against the broker after every step. */
export interface Invariants {
  /** Records the credentials of a claim and checks that they work. */
  handedOut(result: ClaimResult, by: string): Credential;
  /** A client or an operator has made this request for the first time. */
  asked(what: 'release' | 'revocation', namespace: string): void;
  /** A user changed this account by hand: it need not work until it is repaired. */
  changedByOutsider(account: string): void;
  /** Before and after a write of an agent to the broker. */
  before(what: string, name: string): void;
  written(what: string, name: string, by: string): void;
  /** A client has opened a connection. */
  opened(connection: ModelConnection): void;
  /** After a write of an agent to the store. */
  stored(before: NamespaceRecord | undefined, after: NamespaceRecord | undefined, by: string): void;
  /** Whether the accounts of a revoked namespace have to be checked again. */
  isRevoking(): boolean;
  /** Checks that deleted namespaces have left nothing, and that everything else matches its record. */
  quiet(): void;
}

/** What {@link createInvariants} works with. */
export interface InvariantParts {
  readonly timeline: Timeline;
  readonly broker: ModelBroker;
  readonly records: ReadonlyMap<string, NamespaceRecord>;
  readonly credentials: Credentials;
  readonly namespaces: readonly string[];
  /** How long after its expiry a namespace may still exist when all work is done. */
  readonly restMs: number;
  /** Whether an account has the password and rights of its record, or of the rotation in progress. */
  readonly isWhole: (record: NamespaceRecord, account: string) => boolean;
  /** Whether it has one of these two passwords, and no tags. */
  readonly isOurs: (record: NamespaceRecord, account: string) => boolean;
  /**
   * Whether clocks differ by more than the allowed skew. Then no time is promised for credentials; checked is that nothing
   * foreign changes, that records change only as allowed, and that credentials of a former incarnation stop working.
   */
  readonly isSkewed: boolean;
  readonly violate: (sentence: string) => void;
}

const PREFIXES = { usernamePrefix: '', namespacePrefix: 'taskcluster-' };

/** Starts with an empty history. */
export function createInvariants(parts: InvariantParts): Invariants {
  const {
    timeline,
    broker,
    records,
    credentials,
    namespaces,
    isWhole,
    isOurs,
    isSkewed,
    violate: violateAlways,
  } = parts;
  /** The checks that rely on clocks. */
  const violate = isSkewed ? (): void => undefined : violateAlways;
  const changed = new Set<string>();
  const released = new Set<string>();
  /** By incarnation: generations below this one were revoked. */
  const revoked = new Map<string, number>();
  /** How many requests may still have an effect. */
  const pending = new Map<string, number>();
  let existed = false;

  const isRevoked = ({ incarnation, generation }: Credential): boolean => generation < (revoked.get(incarnation) ?? 0);
  const isPromised = (credential: Credential): boolean =>
    timeline.nowMs() <= credential.untilMs && !released.has(credential.incarnation) && !isRevoked(credential);
  /**
   * Whether the account need not work: a user changed it, or a write from before a revocation may still arrive, which the
   * final check of the revocation repairs.
   */
  const isExcused = ({ account, namespace }: Credential): boolean =>
    changed.has(account) || (records.get(namespace)?.recheckAtMs ?? null) !== null;
  /** Whether credentials must never work again. */
  const isDead = (credential: Credential): boolean => {
    const record = records.get(credential.namespace);
    if (record === undefined || record.state === 'deleted' || record.state === 'expiring') return false;
    return record.incarnation !== credential.incarnation || (isRevoked(credential) && record.recheckAtMs === null);
  };
  const textOf = ({ account, generation, untilMs }: Credential): string =>
    `the credentials of ${account}, generation ${generation}, promised until ${Math.round(untilMs)}`;

  const checkAccount = (account: string, why: string): void => {
    for (const credential of credentials.of(account)) {
      if (isPromised(credential)) {
        if (!isExcused(credential) && !broker.admits(credential)) violate(`${why}: ${textOf(credential)}, do not work`);
      } else if (isDead(credential) && !isPromised(credential) && broker.admits(credential)) {
        violate(`${why}: ${textOf(credential)}, which are dead, work again`);
      }
    }
  };
  /** One request has one effect, however often it is delivered. */
  const answerTo = (key: string, why: string): void => {
    const left = (pending.get(key) ?? 0) - 1;
    if (left < 0) violate(`${why}: the ${key} happened more often than it was asked for`);
    pending.set(key, left);
  };
  const checkDead = (namespace: string, why: string): void => {
    for (const slot of [1, 2]) checkAccount(`${namespace}-${slot}`, why);
    for (const { name, credential } of broker.connections.values()) {
      if (credential.namespace === namespace && isDead(credential)) {
        violate(`${why}: ${name} with ${textOf(credential)}, which are dead, is open`);
      }
    }
  };
  const ownerOf = (name: string): string | undefined =>
    name.includes('/') ? /^(?:queue|exchange)\/([^/]+)\//.exec(name)?.[1] : namespaceOfAccount(PREFIXES, name);

  return {
    handedOut(result, by) {
      const { record, reclaimAtMs } = result;
      if (record.state !== 'active')
        violateAlways(`${by} handed out credentials of a namespace that is ${record.state}`);
      if (reclaimAtMs > record.expiresMs) violateAlways(`${by} promised more than the namespace lives`);
      if (reclaimAtMs > record.slots[activeSlot(record) - 1]!.promisedUntilMs)
        violateAlways(`${by} promised unrecorded time`);
      const credential = credentials.add(result);
      if (credential.incarnation !== record.incarnation)
        violateAlways(`${by} handed out a password of a former incarnation`);
      checkAccount(credential.account, `right after ${by} answered a claim`);
      return credential;
    },

    asked(what, namespace) {
      const key = `${what} of ${namespace}`;
      pending.set(key, (pending.get(key) ?? 0) + 1);
    },

    changedByOutsider(account) {
      changed.add(account);
    },

    before(_what, name) {
      existed = name.includes('/') ? broker.things.has(name) : broker.users.has(name);
    },

    written(what, name, by) {
      const owner = ownerOf(name);
      const why = `after ${what} ${name} by ${by}`;
      if (owner === undefined || !namespaces.includes(owner)) {
        violateAlways(`${why}: it is none of the agents' business`);
        return;
      }
      const record = records.get(owner);
      const isAlive = record?.state === 'active' || record?.state === 'provisioning';
      if (isAlive && existed && what.startsWith('delete')) {
        if (what !== 'delete limit') violate(`${why}: it belongs to a namespace that is ${record.state}`);
      }
      if (what.startsWith('delete ') && name.includes('/')) return;
      if (changed.has(name) && record !== undefined && isWhole(record, name)) changed.delete(name);
      checkAccount(name, why);
    },

    opened({ name, credential }) {
      if (isDead(credential)) violate(`${name} is opened with ${textOf(credential)}, which are dead`);
    },

    stored(before, after, by) {
      const namespace = (after ?? before)!.namespace;
      const why = `after ${by} wrote ${namespace}`;
      for (const fault of checkWrite(before, after)) violateAlways(`${why}: ${fault}`);
      if (after === undefined) return;
      if (after.state === 'expiring' && after.endReason === 'released' && !released.has(after.incarnation)) {
        released.add(after.incarnation);
        answerTo(`release of ${namespace}`, why);
      }
      if (after.incarnation === before?.incarnation && after.generation === before.generation + 2) {
        revoked.set(after.incarnation, after.generation);
        answerTo(`revocation of ${namespace}`, why);
      }
      checkDead(namespace, why);
      if (after.state !== 'provisioning' || before?.incarnation === after.incarnation) return;
      for (const { name, incarnation } of broker.things.values()) {
        if (ownerOf(name) === namespace && incarnation !== undefined)
          violate(`${why}: a new incarnation begins, and there is ${name}`);
      }
    },

    isRevoking() {
      return [...records.values()].some(({ state, recheckAtMs }) => isLiving(state) && recheckAtMs !== null);
    },

    quiet() {
      const nowMs = EPOCH_MS + timeline.nowMs();
      for (const credential of credentials.all) {
        const isFormer = records.get(credential.namespace)?.incarnation !== credential.incarnation;
        if (isFormer && broker.admits(credential))
          violateAlways(`when all work is done ${textOf(credential)}, work again`);
      }
      for (const namespace of namespaces) {
        const record = records.get(namespace);
        const users = [1, 2].map((slot) => `${namespace}-${slot}`).filter((user) => broker.users.has(user));
        if (record !== undefined && isLiving(record.state)) {
          if (record.expiresMs < nowMs - parts.restMs) violate(`${namespace} has long expired and is not deleted`);
          if (record.recheckAtMs !== null) violate(`the revocation of ${namespace} is not finished`);
          for (const slot of [1, 2] as const) {
            const isMade = record.slots[slot - 1]!.generation > 0;
            const isActive = slotOfGeneration(record.generation) === slot;
            const account = `${namespace}-${slot}`;
            // A failed first claim leaves an account for the next claim.
            if (isActive && record.state === 'active' && !isWhole(record, account))
              violate(`${account} is not as recorded`);
            if (!isMade && record.state === 'active' && users.includes(account) && !isOurs(record, account))
              violate(`${account} was never created, and a client has its password`);
          }
          checkDead(namespace, 'when all is quiet');
        } else if (record === undefined || record.state === 'deleted') {
          const things = [...broker.things.keys()].filter((name) => ownerOf(name) === namespace);
          const open = [...broker.connections.values()].filter(({ credential }) => credential.namespace === namespace);
          const left = [...users, ...things, ...open.map(({ name }) => name)];
          if (left.length > 0) violate(`of ${namespace}, which has ended, there is left: ${left.join(', ')}`);
        } else violate(`${namespace} stays ${record.state}`);
      }
    },
  };
}

function isLiving(state: NamespaceRecord['state']): boolean {
  return state === 'active' || state === 'provisioning';
}
