import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { UNGUARDED } from '../../src/broker/cluster.ts';
import { hashMatches } from '../../src/broker/password-hash.ts';
import { createClockBounds } from '../../src/namespaces/clock-bounds.ts';
import type { Reporters } from '../../src/reporters.ts';
import { type ClaimResult, createClaim } from '../../src/namespaces/claim/claim.ts';
import { createFirstClaimLimit } from '../../src/namespaces/claim/limit-first-claims.ts';
import type { SignedClaim } from '../../src/namespaces/claim/decide-claim.ts';
import { createKeyring } from '../../src/namespaces/accounts/keyring.ts';
import { activeSlot, slotOf } from '../../src/namespaces/slots.ts';
import { createAccounts } from '../../src/namespaces/accounts/provision.ts';
import { Secret } from '../../src/util/secret.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { NamespaceStore } from '../../src/store/store.ts';
import type { Config } from '../../src/config/config.ts';
import { readNamePattern } from '../../src/util/name-pattern.ts';
import { partial } from './partial.ts';
import { createManualClock } from './manual-clock.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { STORED_NONCE } from './nonces.ts';
import { createScriptedManagement } from './scripted-management.ts';

/** In ms. */
export const HOUR_MS = 3_600_000;
export const intervals = {
  rotationMs: HOUR_MS,
  defaultLifetimeMs: 4 * HOUR_MS,
  maxLifetimeMs: 744 * HOUR_MS,
  handshakeMs: 10_000,
};
export const never = new AbortController().signal;
export const keyring = createKeyring(new Secret('s'.repeat(32)), []);
export const config = {
  id: 'pulse-agent',
  usernamePrefix: '',
  vhost: '/',
  requestVhost: 'pulse-agent',
  publicAmqpUrl: 'amqps://pulse.example/%2F',
  accountLimits: {},
  reservedNamespaces: [readNamePattern('taskcluster-reserved')],
};

/** The input of a claim of `taskcluster-x`, with what a test sets. */
export function claimInput(given: Partial<SignedClaim> = {}): SignedClaim {
  return {
    namespace: 'taskcluster-x',
    expiresMs: undefined,
    contact: undefined,
    claimedBy: 'project/x',
    nonce: STORED_NONCE,
    ...given,
  };
}

/** The claims of an agent, the store and the broker behind them, and the order of the calls. */
export function openClaimRoom(
  store: MemoryStore = createMemoryStore(),
  scripted = createScriptedManagement(),
  maxNamespacesPerClient: number | null = null,
) {
  const refused: string[] = [];
  const clock = createManualClock();
  const steps: string[] = [];
  /** Runs around each write of the store. It may throw before or after `write`. */
  const hooks = { aroundWrite: (_step: string, write: () => Promise<boolean>) => write() };
  const traced = partial<NamespaceStore>({
    get: (namespace) => store.namespaces.get(namespace),
    countHeldBy: (clientId) => store.namespaces.countHeldBy(clientId),
    insert: (record, nonce) =>
      hooks.aroundWrite('insert', () => {
        steps.push(`insert ${record.state}`);
        return store.namespaces.insert(record, nonce);
      }),
    replace: (record, revision, nonce) =>
      hooks.aroundWrite('replace', () => {
        steps.push(`replace ${record.state}`);
        return store.namespaces.replace(record, revision, nonce);
      }),
  });
  scripted.onCall = ({ name, user }) => void steps.push(`${name} ${user}`);
  const accounts = createAccounts({
    management: scripted.management,
    keyring,
    storeId: store.storeId,
    config,
    randomBytes,
  });
  /** The parts that a claim calls. */
  const parts: {
    finishRevocation(namespace: string): Promise<void>;
    deleteLeftovers(record: NamespaceRecord): Promise<boolean>;
    recordMissing(secretId: string): Promise<number | undefined>;
    checkFirstClaim(): Promise<void>;
  } = {
    finishRevocation: async () => assert.fail('There is no revocation to be finished.'),
    deleteLeftovers: async () => false,
    recordMissing: async () => undefined,
    checkFirstClaim: async () => undefined,
  };
  const bounds = createClockBounds(clock, intervals, () => undefined);
  const claimNamespace = createClaim(
    {
      config: partial<Config>(config),
      store: traced,
      accounts,
      cluster: UNGUARDED,
      clock,
      bounds,
      randomBytes,
      intervals,
      keyring,
    },
    {
      revoker: { finish: (namespace) => parts.finishRevocation(namespace) },
      secrets: { recordMissing: (secretId) => parts.recordMissing(secretId) },
      leftovers: { deleteIfAccountExists: (record) => parts.deleteLeftovers(record) },
      async checkFirstClaim() {
        steps.push('check');
        await parts.checkFirstClaim();
      },
      limitFirstClaims: createFirstClaimLimit({
        config: partial<Config>({ maxNamespacesPerClient }),
        store: traced,
        reporters: partial<Reporters>({ claimOverLimit: () => void refused.push('too-many-namespaces') }),
      }),
    },
  );
  return { store, clock, scripted, steps, refused, hooks, parts, claimNamespace };
}

export type ClaimRoom = ReturnType<typeof openClaimRoom>;

/** Fails unless the broker accepts the credentials of a result. */
export function assertCredentialsAccepted(
  { scripted, store }: Pick<ClaimRoom, 'scripted' | 'store'>,
  result: ClaimResult,
): void {
  const { username, password } = new URL(result.connectionString);
  assert.ok(hashMatches(scripted.users.get(username) ?? '', new Secret(decodeURIComponent(password))));
  assert.ok(scripted.permitted.has(username));
  const stored = store.peek('taskcluster-x');
  assert.equal(stored?.state, 'active');
  assert.ok(slotOf(stored, activeSlot(stored)).promisedUntilMs >= result.reclaimAtMs);
}
