import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { WireError } from '../contract/errors.ts';
import { parseResult } from '../contract/messages.ts';
import { METHODS, type MethodName, type RequestInput, type ResultBody } from '../contract/methods.ts';
import { contractNames, DIRECT_REPLY_TO } from '../contract/names.ts';
import { JSON_CONTENT_TYPE, readReply } from '../contract/reply.ts';
import { generateReplyKey, open } from '../contract/sealing.ts';
import { type ClientCredentials, signRequest } from '../contract/signature.ts';

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
}

/** The body of a request as its sender writes it: the reply key is made here, one for each request. */
export type RpcInput<M extends MethodName> = Omit<RequestInput<M>, 'replyKey'>;

/** Requests and replies over one channel. */
export interface Rpc {
  /**
   * Sends one request and waits for its reply. Credentials in it travel sealed.
   *
   * @throws WireError what the agent answered; `Unavailable` when no reply comes in time or the channel closes.
   */
  request<M extends MethodName>(method: M, body: RpcInput<M>, signal?: AbortSignal): Promise<ResultBody<M>>;
  /** Closes the channel; requests under way fail. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (message: ConsumeMessage) => void;
  readonly reject: (error: Error) => void;
}

const DEFAULT_TIMEOUT_MS = 15_000;

/**
 * Opens a channel for requests over a connection that is there. Replies come by direct reply-to: it needs no queue and
 * no right but the one to write requests.
 *
 * @example
 * const rpc = await openRpc(await connect(url), { credentials: { clientId, accessToken } });
 * const { connectionString } = await rpc.request('claim-namespace', { namespace: 'taskcluster-builds' });
 */
export async function openRpc(connection: ChannelModel, options: RpcOptions = {}): Promise<Rpc> {
  const channel = await connection.createChannel();
  const waiting = new Map<string, Waiting>();
  const failAll = (reason: string): void => {
    for (const { reject } of waiting.values()) reject(new WireError('Unavailable', reason));
    waiting.clear();
  };
  channel.on('error', (error: Error) => failAll(`The channel closed: ${error.message}.`));
  channel.on('close', () => failAll('The channel closed before the reply came.'));
  // Direct reply-to demands that the same channel consumes, without acknowledgements, before it publishes.
  await channel.consume(DIRECT_REPLY_TO, (message) => settle(waiting, message), { noAck: true });
  return {
    request: (method, body, signal) => request(channel, waiting, options, method, body, signal),
    close: () => channel.close(),
  };
}

function settle(waiting: Map<string, Waiting>, message: ConsumeMessage | null): void {
  if (message !== null) waiting.get(String(message.properties.correlationId))?.resolve(message);
}

async function request<M extends MethodName>(
  channel: Channel,
  waiting: Map<string, Waiting>,
  options: RpcOptions,
  method: M,
  body: RpcInput<M>,
  signal: AbortSignal | undefined,
): Promise<ResultBody<M>> {
  const id = options.id ?? 'pulse-agent';
  const correlationId = randomUUID();
  const replyKey = method === 'claim-namespace' ? await generateReplyKey() : undefined;
  const content = Buffer.from(JSON.stringify(replyKey ? { ...body, replyKey: replyKey.publicKey } : body));
  const headers = METHODS[method].signed ? sign(method, content, correlationId, options) : {};

  const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const ended = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  const message = await new Promise<ConsumeMessage>((resolve, reject) => {
    ended.addEventListener(
      'abort',
      () =>
        reject(
          timeout.aborted
            ? new WireError(
                'Unavailable',
                'No reply came in time: no agent runs, its request queue is full, or it dead-lettered the request.',
              )
            : (ended.reason as Error),
        ),
      { once: true },
    );
    waiting.set(correlationId, { resolve, reject });
    channel.publish(contractNames(id).rpcExchange, method, content, {
      contentType: JSON_CONTENT_TYPE,
      replyTo: DIRECT_REPLY_TO,
      correlationId,
      headers,
    });
  }).finally(() => waiting.delete(correlationId));

  const reply = readReply(message.properties, message.content);
  if (reply.kind === 'error') throw reply.error;
  if (reply.kind === 'result') return parseResult(method, reply.json);
  if (replyKey === undefined)
    throw new WireError('InternalServerError', 'A reply came sealed that was asked for plain.');
  return parseResult(method, await open(reply.jwe, replyKey.privateKey));
}

function sign(
  method: MethodName,
  body: Buffer,
  correlationId: string,
  { credentials, audience }: RpcOptions,
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
  });
}
