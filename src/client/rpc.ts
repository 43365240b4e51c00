import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { parseResult } from '../contract/messages.ts';
import { METHODS, type MethodName, type RequestInput, type ResultBody } from '../contract/methods.ts';
import { CONTRACT_VERSION, contractNames, DIRECT_REPLY_TO } from '../contract/names.ts';
import { JSON_CONTENT_TYPE, readReply } from '../contract/reply.ts';
import { generateReplyKey, type ReplyKeyPair } from '../contract/sealing.ts';
import { type ClientCredentials, signRequest } from '../contract/signature.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AnsweredError, BrokerRefused, NoReply } from './client-errors.ts';

/** The part of an amqplib connection that the library uses. */
export type AmqpConnection = Pick<ChannelModel, 'createConfirmChannel'>;

/** Which agent to call, and how. */
export interface RpcOptions {
  /** The agent's id; `pulse-agent` when absent. */
  readonly id?: string;
  /** The audience that the agent expects in signatures; `pulse-agent` when absent. */
  readonly audience?: string;
  /** Taskcluster credentials, for methods that need a signature. */
  readonly credentials?: ClientCredentials;
  /** How long to wait for a reply, in ms; 15 s when absent: an agent answers within 10 s. */
  readonly timeoutMs?: number;
  /** The wall clock for signatures, in ms since the epoch; the machine's when absent. */
  readonly nowMs?: () => number;
}

/** Options of one request, in place of those of all requests. Its own credentials sign it, whatever its method needs. */
export type RequestOptions = Pick<RpcOptions, 'credentials' | 'timeoutMs'>;

/** The body of a request as the caller writes it. The library adds a new reply key to each claim. */
export type RpcInput<M extends MethodName> = Omit<RequestInput<M>, 'replyKey'>;

/** Requests and replies over one channel. */
export interface Rpc {
  /**
   * Sends one request and waits for its reply. Results with credentials are sealed. A request that no agent has taken
   * before the time-out expires in the queue.
   *
   * @throws WireError the agent's error; `Unavailable` if the request queue is full or has no leader; NoReply if no reply arrives in time or
   *   the channel closes. BrokerRefused if RabbitMQ does not let this user send requests.
   */
  request<M extends MethodName>(
    method: M,
    body: RpcInput<M>,
    signal?: AbortSignal,
    options?: RequestOptions,
  ): Promise<ResultBody<M>>;
  /** Whether the channel is open. A closed channel stays closed. */
  readonly isOpen: boolean;
  /** Closes the channel; requests in progress fail. */
  close(): Promise<void>;
}

interface PendingReply {
  readonly resolve: (message: ConsumeMessage) => void;
  readonly reject: (error: Error) => void;
}

interface ComposedRequest {
  readonly method: MethodName;
  readonly content: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly correlationId: string;
  readonly replyKey: ReplyKeyPair | undefined;
}

const DEFAULT_TIMEOUT_MS = 15_000;

/** An agent answers within this time, in ms, or not at all. */
const PROMISED_MS = 10_000;
export const DEFAULT_ID = 'pulse-agent';

/**
 * Opens a channel for requests on an open connection. Replies arrive by direct reply-to, which needs no queue and no
 * permission except the one to write requests.
 *
 * @example
 * const rpc = await openRpc(await connect(url), { credentials: { clientId, accessToken } });
 * const { connectionString } = await rpc.request('claim-namespace', { namespace: 'taskcluster-builds' });
 */
