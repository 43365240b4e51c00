import { formatAmqpHost, parseAmqpUrl } from '../contract/url.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import type { Management } from '../broker/management/management.ts';
import { closeRpcConnection } from '../client/amqp-connection.ts';
import { watchAlarm } from '../client/broker-alarm.ts';
import type { Rpc } from '../client/rpc.ts';
import type { Config } from '../config/config.ts';
import type { Claim } from '../contract/methods.ts';
import { WireError } from '../contract/wire-errors.ts';
import { accountNames } from '../namespaces/accounts/account-names.ts';
import { credentialSettlementMs, intervalsOf } from '../namespaces/timing.ts';
import { requestUrl } from '../client/request-url.ts';
import { limitsOfQueue } from '../queues/queue-limits.ts';
import type { Clock } from '../util/clock.ts';
import { checkEach } from './check-each.ts';
import { FORBIDDEN_OPERATIONS, tryForbiddenOperations } from './forbidden-operations.ts';
import { failed, ok, type Step, type StepResult, warning } from './step.ts';

/** What an end-to-end check works with. */
export interface EndToEndCheckOptions {
  readonly config: Config;
  readonly management: Pick<Management, 'getUser' | 'listQueues' | 'listExchanges'>;
  readonly clock: Clock;
  /** A namespace of its own, `<prefix>verify-<random>`. */
  readonly namespace: string;
  /** Opens an AMQP connection and listens to its errors. */
  readonly connect: (url: string) => Promise<ChannelModel>;
  /** Sends requests over a connection, signed with the Taskcluster credentials of the operator who verifies. */
  readonly openRpc: (connection: ChannelModel) => Promise<Rpc>;
  /** The AMQP URL for the first claim; undefined without a claimant. */
  readonly firstClaimUrl: string | undefined;
  readonly hasCredentials: boolean;
  /** Fills a queue until the agent deletes it. */
  readonly overgrown: boolean;
}

/** The steps of an end-to-end check. */
export interface EndToEndCheck {
  readonly steps: readonly Step[];
  /** Releases the namespace if it may still be claimed, and closes the connections. */
  close(): Promise<void>;
}

/** How long the namespace is claimed for, in ms: longer than the check takes, and short in case it is never released. */
const CLAIMED_FOR_MS = 15 * 60_000;

/** The longest wait for the deletion of a queue, in ms. */
const LONGEST_PATIENCE_MS = 3_600_000;

/** The interval at which the deletion of a queue or of the namespace is checked, in ms. */
const POLL_MS = 500;

/** The longest wait for the deletion of the released namespace, in ms: it has one connection and nearly no messages. */
const RELEASE_PATIENCE_MS = 90_000;

