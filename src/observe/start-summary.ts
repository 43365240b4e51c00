import type { Config } from '../config/config.ts';
import { formatAmqpHost, formatAmqpUrl, parseAmqpUrls } from '../contract/url.ts';
import { parseStoreUrl } from '../config/store-url.ts';
import { areBytesWatched } from '../queues/queue-limits.ts';
import type { RiskyChoice } from './risky-choices.ts';

/** The facts about a started agent that are not in its configuration. */
export interface StartFindings {
  readonly version: string;
  readonly instance: string;
  /** As RabbitMQ reports it; undefined when it did not answer. */
  readonly broker:
    | { readonly rabbitmqVersion: string; readonly clusterName: string; readonly areStatisticsOff?: boolean }
    | undefined;
  readonly storeKind: string;
  readonly storeId: string;
  /** Whether broker events arrive. */
  readonly brokerEvents: boolean;
  /** The port of health and metrics; undefined without one. */
  readonly httpPort: number | undefined;
}

/** The version, addresses and main settings of an agent, without any secret. */
export interface StartSummary {
  readonly version: string;
  readonly node: string;
  readonly instance: string;
  readonly broker: string;
  readonly vhost: string;
  readonly publicAmqp: string;
  readonly store: string;
  readonly storeId: string;
  readonly taskcluster: string;
  readonly audience: string;
  readonly namespacePrefix: string;
  readonly usernamePrefix: string;
  readonly rotationIntervalSeconds: number;
  readonly defaultLifetimeSeconds: number;
  readonly reconcileIntervalSeconds: number;
  readonly surveyIntervalSeconds: number;
  readonly warnAtMessages: number;
  readonly deleteAtMessages: number;
  readonly warnAtBytes: number | null;
  readonly deleteAtBytes: number | null;
  /** How many rules there are for queues with other thresholds. */
  readonly queueRules: number;
  readonly http: string;
  /** The features that are switched off. */
  readonly off: readonly string[];
}

/** The report about a start. */
export interface StartReport {
  readonly summary: StartSummary;
  readonly risks: readonly RiskyChoice[];
}

/** The summary of a start. */
export function summarize(config: Config, found: StartFindings): StartSummary {
  const { rabbitmqVersion = 'of unknown version', clusterName } = found.broker ?? {};
  const cluster = clusterName === undefined ? '' : `, cluster ${clusterName}`;
  return {
    version: found.version,
    node: process.versions.node,
    instance: found.instance,
    broker: `RabbitMQ ${rabbitmqVersion} at ${shownHosts(config.rabbitmqUrl.reveal())}${cluster}`,
    vhost: config.vhost,
    publicAmqp: withoutQuery(config.publicAmqpUrl),
    store: shownStore(config.storeUrl.reveal(), found.storeKind),
    storeId: found.storeId,
    taskcluster: config.taskclusterRootUrl,
    audience: config.audience,
    namespacePrefix: config.namespacePrefix,
    usernamePrefix: config.usernamePrefix,
    rotationIntervalSeconds: config.rotationIntervalSeconds,
    defaultLifetimeSeconds: config.defaultLifetimeSeconds,
    reconcileIntervalSeconds: config.reconcileIntervalSeconds,
    surveyIntervalSeconds: config.surveyIntervalSeconds,
    warnAtMessages: config.warnAtMessages,
    deleteAtMessages: config.deleteAtMessages,
    warnAtBytes: config.warnAtBytes,
    deleteAtBytes: config.deleteAtBytes,
    queueRules: config.queues.length,
    http: found.httpPort === undefined ? 'none' : `${config.httpHost}:${found.httpPort}`,
    off: offOf(config, found),
  };
}

/** The report as text, for a terminal. */
export function formatReport({ summary, risks }: StartReport): string {
  const { off, ...shown } = summary;
  const rows = Object.entries(shown).map(([name, value]) => `  ${name.padEnd(24)} ${String(value) || '(none)'}`);
  return [
    'Pulse Agent serves requests.',
    ...rows,
    `  ${'off'.padEnd(24)} ${off.join(', ') || '(nothing)'}`,
    ...risks.map(({ sentence }) => `! ${sentence}`),
  ].join('\n');
}

function offOf(config: Config, found: StartFindings): string[] {
  const parts: readonly (readonly [string, boolean])[] = [
    ['claimant', config.claimantPassword === undefined],
    ['broker events', !found.brokerEvents],
    ['statistics of RabbitMQ', found.broker?.areStatisticsOff === true],
    ['notices to owners', config.taskclusterClientId === null || config.taskclusterAccessToken === undefined],
    ['health and metrics', found.httpPort === undefined],
    ['sealed replies only', !config.requireSealedReplies],
    ['limits of accounts', Object.keys(config.accountLimits).length === 0],
    ['thresholds in bytes', !areBytesWatched(config)],
    ['limit of streams', config.streamMaxBytes === null],
    ['limit of namespaces a client', config.maxNamespacesPerClient === null],
    ['limit of requests a client', config.requestsPerMinutePerClient === null],
  ];
  return parts.flatMap(([name, isOff]) => (isOff ? [name] : []));
}

/** Only the folder, or the hosts: other parts of a URL may hold credentials. */
export function shownStore(storeUrl: string, kind: string): string {
  const store = parseStoreUrl(storeUrl);
  if (store.kind === 'lmdb') return `LMDB in ${store.folder}`;
  return `${kind} at ${store.hosts.join(', ')}${store.isTls ? ' with TLS' : ''}`;
}

/** Scheme, host and port of each URL. */
export function shownHosts(amqpUrls: string): string {
  return parseAmqpUrls(amqpUrls)
    .map((url) => `${url.protocol}://${formatAmqpHost(url)}`)
    .join(', ');
}

function withoutQuery(amqpUrls: string): string {
  return parseAmqpUrls(amqpUrls)
    .map((url) => formatAmqpUrl({ ...url, search: '' }))
    .join(', ');
}
