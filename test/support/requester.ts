import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib';
import type { MethodName } from '../../src/contract/methods.ts';
import { contractNames, DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { createCondition } from './condition.ts';
import { type ClientCredentials, type SigningInput, signRequest } from '../../src/contract/signature.ts';

/** A request in which anything can be wrong. What is absent gets a valid value; null omits the property. */
export interface RawRequest {
  readonly method: string;
  /** A Buffer is sent unchanged, anything else as JSON; `{}` when absent. */
  readonly body?: unknown;
  readonly exchange?: string;
  readonly replyTo?: string | null;
  readonly correlationId?: string | null;
  readonly contentType?: string | null;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly options?: Options.Publish;
  /** The signer; the request is unsigned when absent. */
  readonly credentials?: ClientCredentials;
  /** What is signed where it differs from what is sent. */
  readonly signed?: Partial<SigningInput>;
}

/** A composed request, which can be published several times. */
export interface SentRequest {
  readonly exchange: string;
  readonly method: string;
  readonly content: Buffer;
  readonly correlationId: string;
  readonly options: Options.Publish;
}

/** A reply, undecoded. */
export interface RawReply {
  readonly properties: ConsumeMessage['properties'];
  readonly fields: ConsumeMessage['fields'];
  readonly content: Buffer;
  readonly json: Record<string, unknown>;
}

/** A client without the library: it can set every property of AMQP. */
export interface Requester {
  /** Makes the message of a request without publishing it. */
  compose(request: RawRequest): SentRequest;
  /** Publishes; resolves when the broker confirms the message, rejects when it refuses it. */
  publish(request: SentRequest): Promise<void>;
  /** Waits for the next reply with this correlation id. */
  replyTo(correlationId: string): Promise<RawReply>;
  /** {@link compose}, {@link publish} and {@link replyTo} in one. */
  request(request: RawRequest | SentRequest): Promise<RawReply>;
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
}

/** Opens a channel for raw requests over a connection. */
export async function openRequester(
  connection: ChannelModel,
  { id, audience }: { id: string; audience: string },
): Promise<Requester> {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const arrived: RawReply[] = [];
  const condition = createCondition();
  const take = (message: ConsumeMessage | null): void => {
    if (message === null) return;
    const { properties, fields, content } = message;
    const json = properties.contentType === 'application/json' ? JSON.parse(content.toString()) : {};
    arrived.push({ properties, fields, content, json });
    condition.notify();
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
  const takeReply = (correlationId: string): RawReply | undefined => {
    const index = arrived.findIndex(({ properties }) => properties.correlationId === correlationId);
    return index === -1 ? undefined : arrived.splice(index, 1)[0];
  };
  const replyTo: Requester['replyTo'] = (correlationId) =>
    condition.wait(() => takeReply(correlationId), { failure: () => `No reply to ${correlationId} arrived.` });
  return {
    connection,
    channel,
    compose,
    publish,
    replyTo,
    async request(request) {
      const sent = 'content' in request ? request : compose(request);
      const reply = replyTo(sent.correlationId);
      // When publishing fails, the reply is not awaited.
      reply.catch(() => undefined);
      await publish(sent);
      return await reply;
    },
  };
}
