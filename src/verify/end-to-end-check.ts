import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import type { Management } from '../broker/management/management.ts';
import { closeRpcConnection } from '../client/rpc-connection.ts';
import type { Rpc } from '../client/rpc.ts';
import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { WireError } from '../contract/wire-errors.ts';
import type { ResultBody } from '../contract/methods.ts';
import { accountName } from '../namespaces/accounts/account-names.ts';
import { failed, type StepResult, ok, type Step } from './step.ts';
import { FORBIDDEN_OPERATIONS, tryForbiddenOperations } from './forbidden-operations.ts';

/** What a full round works with. */
export interface EndToEndCheckOptions {
  readonly config: Config;
  readonly management: Pick<Management, 'getUser' | 'listQueues' | 'listExchanges'>;
  readonly clock: Clock;
  /** A namespace that nobody else uses, `<prefix>verify-<random>`. */
  readonly namespace: string;
  /** Opens an AMQP connection, whose errors somebody listens to. */
  readonly connect: (url: string) => Promise<ChannelModel>;
  /** Opens what sends requests over a connection, signed with the Taskcluster credentials of whoever verifies. */
  readonly openRpc: (connection: ChannelModel) => Promise<Rpc>;
  /** The AMQP URL for the first claim; undefined when there is none. */
  readonly firstClaimUrl: string | undefined;
  readonly hasCredentials: boolean;
  /** Fills a queue until it is deleted. */
  readonly overgrown: boolean;
}

/** What {@link createEndToEndCheck} makes: the steps, and the end of whatever they leave when one fails. */
export interface EndToEndCheck {
  readonly steps: readonly Step[];
  /** Releases the namespace if it was claimed, or may have been, and closes the connections. */
  close(): Promise<void>;
}

/** For how long the namespace is claimed, in ms: longer than the round, and soon over should nobody release it. */
const CLAIMED_FOR_MS = 15 * 60_000;

/** The longest wait for the deletion of a queue, in ms: whoever verifies has more to do. */
const LONGEST_PATIENCE_MS = 3_600_000;

type Claim = ResultBody<'claim-namespace'>;

/** How often, in ms, it is looked for what takes its time. */
const LOOK_EVERY_MS = 500;

/** How long the deletion of a released namespace may take, in ms: it has a connection to wait for and no queue of size. */
const RELEASE_PATIENCE_MS = 90_000;

