import { readDirectReplyTo } from '../broker/amqp/direct-reply-to.ts';
import { createRequesterNodes } from '../broker/management/requester-nodes.ts';
import { isMethodName } from '../contract/methods.ts';
import type { AgentContext } from '../context.ts';
import { createAnswer } from './answer.ts';
import { createAuthenticate } from './authenticate.ts';
import { type Consumer, startConsumer } from './consumer.ts';
import { createRequestLimit } from './limit-requests.ts';
import type { MethodHandlers } from './method.ts';
import { openOutbox, type Outbox } from './outbox.ts';
import { isProbe, type RequestProbe, startRequestProbe } from './request-probe.ts';
import { createRequestQueuesWatch, type RequestQueuesWatch } from './request-queues-watch.ts';
import type { RoundTripCheck } from './round-trip.ts';
import { createServeDelivery } from './serve-delivery.ts';
import { createTaskclusterAuth, type TaskclusterAuth } from './taskcluster-auth.ts';

/** The time within which a request is answered, in ms: the contract promises 10 s, and the reply has to travel. */
const REQUEST_DEADLINE_MS = 9_000;

/** RabbitMQ delivers direct replies to nodes of the own side only. */
const SMALLER_SIDE =
  'its node is on the smaller side of a split, and replies do not reach the clients of the other side';

/** Requests with an unknown method are rare. */
const UNKNOWN_METHODS_PREFETCH = 16;

/** What {@link createRequestServer} needs besides the context. */
export interface RequestServerOptions {
  readonly handlers: MethodHandlers;
  /** In place of Taskcluster's auth service. */
  readonly authenticator?: TaskclusterAuth | undefined;
  readonly observer: RequestObserver;
  /** Called when a request queue does not exist. The server retries until it does. */
  readonly onQueueGone: () => void;
}

/** Measures the server. */
export interface RequestObserver {
  /** The same authenticator, with its calls measured. */
  readonly measureAuthenticator: (authenticator: TaskclusterAuth) => TaskclusterAuth;
  /** A request was served. */
  readonly observeRequest: (method: string, outcome: string, durationMs: number) => void;
  readonly observeRefusal: (reason: 'too-many-requests') => void;
  /** A request of the agent to itself was answered. */
  readonly observeProbe: (durationMs: number) => void;
}

/** Serves requests: consumes, authenticates, answers, replies, acknowledges. */
export interface RequestServer {
  /** Whether it takes requests now. */
  readonly consuming: boolean;
  /** Whether it can send replies now. */
  readonly canReply: boolean;
  /** Whether a request that is sent now would be answered, by requests of this agent to itself. */
  checkRoundTrip(): RoundTripCheck;
  /** Whether its node is on the smaller side of a split: replies reach clients of that side only, so others go first. */
  setOnSmallerSide(isIt: boolean): void;
  /** How many requests had which outcome so far, by `<method> <outcome>`. */
  readonly counts: ReadonlyMap<string, number>;
  /** What waits in the queues of the requests; undefined while that is unknown. */
  queueCounts(): ReturnType<RequestQueuesWatch['current']>;
  /**
   * Connects and begins to consume.
   *
   * @throws Error when a first connection fails; AgentError `BrokerRefused` when the account may not read the queues.
   */
  start(): Promise<void>;
  /** Takes no more requests, and waits at most `deadlineMs` for those in progress. */
  drain(deadlineMs: number): Promise<void>;
  /** Closes everything, also after a start that failed halfway. */
  close(): Promise<void>;
}

