import type { Management } from '../broker/management/management.ts';
import { type Clock, type RandomBytes, type Sleep, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { EventData } from '../contract/events.ts';
import { formatInstant } from '../contract/fields.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import { type ClockBounds, createClockBounds } from '../namespaces/clock-bounds.ts';
import { type Backoff, createBackoff, type Failing } from '../namespaces/backoff.ts';
import { createClaimNamespace } from '../namespaces/claim/claim.ts';
import { type DeleteOrphans, createDeleteOrphans } from '../namespaces/deletion/delete-orphaned-objects.ts';
import { createDeleteLeftovers } from '../namespaces/deletion/delete-leftovers-of-deleted.ts';
import { createDeletion, type DeleteNamespaces } from '../namespaces/deletion/delete-namespaces.ts';
import { createExpiry, type Expiry } from '../namespaces/deletion/expire.ts';
import { createKeyring, type Keyring } from '../namespaces/accounts/keyring.ts';
import { type Accounts, createAccounts } from '../namespaces/accounts/provision.ts';
import { createRelease } from '../namespaces/deletion/release.ts';
import { createRevocation, type Revoker } from '../namespaces/revocation/revoke.ts';
import { createRotation, type Rotation } from '../namespaces/rotation/rotate.ts';
import type { Intervals } from '../namespaces/timing.ts';
import type { Audit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { Store } from '../store/store.ts';

/** What the parts are made of. */
export interface NamespacePartsSettings {
  readonly config: Config;
  readonly store: Pick<Store, 'storeId' | 'namespaces' | 'nonces'>;
  readonly management: Management;
  readonly clock: Clock;
  /** This machine's when absent. */
  readonly sleep?: Sleep;
  readonly randomBytes: RandomBytes;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly log: Log;
  readonly events: Pick<AgentEvents, 'emit'>;
  readonly audit: Pick<Audit, 'record'>;
}

/** Everything that is done for namespaces, by request or on the agent's own account. */
export interface NamespaceParts {
  readonly intervals: Intervals;
  readonly keyring: Keyring;
  readonly accounts: Accounts;
  readonly backoff: Backoff;
  readonly bounds: ClockBounds;
  readonly claimNamespace: ReturnType<typeof createClaimNamespace>;
  readonly releaseNamespace: ReturnType<typeof createRelease>;
  readonly revoker: Revoker;
  readonly rotation: Rotation;
  readonly expiry: Expiry;
  readonly endNamespaces: DeleteNamespaces;
  /** Deletes what is there of namespaces that are gone. */
  readonly endAgain: DeleteNamespaces;
  readonly clearLeftovers: DeleteOrphans;
}

/** Builds the parts, and has them tell what they do as events and in the log. */
export function createNamespaceParts(settings: NamespacePartsSettings): NamespaceParts {
  const { config, store, management, clock, sleep = systemSleep, randomBytes, random, log, events, audit } = settings;
  const { usernamePrefix, vhost } = config;
  const width = config.managementConcurrency;
  const keyring = createKeyring(config.agentSecret, config.previousAgentSecrets);
  const intervals: Intervals = {
    rotationMs: config.rotationIntervalSeconds * 1000,
    defaultLifetimeMs: config.defaultLifetimeSeconds * 1000,
    maxLifetimeMs: config.maxLifetimeSeconds * 1000,
    handshakeMs: config.handshakeTimeoutSeconds * 1000,
  };
  const accounts = createAccounts({
    management,
    keyring,
    storeId: store.storeId,
    settings: {
      agentId: config.id,
      usernamePrefix,
      vhost,
      publicAmqpUrl: config.publicAmqpUrl,
      limits: config.accountLimits,
    },
    randomBytes,
  });
  const backoff = createBackoff(clock, (failing) => tellFailing(failing, events, log));
  const bounds = createClockBounds(clock, intervals, (byMs) =>
    log.error(
      { code: 'clock_stepped', byMs },
      'system clock stepped; using the more conservative of wall and monotonic time for two rotation intervals',
    ),
  );
  const common = {
    store: store.namespaces,
    accounts,
    clock,
    sleep,
    intervals,
    keyring,
    usernamePrefix,
    backoff,
    bounds,
    width,
  };
  const endNamespaces = createDeletion({
    ...common,
    management,
    vhost,
    onEnded({ record, queues, exchanges }) {
      const { namespace, endReason } = record;
      events.emit('namespace.expired', { namespace, reason: endReason ?? 'expired', queues, exchanges });
      audit.record({ action: 'deletion', namespace, reason: endReason ?? 'expired', details: { queues, exchanges } });
      log.info(
        { code: 'namespace_deleted', namespace, reason: endReason, queues, exchanges },
        'deleted a namespace and everything it owned',
      );
    },
    onClosed: (closed) => tellClosed(closed, events, audit),
  });
  const endAgain = createDeleteLeftovers({ store: store.namespaces, end: endNamespaces });
  const clearLeftovers = createDeleteOrphans({ management, usernamePrefix, endAgain });
  const revoker = createRevocation({
    ...common,
    nonces: store.nonces,
    management,
    onClosed: (closed) => tellClosed({ ...closed, reason: 'revoked' }, events, audit),
  });
  return {
    intervals,
    keyring,
    accounts,
    backoff,
    bounds,
    endNamespaces,
    endAgain,
    clearLeftovers,
    claimNamespace: createClaimNamespace({
      ...common,
      randomBytes,
      secretId: keyring.currentSecretId,
      finishRevocation: (namespace, signal) => revoker.finish(namespace, signal),
      clearLeftovers,
    }),
    releaseNamespace: createRelease({ ...common, nonces: store.nonces }),
    revoker,
    rotation: createRotation({
      ...common,
      random,
      onRotated({ record: { namespace, generation, nextRotationMs }, account }) {
        const nextRotation = formatInstant(nextRotationMs);
        events.emit('namespace.rotated', { namespace, account, generation, nextRotation });
        audit.record({
          action: 'rotation',
          namespace,
          subject: account,
          reason: 'its time had come',
          details: { generation, nextRotation },
        });
        log.debug({ code: 'namespace_rotated', namespace, account, generation, nextRotation }, 'rotated a namespace');
      },
    }),
    expiry: createExpiry({
      ...common,
      endNamespaces,
      noticeMs: config.expiryNoticeSeconds * 1000,
      onExpiring({ namespace, expiresMs, endReason }) {
        const expires = formatInstant(expiresMs);
        events.emit('namespace.expiring', { namespace, reason: endReason ?? 'expired', expires });
        log.info({ code: 'namespace_expiring', namespace, expires }, 'a namespace is about to be deleted');
      },
    }),
  };
}

/** Tells of a connection that the agent closed. */
export function tellClosed(
  closed: EventData<'connection.closed'>,
  events: Pick<AgentEvents, 'emit'>,
  audit: Pick<Audit, 'record'>,
): void {
  events.emit('connection.closed', closed);
  const { namespace, account, connection, reason } = closed;
  audit.record({ action: 'connection-closing', namespace, subject: connection, reason, details: { account } });
}

function tellFailing(
  { namespace, work, failures, error, retryAtMs }: Failing,
  events: Pick<AgentEvents, 'emit'>,
  log: Log,
): void {
  const retryAt = formatInstant(retryAtMs);
  const code = error instanceof AgentError ? error.code : 'InternalServerError';
  events.emit('namespace.failing', { namespace, work, failures, error: code, retryAt });
  log.warn(
    { code: 'namespace_work_failed', err: error, namespace, work, failures, retryAt },
    'work for a namespace failed; will retry',
  );
}
