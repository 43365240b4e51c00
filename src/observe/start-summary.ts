import type { Config } from '../config/config.ts';
import { mongoHosts, isMongoWithoutTls } from './addresses.ts';
import type { RiskyChoice } from './risky-choices.ts';

/** What a start has found, besides what was configured. */
export interface StartFindings {
  readonly version: string;
  readonly instance: string;
  /** As RabbitMQ tells it; undefined when it did not. */
  readonly broker: { readonly rabbitmqVersion: string; readonly clusterName: string } | undefined;
  readonly storeKind: string;
  readonly storeId: string;
  readonly brokerEvents: boolean;
  /** Where health and metrics are; undefined: nowhere. */
  readonly httpPort: number | undefined;
}

/** What an agent is and does, without any secret. */
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
  readonly http: string;
  /** What this agent does not do, as it is set up. */
  readonly off: readonly string[];
}

/** What a start has to tell. */
export interface StartReport {
  readonly summary: StartSummary;
  readonly risks: readonly RiskyChoice[];
}

/** Sums up a start. */
export function summarize(config: Config, found: StartFindings): StartSummary {
  const rabbitmq = new URL(config.rabbitmqUrl.reveal());
  const { rabbitmqVersion = 'of unknown version', clusterName } = found.broker ?? {};
  const cluster = clusterName === undefined ? '' : `, cluster ${clusterName}`;
  return {
    version: found.version,
    node: process.versions.node,
    instance: found.instance,
    broker: `RabbitMQ ${rabbitmqVersion} at ${rabbitmq.protocol}//${rabbitmq.host}${cluster}`,
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
    http: found.httpPort === undefined ? 'none' : `${config.httpHost}:${found.httpPort}`,
    off: offOf(config, found),
  };
}

/** The report for a person, in lines. */
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
    ['notices to owners', config.taskclusterClientId === null || config.taskclusterAccessToken === undefined],
    ['health and metrics', found.httpPort === undefined],
    ['sealed replies only', !config.requireSealedReplies],
    ['limits of accounts', Object.keys(config.accountLimits).length === 0],
    ['limit of namespaces a client', config.maxNamespacesPerClient === null],
    ['limit of requests a client', config.requestsPerMinutePerClient === null],
  ];
  return parts.flatMap(([name, isOff]) => (isOff ? [name] : []));
}

/** The folder, or the hosts: the rest of a URL may hold credentials in many places. */
function shownStore(storeUrl: string, kind: string): string {
  const folder = /^lmdb:(.+)$/s.exec(storeUrl)?.[1];
  if (folder !== undefined) return `LMDB in ${folder}`;
  return `${kind} at ${mongoHosts(storeUrl).join(', ')}${isMongoWithoutTls(storeUrl) ? '' : ' with TLS'}`;
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