/** Claims a namespace of its own from outside, uses the credentials as a client does, and releases it. */
export function createEndToEndCheck(options: EndToEndCheckOptions): EndToEndCheck {
  const { config, management, clock, namespace } = options;
  const queue = `queue/${namespace}/verify`;
  const exchange = `exchange/${namespace}/verify`;
  const isOwn = ({ name }: { readonly name: string }): boolean =>
    name.startsWith(`queue/${namespace}/`) || name.startsWith(`exchange/${namespace}/`);
  // The first survey may be late and only warns; the next one deletes, unless an inspection was earlier.
  const patienceMs = Math.min(3 * config.surveyIntervalSeconds * 1000 + 30_000, LONGEST_PATIENCE_MS);
  const connections: ChannelModel[] = [];
  let claimantRpc: Rpc | undefined;
  let claim: Claim | undefined;
  let claimedConnection: ChannelModel | undefined;
  /** In the vhost of the requests, with the credentials of the namespace. */
  let requestConnection: ChannelModel | undefined;
  let mayBeClaimed = false;

  const steps: Step[] = [
    { name: 'ping', about: 'request and reply', needs: [], run: ping },
    { name: 'claim', about: 'first claim', needs: ['ping'], run: claimFirst },
    { name: 'connect', about: 'connection with the credentials', needs: ['claim'], run: connectAsClaimed },
    { name: 'publish', about: 'publish and consume', needs: ['connect'], run: publish },
    { name: 'refused', about: 'access outside of the namespace', needs: ['connect'], run: checkRefusals },
    {
      name: 're-claim',
      about: 'another claim, with the credentials of the namespace',
      needs: ['connect'],
      run: reclaim,
    },
    ...(options.overgrown
      ? [{ name: 'overgrown', about: 'deletion of an overgrown queue', needs: ['publish'], run: overgrow, patienceMs }]
      : []),
    { name: 'release', about: 'release', needs: ['claim'], run: release },
    { name: 'nothing-left', about: 'deletion of the namespace', needs: ['release'], run: waitForDeletion },
    {
      name: 'deleted-credentials',
      about: 'credentials of a deleted namespace',
      needs: ['connect', 'nothing-left'],
      essential: false,
      run: waitForRefusal,
    },
  ];

  async function ping(signal: AbortSignal): Promise<StepResult> {
    if (options.firstClaimUrl === undefined) {
      return failed(
        'there is no claimant',
        'Set PULSE_AGENT_CLAIMANT_PASSWORD, or set PULSE_AGENT_URL to the AMQP URL that clients claim with.',
      );
    }
    claimantRpc = await openRpcOver(await connect(options.firstClaimUrl));
    const startedMs = clock.monotonicMs();
    const { agent, version } = await claimantRpc.request('ping', {}, signal);
    return ok(`${agent} ${version} replied in ${Math.round(clock.monotonicMs() - startedMs)} ms`);
  }

  async function claimFirst(signal: AbortSignal): Promise<StepResult> {
    if (!options.hasCredentials) {
      return failed(
        'there are no Taskcluster credentials',
        `Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN to a client with the scope pulse:namespace:${config.namespacePrefix}verify-*, or skip the end-to-end check with --no-end-to-end.`,
      );
    }
    // Before the request: its reply may be lost.
    mayBeClaimed = true;
    claim = await assertDefined(claimantRpc).request('claim-namespace', claimBody(), signal);
    return ok(`${namespace} is claimed until ${claim.expires}`);
  }

  async function connectAsClaimed(): Promise<StepResult> {
    const { connectionString, connectionStrings = [connectionString] } = assertDefined(claim);
    claimedConnection = await connect(connectionStrings.join());
    requestConnection = await connect(requestUrl(connectionStrings.join(), config.requestVhost));
    return await checkEach(
      connectionStrings.map((url) => ({
        shown: formatAmqpHost(parseAmqpUrl(url)),
        async check() {
          if (connectionStrings.length > 1) await closeRpcConnection(await options.connect(url));
          return ok(`the credentials open a connection to ${formatAmqpHost(parseAmqpUrl(url))}`);
        },
      })),
    );
  }

  async function publish(signal: AbortSignal): Promise<StepResult> {
    const connection = assertDefined(claimedConnection);
    await watchAlarm(connection).race(publishAndConsume(connection, { queue, exchange }, signal));
    return ok(`a message was routed through ${exchange} into ${queue}`);
  }

  async function checkRefusals(): Promise<StepResult> {
    const target = { id: config.id, namespace, ownQueue: queue };
    const tenants = assertDefined(claimedConnection);
    const attempts = tryForbiddenOperations({ tenants, requests: assertDefined(requestConnection) }, target);
    const allowed = await watchAlarm(tenants).race(attempts);
    if (allowed.length === 0) return ok(`refused: ${FORBIDDEN_OPERATIONS.map(({ what }) => what).join(', ')}`);
    return failed(
      `allowed: ${allowed.join(', ')}`,
      'Check RabbitMQ for users or authorisation backends that grant more than the agent does. An agent repairs the permissions of accounts when it starts.',
    );
  }

  async function reclaim(signal: AbortSignal): Promise<StepResult> {
    const rpc = await openRpcOver(assertDefined(requestConnection));
    const before = assertDefined(claim);
    claim = await rpc.request('claim-namespace', claimBody(), signal);
    return checkReclaim(before, claim);
  }

  async function overgrow(signal: AbortSignal): Promise<StepResult> {
    const connection = assertDefined(claimedConnection);
    const { deleteAtMessages, rule, onOvergrown } = limitsOfQueue(config, queue);
    if (onOvergrown !== 'delete') return warning('not tried', `By the rule ${rule}, agents ${onOvergrown} the queue.`);
    await watchAlarm(connection).race(publishMany(connection, exchange, deleteAtMessages + 1));
    const startedMs = clock.monotonicMs();
    while (clock.monotonicMs() - startedMs < patienceMs) {
      const queues = await management.listQueues(config.vhost, { signal });
      if (!queues.some(({ name }) => name === queue)) {
        return ok(`deleted ${Math.round((clock.monotonicMs() - startedMs) / 1000)} s after it exceeded the threshold`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
    return failed(
      `${queue} has ${deleteAtMessages + 1} messages and was not deleted in ${patienceMs / 1000} s, although surveys run at least every ${config.surveyIntervalSeconds} s (surveyIntervalSeconds)`,
      `Check the log of the agents for failing surveys, that deleteAtMessages (of the rule ${rule}) is the same there, and that exemptQueues does not match this queue.`,
    );
  }

  async function release(signal: AbortSignal): Promise<StepResult> {
    await assertDefined(claimantRpc).request('release-namespace', { namespace }, signal);
    mayBeClaimed = false;
    return ok('the namespace is being deleted');
  }

  async function waitForDeletion(signal: AbortSignal): Promise<StepResult> {
    const deadlineMs = clock.monotonicMs() + RELEASE_PATIENCE_MS;
    for (;;) {
      const leftovers = await listLeftovers(signal);
      if (leftovers.length === 0) return ok('no account, queue or exchange is left, and the name is free');
      if (clock.monotonicMs() > deadlineMs) {
        return failed(
          `not deleted after ${RELEASE_PATIENCE_MS / 1000} s: ${leftovers.join(', ')}`,
          `Check the log of the agent for ${namespace}; the agent retries until everything is deleted.`,
        );
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** An authentication cache in RabbitMQ accepts deleted credentials until it forgets them. */
  async function waitForRefusal(signal: AbortSignal): Promise<StepResult> {
    const { connectionString, connectionStrings = [connectionString] } = assertDefined(claim);
    const settlementMs = credentialSettlementMs(intervalsOf(config));
    const startedMs = clock.monotonicMs();
    for (let attempt = 1; ; attempt += 1) {
      const elapsedMs = clock.monotonicMs() - startedMs;
      if (!(await opens(connectionStrings.join()))) return checkRefusal(attempt === 1 ? 0 : elapsedMs);
      if (elapsedMs > settlementMs) return failedRefusal(elapsedMs);
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** The steps before have shown that RabbitMQ can be reached: what opens no connection is refused. */
  async function opens(url: string): Promise<boolean> {
    const connection = await options.connect(url).catch(() => undefined);
    if (connection === undefined) return false;
    await closeRpcConnection(connection);
    return true;
  }

  async function connect(url: string): Promise<ChannelModel> {
    const connection = await options.connect(url);
    connections.push(connection);
    return connection;
  }

  /** Its requests fail as soon as an alarm blocks the connection, instead of after their time-out. */
  async function openRpcOver(connection: ChannelModel): Promise<Rpc> {
    const rpc = await options.openRpc(connection);
    const alarm = watchAlarm(connection);
    return { ...rpc, request: (...request) => alarm.race(rpc.request(...request)) };
  }

  /** Without `expires` where namespaces expire early enough by default. */
  function claimBody(): { namespace: string; expires?: string } {
    const claimedForMs = CLAIMED_FOR_MS + (options.overgrown ? patienceMs : 0);
    return claimedForMs < config.defaultLifetimeSeconds * 1000
      ? { namespace, expires: new Date(clock.nowMs() + claimedForMs).toISOString() }
      : { namespace };
  }

  async function listLeftovers(signal: AbortSignal): Promise<string[]> {
    const accounts = accountNames(config.usernamePrefix, namespace);
    const [users, queues, exchanges] = await Promise.all([
      Promise.all(accounts.map((name) => management.getUser(name, { signal }))),
      management.listQueues(config.vhost, { signal }),
      management.listExchanges(config.vhost, { signal }),
    ]);
    const names = [...users, ...queues.filter(isOwn), ...exchanges.filter(isOwn)].flatMap((one) => one?.name ?? []);
    return (await isKnown(signal)) ? [...names, 'its record'] : names;
  }

  async function isKnown(signal: AbortSignal): Promise<boolean> {
    try {
      await assertDefined(claimantRpc).request('get-namespace', { namespace }, signal);
      return true;
    } catch (error) {
      if (error instanceof WireError && error.code === 'ResourceNotFound') return false;
      throw error;
    }
  }

  /** Over a new connection if the first one is lost. */
  async function releaseOnClose(): Promise<void> {
    try {
      await assertDefined(claimantRpc).request('release-namespace', { namespace });
    } catch {
      const rpc = await openRpcOver(await connect(assertDefined(options.firstClaimUrl)));
      await rpc.request('release-namespace', { namespace });
    }
  }

  return {
    steps,
    async close() {
      if (mayBeClaimed) await releaseOnClose().catch(() => undefined);
      await Promise.all(connections.splice(0).map(closeRpcConnection));
    },
  };
}

/** Sends one message through an exchange and a queue of the namespace. */
async function publishAndConsume(
  connection: ChannelModel,
  { queue, exchange }: { readonly queue: string; readonly exchange: string },
  signal: AbortSignal,
): Promise<void> {
  const channel = await connection.createConfirmChannel();
  try {
    await channel.assertExchange(exchange, 'topic', { durable: true });
    await channel.assertQueue(queue, { durable: true });
    await channel.bindQueue(queue, exchange, '#');
    const arrived = new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      channel.on('error', reject);
      channel.consume(queue, (message) => message !== null && resolve(), { noAck: true }).catch(reject);
    });
    channel.publish(exchange, 'verify', Buffer.from('verify'));
    await arrived;
  } finally {
    await channel.close().catch(() => undefined);
  }
}

async function publishMany(connection: ChannelModel, exchange: string, count: number): Promise<void> {
  const channel = await connection.createConfirmChannel();
  // A refusal closes the channel; waitForConfirms then rejects.
  channel.on('error', () => undefined);
  for (let sent = 0; sent < count; sent += 1) channel.publish(exchange, 'verify', Buffer.from('x'));
  await channel.waitForConfirms();
  await channel.close();
}

export function checkReclaim(before: Claim, after: Claim): StepResult {
  if (after.reclaimAt < before.reclaimAt || after.expires < before.expires) {
    return failed(
      'reclaimAt or expires is earlier than in the claim before',
      'Compare the clocks of the agents, and check whether another installation uses this broker with the same prefixes.',
    );
  }
  // A rotation may have happened in between.
  const same = before.connectionString === after.connectionString;
  return ok(`${same ? 'the same' : 'rotated'} credentials, to be claimed again at ${after.reclaimAt}`);
}

const CACHE_REMEDY =
  'RabbitMQ caches logins (rabbitmq_auth_backend_cache): passwords that were changed or revoked work as long. Set handshakeTimeoutSeconds to at least the sum of auth_cache.cache_ttl and handshake_timeout, so that connections opened meanwhile are closed.';

/** @param workedMs for how long deleted credentials opened connections */
export function checkRefusal(workedMs: number): StepResult {
  if (workedMs === 0) return ok('RabbitMQ refuses them');
  return warning(`they opened connections for ${Math.ceil(workedMs / 1000)} s`, CACHE_REMEDY);
}

function failedRefusal(elapsedMs: number): StepResult {
  return failed(`they still open connections after ${Math.round(elapsedMs / 1000)} s`, CACHE_REMEDY);
}

function assertDefined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A step ran without the result of an earlier one.');
  return value;
}
