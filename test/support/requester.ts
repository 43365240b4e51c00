import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib';
import type { MethodName } from '../../src/contract/methods.ts';
import { contractNames, DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { type ClientCredentials, type SigningInput, signRequest } from '../../src/contract/signature.ts';

/** A request in which everything may be wrong. What is left out is as the contract wants it; null leaves a property out. */
export interface RawRequest {
  readonly method: string;
  /** A Buffer goes as it is, anything else as JSON; `{}` when left out. */
  readonly body?: unknown;
  readonly exchange?: string;
  readonly replyTo?: string | null;
  readonly correlationId?: string | null;
  readonly contentType?: string | null;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly options?: Options.Publish;
  /** Who signs; nobody when left out. */
  readonly credentials?: ClientCredentials;
  /** What is signed in place of what is sent. */
  readonly signed?: Partial<SigningInput>;
}

/** A request as it was published, to be published again. */
export interface SentRequest {
  readonly exchange: string;
  readonly method: string;
  readonly content: Buffer;
  readonly correlationId: string;
  readonly options: Options.Publish;
}

/** A reply as it came. */
export interface RawReply {
  readonly properties: ConsumeMessage['properties'];
  readonly fields: ConsumeMessage['fields'];
  readonly content: Buffer;
  readonly json: Record<string, unknown>;
}

/** A client below the library: it can set everything that AMQP has. */
export interface Requester {
  /** Makes the message of a request without sending it. */
  compose(request: RawRequest): SentRequest;
  /** Publishes, and resolves when the broker has it; rejects when the broker refuses it. */
  publish(request: SentRequest): Promise<void>;
  /** Waits for the next reply with this correlation id. */
  replyTo(correlationId: string): Promise<RawReply>;
  /** {@link compose}, {@link publish} and {@link replyTo} in one. */
  request(request: RawRequest | SentRequest): Promise<RawReply>;
  /** Tells a requester of replies that come to a queue of its own. */
  readReplies(queue: string): Promise<void>;
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
}

/** Longer than any answer may take: 10 s, and a loaded machine, on which others do something meanwhile. */
const PATIENCE_MS = 60_000;

/** Opens a channel for raw requests over a connection. */
export async function openRequester(
  connection: ChannelModel,
  { id, audience }: { id: string; audience: string },
): Promise<Requester> {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const arrived: RawReply[] = [];
  const waiting = new Map<string, (reply: RawReply) => void>();
  const take = (message: ConsumeMessage | null): void => {
    if (message === null) return;
    const { properties, fields, content } = message;
    const json = properties.contentType === 'application/json' ? JSON.parse(content.toString()) : {};
    const reply = { properties, fields, content, json };
    const waiter = waiting.get(properties.correlationId as string);
    waiting.delete(properties.correlationId as string);
    if (waiter === undefined) arrived.push(reply);
    else waiter(reply);
  };
  await channel.consume(DIRECT_REPLY_TO, take, { noAck: true });

  const compose = (request: RawRequest): SentRequest => {
    const content = Buffer.isBuffer(request.body) ? request.body : Buffer.from(JSON.stringify(request.body ?? {}));
    const correlationId = request.correlationId === undefined ? randomUUID() : (request.correlationId ?? '');
    const replyTo = request.replyTo === undefined ? DIRECT_REPLY_TO : request.replyTo;
    const contentType = request.contentType === undefined ? 'application/json' : request.contentType;
    const signature =
      request.credentials === undefined
        ? {}
        : signRequest({
            method: request.method as MethodName,
            body: content,
            replyTo: replyTo ?? '',
            correlationId,
            audience,
            credentials: request.credentials,
            ...request.signed,
          });
    return {
      exchange: request.exchange ?? contractNames(id).rpcExchange,
      method: request.method,
      content,
      correlationId,
      options: {
        ...(replyTo === null ? {} : { replyTo }),
        ...(request.correlationId === null ? {} : { correlationId }),
        ...(contentType === null ? {} : { contentType }),
        ...request.options,
        headers: { ...signature, ...request.headers },
      },
    };
  };
  const publish = (sent: SentRequest): Promise<void> =>
    new Promise((resolve, reject) => {
      channel.publish(sent.exchange, sent.method, sent.content, sent.options, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      );
    });
  const replyTo = async (correlationId: string): Promise<RawReply> => {
    const there = arrived.findIndex(({ properties }) => properties.correlationId === correlationId);
    const [reply] = there < 0 ? [] : arrived.splice(there, 1);
    if (reply !== undefined) return reply;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(correlationId);
        reject(new Error(`No reply came to ${correlationId} in ${PATIENCE_MS} ms.`));
      }, PATIENCE_MS);
      waiting.set(correlationId, (came) => {
        clearTimeout(timer);
        resolve(came);
      });
    });
  };
  return {
    connection,
    channel,
    compose,
    publish,
    replyTo,
    async request(request) {
      const sent = 'content' in request ? request : compose(request);
      const reply = replyTo(sent.correlationId);
      // When publishing fails nobody awaits the reply.
      reply.catch(() => undefined);
      await publish(sent);
      return await reply;
    },
    async readReplies(queue) {
      await channel.consume(queue, take, { noAck: true });
    },
  };
}
