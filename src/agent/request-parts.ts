import type { Management } from '../broker/management/management.ts';
import { readDirectReplyTo } from '../broker/amqp/direct-reply-to.ts';
import { createRunningNodes } from '../broker/management/running-nodes.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { formatInstant } from '../contract/fields.ts';
import type { ContractNames } from '../contract/names.ts';
import { FINISH_REVOCATION } from '../jobs/finish-revocation-job.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Log } from '../util/log.ts';
import type { ClaimResult } from '../namespaces/claim/claim.ts';
import { aftermathMs } from '../namespaces/timing.ts';
import type { Audit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import { createAnswer } from '../requests/answer.ts';
import { createAuthenticate } from '../requests/authenticate.ts';
import { type TaskclusterAuth, createTaskclusterAuth } from '../requests/taskcluster-auth.ts';
import { type Consumer, startConsumer } from '../requests/consumer.ts';
import type { Requester, MethodHandlers } from '../requests/method.ts';
import { claimNamespaceMethod } from '../requests/methods/claim-namespace-method.ts';
import { getNamespaceMethod } from '../requests/methods/get-namespace-method.ts';
import { listNamespacesMethod } from '../requests/methods/list-namespaces-method.ts';
import { pingMethod } from '../requests/methods/ping-method.ts';
import { releaseNamespaceMethod } from '../requests/methods/release-namespace-method.ts';
import { revokeNamespaceMethod } from '../requests/methods/revoke-namespace-method.ts';
import { openOutbox, type Outbox } from '../requests/outbox.ts';
import { createServeDelivery } from '../requests/serve-delivery.ts';
import type { Store } from '../store/store.ts';
import { VERSION } from '../version.ts';
import { createClaimAudit } from '../audit/claim-audit.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { NamespaceParts } from './namespace-parts.ts';
import type { Observation } from './observation.ts';

/** Everything is answered after so long, in ms: the contract promises 10 s, and the reply has to travel. */
const REQUEST_DEADLINE_MS = 9_000;

/** Unanswerable requests are rare: a few at once are enough. */
const UNKNOWN_METHODS_AT_ONCE = 16;

/** What handlers set off. */
export interface HandlerEffects {
  readonly events: Pick<AgentEvents, 'emit'>;
  readonly audit: Pick<Audit, 'record'>;
  readonly startEnd: (namespace: string) => void;
  readonly jobs: Jobs;
}

/** A handler for each method, which tells what it did as events. */
export function createHandlers(
  config: Config,
  store: Store,
  clock: Clock,
  parts: NamespaceParts,
  { events, audit, startEnd, jobs }: HandlerEffects,
): MethodHandlers {
  const auditClaim = createClaimAudit({ audit, clock });
  return {
    ping: pingMethod({ id: config.id, version: VERSION }, clock),
    'claim-namespace': claimNamespaceMethod({
      claimNamespace: parts.claimNamespace,
      requireSealedReplies: config.requireSealedReplies,
      onClaimed(result, asked) {
        tellClaim(events, result, asked.userId);
        auditClaim(result, asked);
      },
    }),
    'get-namespace': getNamespaceMethod(store.namespaces),
    'list-namespaces': listNamespacesMethod(store.namespaces),
    'release-namespace': releaseNamespaceMethod({
      releaseNamespace: parts.releaseNamespace,
      startEnd: ({ namespace }) => startEnd(namespace),
      onReleased(namespace, asked) {
        const { clientId, userId } = asked;
        events.emit('namespace.released', { namespace, clientId, ...(userId === undefined ? {} : { userId }) });
        audit.record({ ...byClient(asked), action: 'release', namespace, reason: 'its owner ends it' });
      },
    }),
    'revoke-namespace': revokeNamespaceMethod(parts.revoker, ({ namespace, refusedUntilMs, ...asked }) => {
      const { clientId, userId } = asked;
      const revokedUntil = refusedUntilMs === undefined ? undefined : formatInstant(refusedUntilMs);
      jobs.trigger(FINISH_REVOCATION, namespace, aftermathMs(parts.intervals));
      events.emit('namespace.revoked', {
        namespace,
        clientId,
        ...(userId === undefined ? {} : { userId }),
        ...(revokedUntil === undefined ? {} : { revokedUntil }),
      });
      audit.record({
        ...byClient(asked),
        action: 'revocation',
        namespace,
        reason: 'an operator asked for it',
        details: { revokedUntil: revokedUntil ?? null },
      });
    }),
  };
}

/** What {@link startRequests} works with. */
export interface RequestPartsSettings {
  readonly config: Config;
  readonly names: ContractNames;
  readonly store: Pick<Store, 'nonces'>;
  readonly management: Management;
  readonly clock: Clock;
  readonly log: Log;
  readonly handlers: MethodHandlers;
  readonly observation: Pick<Observation, 'authenticator' | 'onServed'>;
  /** Stands in for Taskcluster's auth service. */
  readonly authenticator?: TaskclusterAuth;
  /** Called when the queue of the requests is not there. */
  readonly onQueueGone: () => void;
  /** Takes what is to be closed when the agent ends, or when this does not get to its end. */
  readonly closers: Pick<Lifecycle, 'pushTogether'>;
}

/** The serving of requests. */
export interface Requests {
  readonly consumer: Consumer;
  readonly outbox: Pick<Outbox, 'connected'>;
  /** What became of the requests so far, by `<method> <outcome>`. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Builds what serves requests, and begins. */
export async function startRequests(settings: RequestPartsSettings): Promise<Requests> {
  const { config, names, store, management, clock, log, handlers, closers, observation } = settings;
  const authenticator = observation.authenticator(
    settings.authenticator ??
      createTaskclusterAuth({ rootUrl: config.taskclusterRootUrl, callsAtOnce: config.authConcurrency }),
  );
  closers.pushTogether(() => authenticator.close());
  const nodes = createRunningNodes({ listNodes: () => management.runningNodes(), clock });
  // Lists them now: while they are unknown no request can be answered.
  await nodes.couldHost({ nodeHash: 0, id: 0, serial: 0 });
  const outbox = await openOutbox({
    url: config.rabbitmqUrl,
    ca: config.rabbitmqCa,
    connectionName: `${config.id} replies`,
    log,
  });
  closers.pushTogether(() => outbox.close());
  const counts = new Map<string, number>();
  const serve = createServeDelivery({
    answer: createAnswer({
      rpcExchange: names.rpcExchange,
      namespacePrefix: config.namespacePrefix,
      handlers,
      authenticate: createAuthenticate({
        authenticator,
        nonces: store.nonces,
        clock,
        audience: config.audience,
        maxSkewMs: config.maxSkewSeconds * 1000,
      }),
      isLiveReplyAddress: async (address) => {
        const read = readDirectReplyTo(address);
        if (read === undefined) return false;
        // An address that cannot be checked now is not worth the connection that a forged one would cost.
        return await nodes.couldHost(read).catch(() => false);
      },
    }),
    outbox,
    deadExchange: names.deadExchange,
    clock,
    log,
    counters: {
      count: (method, outcome, durationMs) => {
        const counted = method in handlers ? method : 'unknown';
        observation.onServed(counted, outcome, durationMs);
        const key = `${counted} ${outcome}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      },
    },
    deadlineMs: REQUEST_DEADLINE_MS,
  });
  const consumer = await startConsumer({
    url: config.rabbitmqUrl,
    ca: config.rabbitmqCa,
    connectionName: `${config.id} requests`,
    queues: [
      { name: names.requestQueue, prefetch: config.requestPrefetch },
      { name: names.unknownMethodsQueue, prefetch: UNKNOWN_METHODS_AT_ONCE },
    ],
    serve,
    log,
    onQueueGone: settings.onQueueGone,
  });
  closers.pushTogether(() => consumer.close());
  return { consumer, outbox, counts };
}

function byClient({ clientId, userId, correlationId }: Requester) {
  return { actor: 'client', actorName: clientId, userId: userId ?? null, requestId: correlationId } as const;
}

function tellClaim(
  events: Pick<AgentEvents, 'emit'>,
  { record, reclaimAtMs, isNew, isNewHolder }: ClaimResult,
  userId?: string,
): void {
  if (!isNewHolder) return;
  events.emit('namespace.claimed', {
    namespace: record.namespace,
    clientId: record.claimedBy,
    ...(userId === undefined ? {} : { userId }),
    first: isNew,
    created: formatInstant(record.createdMs),
    expires: formatInstant(record.expiresMs),
    reclaimAt: formatInstant(reclaimAtMs),
  });
}
