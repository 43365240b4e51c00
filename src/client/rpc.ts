import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { WireError } from '../contract/wire-errors.ts';
import { parseResult } from '../contract/messages.ts';
import { METHODS, type MethodName, type RequestInput, type ResultBody } from '../contract/methods.ts';
import { CONTRACT_VERSION, contractNames, DIRECT_REPLY_TO } from '../contract/names.ts';
import { JSON_CONTENT_TYPE, readReply } from '../contract/reply.ts';
import { generateReplyKey, open } from '../contract/sealing.ts';
import { type ClientCredentials, signRequest } from '../contract/signature.ts';
import { BrokerRefused, NoReply } from './client-errors.ts';

/** A connection of amqplib, as far as the library needs one. */
export type AmqpConnection = Pick<ChannelModel, 'createConfirmChannel'>;

/** Which agent to talk to, and how. */
export interface RpcOptions {
  /** The agent's id; `pulse-agent` when absent. */
  readonly id?: string;
  /** The audience that the agent expects in signatures; `pulse-agent` when absent. */
  readonly audience?: string;
  /** Taskcluster credentials, for the methods that need a signature. */
  readonly credentials?: ClientCredentials;
  /** How long to wait for a reply, in ms; 15 seconds when absent: an agent answers within 10. */
  readonly timeoutMs?: number;
  /** The wall clock for signatures, in ms since the epoch; the machine's when absent. */
  readonly nowMs?: () => number;
}

/** What one request may have instead of the options of all. */
export type RequestOptions = Pick<RpcOptions, 'credentials' | 'timeoutMs'>;

/** The body of a request as its sender writes it: the reply key is made here, one for each request. */
export type RpcInput<M extends MethodName> = Omit<RequestInput<M>, 'replyKey'>;

/** Requests and replies over one channel. */
export interface Rpc {
  /**
   * Sends one request and waits for its reply. Credentials in it travel sealed. A request that nobody has taken when
   * the time for its reply is over expires in the queue, instead of being served to nobody.
   *
   * @throws WireError what the agent answered; `Unavailable` when the request queue takes no more, and as NoReply when
   *   no reply comes in time or the channel closes. BrokerRefused when RabbitMQ does not let this user send requests.
   */
  request<M extends MethodName>(
    method: M,
    body: RpcInput<M>,
    signal?: AbortSignal,
    options?: RequestOptions,
  ): Promise<ResultBody<M>>;
  /** Whether the channel is open; once it is not, it stays so. */
  readonly isOpen: boolean;
  /** Closes the channel; requests under way fail. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (message: ConsumeMessage) => void;
  readonly reject: (error: Error) => void;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_ID = 'pulse-agent';

/**
 * Opens a channel for requests over a connection that is there. Replies come by direct reply-to: it needs no queue and
 * no right but the one to write requests.
 *
 * @example
 * const rpc = await openRpc(await connect(url), { credentials: { clientId, accessToken } });
 * const { connectionString } = await rpc.request('claim-namespace', { namespace: 'taskcluster-builds' });
 */
export async function openRpc(connection: AmqpConnection, options: RpcOptions = {}): Promise<Rpc> {
  // With confirms, a request that the full queue does not take is known at once, and not when its time is over.
  const channel = await connection.createConfirmChannel();
  const waiting = new Map<string, Waiting>();
  let isOpen = true;
  const failAll = (error: Error): void => {
    isOpen = false;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  channel.on('error', (error: Error & { code?: number }) => failAll(channelFault(error, options.id ?? DEFAULT_ID)));
  channel.on('close', () => failAll(new NoReply('The channel closed before the reply came.')));
  // Direct reply-to demands that the same channel consumes, without acknowledgements, before it publishes.
  await channel.consume(DIRECT_REPLY_TO, (message) => settle(waiting, message), { noAck: true });
  return {
    request: (method, body, signal, own) =>
      request(channel, waiting, { ...options, ...own }, method, body, signal, () => isOpen),
    get isOpen() {
      return isOpen;
    },
    close: () => channel.close(),
  };
}

function channelFault(error: Error & { code?: number }, id: string): Error {
  if (error.code === 404) {
    return new WireError(
      'Unavailable',
      `No agent with the id ${id} that speaks ${CONTRACT_VERSION} has run in this vhost: check the id and the vhost.`,
    );
  }
  if (error.code === 403) {
    return new BrokerRefused(`RabbitMQ does not let this user send requests to the agent with the id ${id}.`);
  }
  return new NoReply(`The channel closed: ${error.message}.`);
}

function settle(waiting: Map<string, Waiting>, message: ConsumeMessage | null): void {
  if (message !== null) waiting.get(String(message.properties.correlationId))?.resolve(message);
}

async function request<M extends MethodName>(
  channel: ConfirmChannel,
  waiting: Map<string, Waiting>,
  options: RpcOptions,
  method: M,
  body: RpcInput<M>,
  signal: AbortSignal | undefined,
  isOpen: () => boolean,
): Promise<ResultBody<M>> {
  const correlationId = randomUUID();
  const replyKey = method === 'claim-namespace' ? await generateReplyKey() : undefined;
  const content = Buffer.from(JSON.stringify(replyKey ? { ...body, replyKey: replyKey.publicKey } : body));
  const headers = METHODS[method].signed ? sign(method, content, correlationId, options) : {};

  const timeoutMs = Math.max(1, Math.ceil(options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
  const timeout = AbortSignal.timeout(timeoutMs);
  const ended = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  signal?.throwIfAborted();
  if (!isOpen()) throw new WireError('Unavailable', 'The channel closed before the request was sent.');
  let confirmed = false;
  const message = await new Promise<ConsumeMessage>((resolve, reject) => {
    ended.addEventListener(
      'abort',
      () => reject(timeout.aborted ? noReplyInTime(confirmed) : (ended.reason as Error)),
      { once: true },
    );
    waiting.set(correlationId, { resolve, reject });
    channel.publish(
      contractNames(options.id ?? DEFAULT_ID).rpcExchange,
      method,
      content,
      {
        contentType: JSON_CONTENT_TYPE,
        replyTo: DIRECT_REPLY_TO,
        correlationId,
        expiration: timeoutMs,
        headers,
      },
      (refusal: unknown) => {
        // A channel that closes refuses what it has not confirmed, too: then what it says of itself comes first.
        const full = new WireError('Unavailable', 'The request queue of the agent is full: nothing was done.');
        if (refusal) setImmediate(() => reject(full));
        else confirmed = true;
      },
    );
  }).finally(() => waiting.delete(correlationId));

  const reply = readReply(message.properties, message.content);
  if (reply.kind === 'error') throw reply.error;
  if (reply.kind === 'result') {
    if (replyKey !== undefined) throw new WireError('InternalServerError', 'A reply came plain that was to be sealed.');
    return parseResult(method, reply.json);
  }
  if (replyKey === undefined)
    throw new WireError('InternalServerError', 'A reply came sealed that was asked for plain.');
  return parseResult(method, await open(reply.jwe, replyKey.privateKey));
}

function noReplyInTime(confirmed: boolean): NoReply {
  return confirmed
    ? new NoReply('No reply came in time: no agent runs, or it dead-lettered the request.', { confirmed })
    : new NoReply('RabbitMQ did not confirm the request in time: it is blocked by an alarm, or cannot be reached.');
}

function sign(
  method: MethodName,
  body: Buffer,
  correlationId: string,
  { credentials, audience, nowMs }: RpcOptions,
): { authorization: string } {
  if (credentials === undefined) {
    throw new WireError('AuthenticationFailed', `The method ${method} needs a signature: give credentials.`);
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
