import { randomBytes as systemRandomBytes } from 'node:crypto';
import { openManagement } from '../broker/management/open-management.ts';
import type { Management } from '../broker/management/management.ts';
import { connectTo } from '../client/rpc-connection.ts';
import { openRpc } from '../client/rpc.ts';
import { type Clock, type RandomBytes, systemClock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { signedResource, signRequest } from '../contract/signature.ts';
import { AgentError } from '../util/agent-errors.ts';
import { createKeyring } from '../namespaces/accounts/keyring.ts';
import { createTaskclusterAuth } from '../requests/taskcluster-auth.ts';
import type { MongoInspection } from '../store/mongodb/inspect-mongodb.ts';
import { openStoreToRead, type StoreReader } from '../store/open-store-to-read.ts';
import { brokerSteps } from './broker-steps.ts';
import type { Step } from './step.ts';
import { createEndToEndCheck } from './end-to-end-check.ts';
import { storeSteps } from './store-steps.ts';
import { type ClockReading, type ScopesAnswer, taskclusterSteps } from './taskcluster-steps.ts';
import { markerStep, topologySteps } from './topology-steps.ts';

/** How to verify an installation. */
export interface VerificationOptions {
  /** Claims a namespace of its own and goes through its life. */
  readonly endToEnd: boolean;
  /** Fills a queue in that round until it is deleted. */
  readonly overgrown: boolean;
  /** NODE_ENV is `production`. */
  readonly isProduction: boolean;
  /** With which to claim instead of as the claimant. */
  readonly firstClaimUrl?: string | undefined;
  readonly clock?: Clock;
  readonly randomBytes?: RandomBytes;
  /** Tests put faults there. */
  readonly wrapManagement?: (management: Management) => Management;
}

/** The steps, and what closes all that they opened. */
export interface Verification {
  readonly steps: readonly Step[];
  close(): Promise<void>;
}

/** How long the auth service may take for an answer, in ms. */
const PING_TIMEOUT_MS = 5_000;

/** Builds every step of `verifyCommand` for the installation that the configuration describes. */
export function createVerification(config: Config, options: VerificationOptions): Verification {
  const clock = options.clock ?? systemClock;
  const randomBytes = options.randomBytes ?? systemRandomBytes;
  const management = openManagement(config, options);
  let opening: Promise<StoreReader | MongoInspection> | undefined;
  const openStore = (): Promise<StoreReader | MongoInspection> =>
    (opening ??= openStoreToRead(config.storeUrl.reveal()));
  const connect = (url: string) => connectTo(url, { ca: config.rabbitmqCa });
  const { taskclusterClientId: clientId, taskclusterAccessToken: accessToken } = config;
  const credentials =
    clientId === null || accessToken === undefined
      ? {}
      : { credentials: { clientId, accessToken: accessToken.reveal() } };
  const round = createEndToEndCheck({
    config,
    management,
    clock,
    namespace: `${config.namespacePrefix}verify-${randomBytes(5).toString('hex')}`,
    connect,
    openRpc: (connection) => openRpc(connection, { id: config.id, audience: config.audience, ...credentials }),
    firstClaimUrl: options.firstClaimUrl ?? claimantUrl(config),
    hasCredentials: 'credentials' in credentials,
    overgrown: options.overgrown,
  });
  const keyring = createKeyring(config.agentSecret, config.previousAgentSecrets);
  let storeId: string | undefined;
  const ofStore = storeSteps({
    isProduction: options.isProduction,
    clock,
    randomBytes,
    keyring,
    async openStore() {
      const store = await openStore();
      ({ storeId } = store);
      return store;
    },
  });
  return {
    steps: [
      ...brokerSteps({
        config,
        management,
        async tryConnection(url) {
          await (await connect(url)).close();
        },
      }),
      ...ofStore,
      markerStep({ config, management }, () => storeId),
      ...topologySteps({ config, management }),
      ...taskclusterSteps({
        config,
        clock,
        askScopes: (signal) => askScopes(config, clock, signal),
        pingAuth: (signal) => pingAuth(config.taskclusterRootUrl, signal),
        otherClocks: async () => await readStoreClock(await openStore().catch(() => undefined), clock),
      }),
      ...(options.endToEnd ? round.steps : []),
    ],
    async close() {
      await round.close();
      management.close();
      const store = await opening?.catch(() => undefined);
      await store?.close();
    },
  };
}

/** As whom a client sends its first claim. */
function claimantUrl({ publicAmqpUrl, claimantPassword, id }: Config): string | undefined {
  if (claimantPassword === undefined) return undefined;
  const url = new URL(publicAmqpUrl);
  url.username = contractNames(id).claimantUser;
  url.password = encodeURIComponent(claimantPassword.reveal());
  return url.href;
}

async function pingAuth(rootUrl: string, signal: AbortSignal): Promise<{ status: number; date: string | null }> {
  try {
    const answer = await fetch(new URL('/api/auth/v1/ping', rootUrl), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PING_TIMEOUT_MS)]),
    });
    await answer.body?.cancel();
    return { status: answer.status, date: answer.headers.get('date') };
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as { cause?: { code?: unknown } };
    const why = typeof cause?.code === 'string' ? ` (${cause.code})` : '';
    throw new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service does not answer${why}: see that it runs and that TASKCLUSTER_ROOT_URL is right; without it nothing can be claimed.`,
    );
  }
}

/** Signs a request that nobody sends: the answer names the scopes of who signed it. */
async function askScopes(config: Config, clock: Clock, signal: AbortSignal): Promise<ScopesAnswer> {
  const { taskclusterClientId: clientId, taskclusterAccessToken: accessToken, audience } = config;
  const request = { method: 'ping', replyTo: 'amq.rabbitmq.reply-to', correlationId: 'verify' } as const;
  const { authorization } = signRequest({
    ...request,
    body: Buffer.from('{}'),
    audience,
    credentials: { clientId: clientId ?? '', accessToken: accessToken?.reveal() ?? '' },
    timestampSeconds: Math.floor(clock.nowMs() / 1000),
  });
  const authenticator = createTaskclusterAuth({ rootUrl: config.taskclusterRootUrl });
  try {
    const resource = signedResource(request.method, request.replyTo, request.correlationId);
    const outcome = await authenticator.authenticate(
      { method: 'post', resource, host: audience, port: 443, authorization },
      signal,
    );
    if (outcome.status === 'auth-success') return { ...outcome, status: 'known' };
    return { status: 'refused', message: outcome.status === 'auth-failed' ? outcome.message : 'no signature' };
  } finally {
    authenticator.close();
  }
}

async function readStoreClock(
  store: StoreReader | MongoInspection | undefined,
  clock: Clock,
): Promise<readonly ClockReading[]> {
  if (store === undefined || !('setup' in store)) return [];
  const askedMs = clock.nowMs();
  const { timeMs } = await store.setup();
  const readMs = clock.nowMs();
  if (timeMs === undefined) return [];
  return [{ whose: 'MongoDB', aheadMs: timeMs - (askedMs + readMs) / 2, toleranceMs: (readMs - askedMs) / 2 }];
}