/** One claim, and what an owner does with it, from the outside and with a namespace of its own. */
export function createEndToEndCheck(parts: EndToEndCheckOptions): EndToEndCheck {
  const { config, management, clock, namespace, connect, openRpc } = parts;
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    connections.push(connection);
    return connection;
  };
  let asClaimant: Rpc | undefined;
  let claim: Claim | undefined;
  let own: ChannelModel | undefined;
  let mayBeClaimed = false;
  // One survey warns and may come late; the next one deletes, unless something else has it done before.
  const patienceMs = Math.min(3 * config.surveyIntervalSeconds * 1000 + 30_000, LONGEST_PATIENCE_MS);
  const claimedForMs = CLAIMED_FOR_MS + (parts.overgrown ? patienceMs : 0);
  /** What is claimed. An installation whose namespaces are shorter-lived than that need not be told. */
  const wanted = (): { namespace: string; expires?: string } =>
    claimedForMs < config.defaultLifetimeSeconds * 1000
      ? { namespace, expires: new Date(clock.nowMs() + claimedForMs).toISOString() }
      : { namespace };
  const queue = `queue/${namespace}/verify`;
  const exchange = `exchange/${namespace}/verify`;

  const steps: Step[] = [
    {
      name: 'ping',
      about: 'a request and its reply',
      needs: [],
      async run(signal) {
        if (parts.firstClaimUrl === undefined) {
          return failed(
            'there is no claimant',
            'Set PULSE_AGENT_CLAIMANT_PASSWORD, or PULSE_AGENT_URL to an AMQP URL with which clients claim.',
          );
        }
        asClaimant = await openRpc(await open(parts.firstClaimUrl));
        const startedMs = clock.monotonicMs();
        const { agent, version } = await asClaimant.request('ping', {}, signal);
        return ok(`${agent} ${version} answers in ${Math.round(clock.monotonicMs() - startedMs)} ms`);
      },
    },
    step('claim', 'a first claim', 'ping', async (signal) => {
      if (!parts.hasCredentials) {
        return failed(
          'nobody to claim as',
          `Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN to a client with the scope pulse:namespace:${config.namespacePrefix}verify-*, or leave the round out with --no-round.`,
        );
      }
      // Its reply can be lost.
      mayBeClaimed = true;
      claim = await needed(asClaimant).request('claim-namespace', wanted(), signal);
      return ok(`${namespace} is claimed until ${claim.expires}`);
    }),
    step('connect', 'the credentials', 'claim', async () => {
      own = await open(needed(claim).connectionString);
      return ok(`they open a connection to ${new URL(needed(claim).connectionString).host}`);
    }),
    step('publish', 'publish and consume', 'connect', async (signal) => {
      await publishAndConsume(needed(own), { queue, exchange }, signal);
      return ok(`a message went through ${exchange} into ${queue}`);
    }),
    step('refused', 'what is not its own', 'connect', async () => {
      const allowed = await tryForbiddenOperations(needed(own), { id: config.id, namespace, ownQueue: queue });
      if (allowed.length === 0) return ok(`refused: ${FORBIDDEN_OPERATIONS.map(({ what }) => what).join(', ')}`);
      return failed(
        `allowed: ${allowed.join(', ')}`,
        'Look for RabbitMQ users or authorisation backends that give more than the agent did; a restarted agent puts the permissions right.',
      );
    }),
    step('re-claim', 'a claim over the connection it has', 'connect', async (signal) => {
      const before = needed(claim);
      const again = await (await openRpc(needed(own))).request('claim-namespace', wanted(), signal);
      claim = again;
      return checkReclaim(before, again);
    }),
    ...(parts.overgrown
      ? [{ ...step('overgrown', 'a queue that grows too large', 'publish', overgrown), patienceMs }]
      : []),
    step('release', 'release', 'claim', async (signal) => {
      await needed(asClaimant).request('release-namespace', { namespace }, signal);
      mayBeClaimed = false;
      return ok('it is being deleted');
    }),
    step('nothing-left', 'what is left', 'release', async (signal) => {
      const lateMs = clock.monotonicMs() + RELEASE_PATIENCE_MS;
      for (;;) {
        const left = await leftovers(signal);
        if (left.length === 0) return ok('no account, queue or exchange, and the name is free');
        if (clock.monotonicMs() > lateMs) {
          return failed(
            `still there after ${RELEASE_PATIENCE_MS / 1000} s: ${left.join(', ')}`,
            `See what the log of the agent says of ${namespace}: it tries again until all is deleted.`,
          );
        }
        await sleep(LOOK_EVERY_MS, undefined, { signal });
      }
    }),
  ];

  async function overgrown(signal: AbortSignal): Promise<StepResult> {
    const channel = await needed(own).createConfirmChannel();
    // It closes when something is refused, and the waiting below then says so.
    channel.on('error', () => undefined);
    for (let sent = 0; sent <= config.deleteAtMessages; sent += 1)
      channel.publish(exchange, 'verify', Buffer.from('x'));
    await channel.waitForConfirms();
    await channel.close();
    const startedMs = clock.monotonicMs();
    while (clock.monotonicMs() - startedMs < patienceMs) {
      const queues = await management.listQueues(config.vhost, { signal });
      if (!queues.some(({ name }) => name === queue)) {
        return ok(`deleted ${Math.round((clock.monotonicMs() - startedMs) / 1000)} s after it had too many messages`);
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
    return failed(
      `${queue} has ${config.deleteAtMessages + 1} messages and was not deleted in ${patienceMs / 1000} s, while all queues are to be looked at every ${config.surveyIntervalSeconds} s (surveyIntervalSeconds) at the latest`,
      'See in the log of the agents whether the survey of queues works, whether deleteAtMessages is the same there, and whether exemptQueues matches this one.',
    );
  }

  /** Over a connection of its own where the one that claimed is of no use any more. */
  async function release(): Promise<void> {
    try {
      await needed(asClaimant).request('release-namespace', { namespace });
    } catch {
      const another = await openRpc(await open(needed(parts.firstClaimUrl)));
      await another.request('release-namespace', { namespace });
    }
  }

  async function leftovers(signal: AbortSignal): Promise<string[]> {
    const accounts = ([1, 2] as const).map((slot) => accountName(config.usernamePrefix, namespace, slot));
    const [users, queues, exchanges] = await Promise.all([
      Promise.all(accounts.map((name) => management.getUser(name, { signal }))),
      management.listQueues(config.vhost, { signal }),
      management.listExchanges(config.vhost, { signal }),
    ]);
    const isOwn = ({ name }: { name: string }): boolean => new RegExp(`^(queue|exchange)/${namespace}/`).test(name);
    const found = [...users, ...queues.filter(isOwn), ...exchanges.filter(isOwn)].flatMap((one) => one?.name ?? []);
    const isKnown = await needed(asClaimant)
      .request('get-namespace', { namespace }, signal)
      .then(
        () => true,
        (error: unknown) => {
          if (error instanceof WireError && error.code === 'ResourceNotFound') return false;
          throw error;
        },
      );
    return isKnown ? [...found, 'its record'] : found;
  }

  return {
    steps,
    async close() {
      if (mayBeClaimed) await release().catch(() => undefined);
      await Promise.all(connections.splice(0).map(closeRpcConnection));
    },
  };
}

/** One message through an exchange and a queue of one's own. */
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

export function checkReclaim(before: Claim, after: Claim): StepResult {
  if (after.reclaimAt < before.reclaimAt || after.expires < before.expires) {
    return failed(
      'it promises less than the claim before it',
      'Compare the clocks of the agents, and see whether two installations share this broker.',
    );
  }
  // A rotation may come in between, and is no fault.
  const same = before.connectionString === after.connectionString;
  return ok(`${same ? 'the same' : 'rotated'} credentials, to be claimed again at ${after.reclaimAt}`);
}

function step(name: string, about: string, needs: string, run: Step['run']): Step {
  return { name, about, needs: [needs], run };
}

function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A step runs without what an earlier one made.');
  return value;
}