/** A server of the requests to this agent. */
export function createRequestServer(
  context: Pick<
    AgentContext,
    'config' | 'addressChoice' | 'names' | 'store' | 'management' | 'managementReach' | 'clock' | 'sleep' | 'log'
  >,
  { handlers, authenticator, observer, onQueueGone }: RequestServerOptions,
): RequestServer {
  const { config, addressChoice, names, store, management, managementReach, clock, sleep, log } = context;
  const { agentUser, taskclusterRootUrl: rootUrl, authConcurrency: concurrency } = config;
  const auth = observer.measureAuthenticator(authenticator ?? createTaskclusterAuth({ rootUrl, concurrency }));
  const stopped = new AbortController();
  const { signal } = stopped;
  const nodes = createRequesterNodes({
    listNodes: () => management.listNodes({ signal }),
    otpRelease: async () => Number.parseInt((await management.overview({ signal })).erlangVersion, 10),
    clock,
    sleep,
    signal,
  });
  const counts = new Map<string, number>();
  let outbox: Outbox | undefined;
  let consumer: Consumer | undefined;
  let probe: RequestProbe | undefined;
  const queuesWatch = createRequestQueuesWatch({ config, names, management, clock, sleep });

  const answer = createAnswer({
    rpcExchange: names.rpcExchange,
    namespacePrefix: config.namespacePrefix,
    handlers,
    authenticate: createAuthenticate({
      authenticator: auth,
      nonces: store.nonces,
      clock,
      audience: config.audience,
      maxSkewMs: config.maxSkewSeconds * 1000,
    }),
    limitRequests: createRequestLimit(config.requestsPerMinutePerClient, clock, () =>
      observer.observeRefusal('too-many-requests'),
    ),
    locateReplyAddress: async (address) => {
      const read = readDirectReplyTo(address);
      if (read === undefined) return { kind: 'unknown' };
      // While the nodes cannot be listed, no address is trusted: publishing to a forged one costs the connection.
      return await nodes.locate(read).catch(() => ({ kind: 'unknown' }));
    },
    isRequesterGone: (node) => nodes.runs(node) === false,
    onRequestersGone: (check) => nodes.onListed(check),
  });

  let isOnSmallerSide = false;
  const deferIfNeeded = (): void => consumer?.defer(!managementReach.isReachable || isOnSmallerSide);

  // An agent without the management API serves no first claims: it leaves requests to agents that do.
  managementReach.onChange((reaches) => {
    deferIfNeeded();
    if (reaches)
      log.info({ code: 'management_reachable' }, 'the management API answers again; takes its share of requests');
    else
      log.warn(
        { code: 'management_unreachable' },
        'the management API does not answer; leaves requests to other agents',
      );
  });

  const onServed = (method: string, outcome: string, durationMs: number, isReplied: boolean): void => {
    if (isReplied) probe?.recordReplied();
    observer.observeRequest(method, outcome, durationMs);
    const key = `${method} ${outcome}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };

  return {
    counts,
    queueCounts: () => queuesWatch.current(),
    get consuming() {
      return consumer?.consuming ?? false;
    },
    get canReply() {
      return outbox?.connected ?? false;
    },
    checkRoundTrip() {
      if (isOnSmallerSide) return { state: 'down', reason: SMALLER_SIDE };
      return probe?.check() ?? { state: 'starting', reason: 'the agent has not sent itself a request yet' };
    },
    setOnSmallerSide(isIt) {
      if (isIt === isOnSmallerSide) return;
      isOnSmallerSide = isIt;
      deferIfNeeded();
    },
    async start() {
      const connection = { amqpUrl: config.rabbitmqRequestUrl, addressChoice, ca: config.rabbitmqCa, log };
      // Lists the nodes now: while they are unknown, no request can be answered.
      await nodes.listAgain();
      const replies = { ...connection, connectionName: `${config.id} replies` };
      outbox = await openOutbox({ ...replies, nodes, clock, sleep });
      const serveDelivery = createServeDelivery({
        answer,
        outbox,
        deadExchange: names.deadExchange,
        isProbe: (delivery) => isProbe(delivery, agentUser),
        clock,
        log,
        onServed,
        deadlineMs: REQUEST_DEADLINE_MS,
        hasOthers: async () => (await consumer?.hasOthers()) ?? false,
      });
      consumer = await startConsumer({
        ...connection,
        connectionName: `${config.id} requests`,
        queues: [
          { name: names.requestQueue, prefetch: config.requestPrefetch },
          { name: names.unknownMethodsQueue, prefetch: UNKNOWN_METHODS_PREFETCH },
        ],
        serve(delivery) {
          if (isMethodName(delivery.routingKey)) probe?.recordTaken();
          return serveDelivery(delivery);
        },
        onQueueGone,
      });
      deferIfNeeded();
      // Only health and metrics show its result.
      if (config.httpPort === null) return;
      probe = await startRequestProbe({
        ...connection,
        connectionName: `${config.id} probe`,
        rpcExchange: names.rpcExchange,
        agentUser,
        clock,
        isConsuming: () => consumer?.consuming ?? false,
        onAnswered: observer.observeProbe,
        onConnected: (opened) => queuesWatch.readOver(opened),
      });
      queuesWatch.start();
    },
    async drain(deadlineMs) {
      await probe?.stop();
      await consumer?.drain(deadlineMs);
    },
    async close() {
      stopped.abort();
      // All at the same time: each may have to wait for an answer that does not come.
      const parts = [queuesWatch, outbox, consumer, probe];
      const closing = [async () => auth.close(), ...parts.map((part) => async () => part?.close())];
      const closed = await Promise.allSettled(closing.map(async (close) => await close()));
      for (const result of closed) if (result.status === 'rejected') throw result.reason;
    },
  };
}
