import { randomBytes as systemRandomBytes } from 'node:crypto';
import { openManagement } from '../broker/management/open-management.ts';
import type { Management } from '../broker/management/management.ts';
import { measureStatistics, type StatisticsState } from '../broker/statistics.ts';
import { requestUrl } from '../client/request-url.ts';
import { closeRpcConnection, connectTo } from '../client/amqp-connection.ts';
import { openRpc } from '../client/rpc.ts';
import { claimantUrl } from '../config/claimant-url.ts';
import type { Config } from '../config/config.ts';
import { formatHttpUrl, parseAmqpUrls, parseHttpUrls } from '../contract/url.ts';
import { createKeyring } from '../namespaces/accounts/keyring.ts';
import type { MongoInspection } from '../store/mongodb/inspect-mongodb.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { Secret } from '../util/secret.ts';
import { type Clock, type RandomBytes, systemClock, systemSleep } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';
import { contractNames } from '../contract/names.ts';
import { brokerEventsStep } from './broker-events-step.ts';
import { brokerSteps } from './broker-steps.ts';
import { createEndToEndCheck } from './end-to-end-check.ts';
import { limitSteps } from './limit-steps.ts';
import { markerStep } from './marker-step.ts';
import { messageSizeStep } from './message-size.ts';
import { askScopes, pingAuth, readContacts, readStoreClock } from './probes.ts';
import type { Step } from './step.ts';
import { pageStep } from './page-step.ts';
import { replicasStep } from './replicas-step.ts';
import { statisticsStep } from './statistics-step.ts';
import { storeSteps } from './store-steps.ts';
import { taskclusterSteps } from './taskcluster-steps.ts';
import { topologySteps } from './topology-steps.ts';

/** How to verify an installation. */
export interface VerificationOptions {
  /** Claims a namespace, uses its credentials and releases it. */
  readonly endToEnd: boolean;
  /** Fills a queue in the end-to-end check until the agent deletes it. */
  readonly overgrown: boolean;
  /** NODE_ENV is `production`. */
  readonly isProduction: boolean;
  /** The AMQP URL for the first claim, instead of the claimant's. */
  readonly firstClaimUrl?: string | undefined;
  readonly clock?: Clock;
  readonly randomBytes?: RandomBytes;
  /** For tests: injects faults. */
  readonly wrapManagement?: (management: Management) => Management;
  /** For tests: replaces a measurement, which takes seconds. */
  readonly measureStatistics?: () => Promise<StatisticsState>;
}

/** The steps of a verification. */
export interface Verification {
  readonly steps: readonly Step[];
  /** Closes what the steps opened. */
  close(): Promise<void>;
}

/** Builds the steps of `pulse-agent verify` for an installation. Nothing is opened before a step runs. */
export function createVerification(config: Config, options: VerificationOptions): Verification {
  const { isProduction, clock = systemClock, randomBytes = systemRandomBytes } = options;
  const management = openManagement(config, options);
  const managementAt = openEach(config, management);
  let opening: Promise<StoreReader | MongoInspection> | undefined;
  let storeId: string | undefined;
  const openStore = async (): Promise<StoreReader | MongoInspection> => {
    opening ??= openStoreToRead(config.storeUrl.reveal());
    const store = await opening;
    ({ storeId } = store);
    return store;
  };
  const connect = (url: string) => connectTo(url, { ca: config.rabbitmqCa });
  const { taskclusterClientId: clientId, taskclusterAccessToken: accessToken } = config;
  const credentials =
    clientId === null || accessToken === undefined
      ? {}
      : { credentials: { clientId, accessToken: accessToken.reveal() } };
  const endToEndCheck = createEndToEndCheck({
    config,
    management,
    clock,
    namespace: `${config.namespacePrefix}verify-${randomBytes(5).toString('hex')}`,
    connect,
    openRpc: (connection) => openRpc(connection, { id: config.id, audience: config.audience, ...credentials }),
    firstClaimUrl: firstClaimUrl(options.firstClaimUrl, config),
    hasCredentials: 'credentials' in credentials,
    overgrown: options.overgrown,
  });
  return {
    steps: [
      ...brokerSteps({
        config,
        management,
        managementAt,
        async tryConnection(url) {
          await closeRpcConnection(await connect(url));
        },
      }),
      ...limitSteps({ config, management }),
      ...storeSteps({
        isProduction,
        clock,
        randomBytes,
        keyring: createKeyring(config.agentSecret, config.previousAgentSecrets),
        openStore,
      }),
      markerStep({ config, management }, () => storeId),
      ...topologySteps({ config, management }),
      replicasStep({ config, management }),
      brokerEventsStep({
        connect: () => connect(requestUrl(config.rabbitmqUrl.reveal(), config.eventVhost)),
        names: contractNames(config.id),
      }),
      pageStep({ config, management }),
      statisticsStep({
        config,
        measure: (signal) =>
          options.measureStatistics?.() ?? measureStatistics(management, { clock, sleep: systemSleep }, signal),
      }),
      messageSizeStep({
        connect: () => connect(requestUrl(config.rabbitmqUrl.reveal(), config.requestVhost)),
        missingQueue: `queue/${config.id}/v1/verify`,
      }),
      ...taskclusterSteps({
        config,
        clock,
        askScopes: (signal) => askScopes(config, clock, signal),
        pingAuth: (signal) => pingAuth(config.taskclusterRootUrl, signal),
        otherClocks: async () => await readStoreClock(await openStore().catch(() => undefined), clock),
        readContacts: async (signal) => await readContacts((await openStore()).namespaces, signal),
      }),
      ...(options.endToEnd ? endToEndCheck.steps : []),
    ],
    async close() {
      await endToEndCheck.close();
      management.close();
      for (const { management: one } of managementAt) one.close();
      const store = await opening?.catch(() => undefined);
      await store?.close();
    },
  };
}

/** The management API at each of its addresses. */
function openEach(config: Config, management: Management): { shown: string; management: Management }[] {
  const urls = parseHttpUrls(config.rabbitmqManagementUrl.reveal());
  if (urls.length === 1) return [{ shown: urls[0].url, management }];
  return urls.map((url) => ({
    shown: url.url,
    management: openManagement({ ...config, rabbitmqManagementUrl: new Secret(formatHttpUrl(url)) }),
  }));
}

/** The AMQP URL for a first claim. Without a path it leads to the vhost of the requests, as for the client library. */
function firstClaimUrl(given: string | undefined, config: Config): string | undefined {
  if (given === undefined) return claimantUrl(config, 'publicAmqpUrl')?.reveal();
  try {
    return parseAmqpUrls(given)[0].vhost === undefined ? requestUrl(given, config.requestVhost) : given;
  } catch (error) {
    throw new AgentError('ConfigurationFault', `PULSE_AGENT_URL ${(error as Error).message}.`);
  }
}