export async function openRpc(connection: AmqpConnection, options: RpcOptions = {}): Promise<Rpc> {
  const id = options.id ?? DEFAULT_ID;
  let current = await openRequestChannel(connection, id);
  let replacement: Promise<RequestChannel> | undefined;
  /** Closes a channel that was replaced, after its last request. */
  const retire = async (used: RequestChannel): Promise<void> => {
    if (used !== current && used.isOpen && used.pending.size === 0) await used.channel.close().catch(() => undefined);
  };
  const replace = async (refused: RequestChannel): Promise<RequestChannel> => {
    try {
      current = await openRequestChannel(connection, id);
    } catch (cause) {
      throw new WireError('Unavailable', 'The channel closed before the request was sent.', { cause });
    } finally {
      replacement = undefined;
    }
    void retire(refused);
    return current;
  };
  const channelForNext = async (): Promise<RequestChannel> => {
    if (!current.isOpen || !current.hasRefused) return current;
    return await (replacement ??= replace(current));
  };
  return {
    async request(method, body, signal, own) {
      const isSigned = METHODS[method].signed || own?.credentials !== undefined;
      const request = compose(method, body, isSigned, { ...options, ...own });
      const timeoutMs = Math.max(1, Math.ceil(own?.timeoutMs ?? options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
      signal?.throwIfAborted();
      const used = await channelForNext();
      if (!used.isOpen) throw new WireError('Unavailable', 'The channel closed before the request was sent.');
      try {
        const message = await exchange(used, contractNames(id).rpcExchange, request, timeoutMs, signal);
        return resultOf(method, message, request.replyKey);
      } finally {
        void retire(used);
      }
    },
    get isOpen() {
      return current.isOpen;
    },
    close: () => current.channel.close(),
  };
}

/** A channel and the requests that wait for their replies on it. */
interface RequestChannel {
  readonly channel: ConfirmChannel;
  readonly pending: Map<string, PendingReply>;
  isOpen: boolean;
  /**
   * RabbitMQ has refused a request on it. The request queue is full, or had no leader, and in the second case RabbitMQ 3.10
   * refuses everything on this channel from then on, also when there is a leader again.
   */
  hasRefused: boolean;
}

async function openRequestChannel(connection: AmqpConnection, id: string): Promise<RequestChannel> {
  // With publisher confirms, a full request queue is reported immediately instead of by a time-out.
  const channel = await connection.createConfirmChannel();
  const opened: RequestChannel = { channel, pending: new Map(), isOpen: true, hasRefused: false };
  const failAll = (error: Error): void => {
    opened.isOpen = false;
    for (const { reject } of opened.pending.values()) reject(error);
    opened.pending.clear();
  };
  channel.on('error', (error: Error & { code?: number }) => failAll(channelFault(error, id)));
  channel.on('close', () => failAll(new NoReply('The channel closed before the reply arrived.')));
  // Direct reply-to requires that the same channel consumes, without acknowledgements, before it publishes.
  await channel.consume(
    DIRECT_REPLY_TO,
    (message) => {
      if (message !== null) opened.pending.get(String(message.properties.correlationId))?.resolve(message);
    },
    { noAck: true },
  );
  return opened;
}

function channelFault(error: Error & { code?: number }, id: string): Error {
  if (error.code === 404) {
    return new WireError(
      'Unavailable',
      `No agent with the id ${id} that speaks ${CONTRACT_VERSION} has run in this vhost. Check the id, and that the vhost is that of the requests.`,
      { cause: error },
    );
  }
  if (error.code === 403) {
    return new BrokerRefused(`RabbitMQ does not let this user send requests to the agent with the id ${id}.`, {
      details: { refused: 'requests' },
      cause: error,
    });
  }
  return new NoReply(`The channel closed: ${error.message}.`, { cause: error });
}

function compose<M extends MethodName>(
  method: M,
  body: RpcInput<M>,
  isSigned: boolean,
  options: RpcOptions,
): ComposedRequest {
  const correlationId = randomUUID();
  const replyKey = method === 'claim-namespace' ? generateReplyKey() : undefined;
  const content = Buffer.from(JSON.stringify(replyKey ? { ...body, replyKey: replyKey.publicKey } : body));
  const headers = isSigned ? sign(method, content, correlationId, options) : {};
  return { method, content, headers, correlationId, replyKey };
}

function sign(
  method: MethodName,
  body: Buffer,
  correlationId: string,
  { credentials, audience, nowMs }: RpcOptions,
): { authorization: string } {
  if (credentials === undefined) {
    throw new WireError(
      'AuthenticationFailed',
      `The method ${method} needs a signature, but there are no credentials.`,
    );
  }
  return signRequest({
    method,
    body,
    replyTo: DIRECT_REPLY_TO,
    correlationId,
    audience: audience ?? 'pulse-agent',
    credentials,
    ...(nowMs === undefined ? {} : { timestampSeconds: Math.floor(nowMs() / 1000) }),
  });
}

/** Publishes a request and waits for its reply. */
async function exchange(
  used: RequestChannel,
  rpcExchange: string,
  { method, content, headers, correlationId }: ComposedRequest,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ConsumeMessage> {
  const { channel, pending } = used;
  const timeout = AbortSignal.timeout(timeoutMs);
  const ended = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  let confirmed = false;
  return await new Promise<ConsumeMessage>((resolve, reject) => {
    const onEnded = (): void =>
      reject(timeout.aborted ? noReplyInTime(confirmed, timeoutMs, timeout.reason) : (ended.reason as Error));
    ended.addEventListener('abort', onEnded, { once: true });
    pending.set(correlationId, { resolve, reject });
    channel.publish(
      rpcExchange,
      method,
      content,
      { contentType: JSON_CONTENT_TYPE, replyTo: DIRECT_REPLY_TO, correlationId, expiration: timeoutMs, headers },
      (refusal: unknown) => {
        if (!refusal) {
          confirmed = true;
          return;
        }
        used.hasRefused = true;
        const message = "The agent's request queue is full, or has no leader. Nothing was done.";
        // A closing channel also refuses what it has not confirmed. Its own error, which says more, comes first.
        setImmediate(() => reject(new WireError('Unavailable', message, { cause: refusal })));
      },
    );
  }).finally(() => pending.delete(correlationId));
}

function noReplyInTime(confirmed: boolean, timeoutMs: number, cause: unknown): NoReply {
  if (!confirmed) {
    const blocked = 'RabbitMQ did not confirm the request in time: it is blocked by an alarm, or cannot be reached.';
    return new NoReply(blocked, { confirmed, cause });
  }
  const reasons = ['no agent runs', 'it dead-lettered the request'];
  if (timeoutMs < PROMISED_MS) reasons.push('it needs longer, as while its store does not answer');
  const message = `No reply arrived in ${Math.round(timeoutMs / 100) / 10} s: ${reasons.join(', or ')}.`;
  return new NoReply(message, { confirmed, cause });
}

function resultOf<M extends MethodName>(
  method: M,
  { properties, content }: ConsumeMessage,
  replyKey: ReplyKeyPair | undefined,
): ResultBody<M> {
  const reply = readReply(properties, content);
  switch (reply.kind) {
    case 'error':
      throw new AnsweredError(reply.error);
    case 'result':
      if (replyKey !== undefined) throw new WireError('InternalServerError', 'The result should be sealed and is not.');
      return parseResult(method, reply.json);
    case 'sealed':
      if (replyKey === undefined) throw new WireError('InternalServerError', 'The result is sealed and should not be.');
      return parseResult(method, replyKey.open(reply.jwe));
  }
}
